package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"writ/internal/outside"
)

var errInside = errors.New("the address is inside, and not among those that may be called (watch.allow)")

// refused reports whether an address must not be dialled.
func (s *Service) refused(a netip.Addr) bool { // clause: mon.notify (a webhook does not lead inside)
	return a.Zone() != "" || !s.allowed(a) && !outside.Is(a)
}

// allowed reports whether the machine's settings name the address.
func (s *Service) allowed(a netip.Addr) bool {
	return slices.ContainsFunc(s.Allow, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}

// dialPlain is dial for addresses that begin with http: only what the settings name is
// spoken to without encryption.
func (s *Service) dialPlain(ctx context.Context, network, addr string) (net.Conn, error) {
	return s.dialOf(ctx, network, addr, func(a netip.Addr) bool { return !s.allowed(a) || s.refused(a) })
}

func (s *Service) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return s.dialOf(ctx, network, addr, s.refused)
}

// dialOf resolves a name, looks at every address it has, and dials one that was looked at.
// One that leads inside spoils them all: such a name belongs to somebody who tries.
func (s *Service) dialOf(ctx context.Context, network, addr string, refused func(netip.Addr) bool) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("address of a channel: %w", err)
	}
	as, err := s.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(as) == 0 {
		return nil, errors.New("the name has no address")
	}
	if slices.ContainsFunc(as, refused) {
		return nil, errInside
	}
	d := net.Dialer{Timeout: 5 * time.Second}
	c, err := d.DialContext(ctx, network, net.JoinHostPort(as[0].Unmap().String(), port))
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	return c, nil
}

func (s *Service) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return []netip.Addr{a}, nil
	}
	look := s.Resolve
	if look == nil {
		look = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return (&net.Resolver{}).LookupNetIP(ctx, "ip", host)
		}
	}
	as, err := look(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("look up a channel: %w", err)
	}
	return as, nil
}
