package notify

import (
	"context"
	"net"
)

// Dial connects to an address that somebody chose, behind the same guard as webhooks: what
// leads inside is refused unless the machine's settings name it.
func (s *Service) Dial(ctx context.Context, network, addr string) (net.Conn, error) { // clause: mon.notify
	return s.dial(ctx, network, addr)
}

// DialPlain is Dial for what is not encrypted: only what the settings name is spoken to so.
func (s *Service) DialPlain(ctx context.Context, network, addr string) (net.Conn, error) {
	return s.dialPlain(ctx, network, addr)
}
