package notify

import (
	"context"

	"writ/internal/secret"
)

// Call is one signed message (Standard Webhooks) to an address that somebody outside chose.
type Call struct {
	ID   string // the same at each try
	URL  secret.Text
	Key  secret.Bytes
	Body []byte // JSON

	head   map[string]secret.Text // further fields of its head
	method string                 // "" = POST
	form   bool                   // the body is a form
}

// Reply is what came of it.
type Reply struct {
	State string // Accepted, Deferred, Rejected, Unknown
	Code  string // of HTTP, or a word
	Body  string // at most 64 KiB
}

// Call sends a message now, behind the guard of channels, for those who keep a ledger of what
// they sent.
func (s *Service) Call(ctx context.Context, c Call) Reply { // clause: mon.notify (a webhook does not lead inside)
	if s.GoodURL(c.URL.Reveal()) != "" {
		return Reply{State: Rejected, Code: "address"}
	}
	out := s.hand(ctx, c)
	return Reply{State: out.state, Code: out.code, Body: out.text}
}

// GoodURL says what is expected of an address that no message goes to; "" = it is good.
func (s *Service) GoodURL(v string) string { return s.goodURL(v) }
