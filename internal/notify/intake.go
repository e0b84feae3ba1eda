package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"writ/internal/actor"
	"writ/internal/fault"
)

const (
	intakeTime  = 30 * time.Second // of silence
	intakeHands = 2                // reports that are read at once: what each may take of memory is bound
)

// GoodIntake says what is expected of an address of the intake that is not good; "" = it is.
func GoodIntake(v string) string {
	if filepath.IsAbs(v) && len(v) < 104 && !strings.ContainsAny(v, "\x00\r\n") {
		return ""
	}
	if a, err := netip.ParseAddrPort(v); err == nil && a.Addr().IsLoopback() && !strings.HasPrefix(v, "[::ffff:") {
		return ""
	}
	return "the absolute path of a socket, or a port of this machine such as 127.0.0.1:2424"
}

// ListenIntake opens the intake: a socket that its group may use as well, or a loopback port.
func ListenIntake(at string) (net.Listener, error) { // clause: mon.notify
	if want := GoodIntake(at); want != "" {
		return nil, fault.Newf(fault.Invalid, "intake", "The intake of notices is %q; expected %s.", at, want)
	}
	if !filepath.IsAbs(at) {
		l, err := net.Listen("tcp", at)
		if err != nil {
			return nil, fmt.Errorf("open the intake of notices: %w", err)
		}
		return l, nil
	}
	if i, err := os.Lstat(at); err == nil && i.Mode()&os.ModeSocket != 0 { // of the process before
		if err := os.Remove(at); err != nil {
			return nil, fmt.Errorf("remove the old intake: %w", err)
		}
	}
	l, err := net.Listen("unix", at)
	if err != nil {
		return nil, fmt.Errorf("open the intake of notices: %w", err)
	}
	if err := os.Chmod(at, 0o660); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Intake takes notices about deliveries from a mail server of this machine by LMTP (RFC 2033)
// until ctx ends. A notice that is taken is written down before it is answered; one that cannot
// be is put off, and the mail server brings it again.
func (s *Service) Intake(ctx context.Context, l net.Listener) error {
	srv := smtp.NewServer(intake{s, ctx, make(chan struct{}, intakeHands)})
	srv.LMTP, srv.Domain, srv.MaxMessageBytes, srv.MaxRecipients = true, "writ", mostReport, 1
	srv.ReadTimeout, srv.WriteTimeout, srv.ErrorLog = intakeTime, intakeTime, log.New(io.Discard, "", 0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		_ = srv.Close()
	}()
	err := srv.Serve(l)
	if ctx.Err() != nil {
		<-done
		return nil
	}
	return fmt.Errorf("take notices about deliveries: %w", err)
}

// intake is the door.
type intake struct {
	s      *Service
	ctx    context.Context //nolint:containedctx // the library has none
	places chan struct{}
}

func (i intake) NewSession(*smtp.Conn) (smtp.Session, error) { return &brought{intake: i}, nil }

// brought is one connection.
type brought struct {
	intake
	read bool // the letter is to the address for reports
}

func (*brought) Mail(string, *smtp.MailOptions) error { return nil }
func (b *brought) Reset()                             { b.read = false }
func (*brought) Logout() error                        { return nil }

func (b *brought) Rcpt(to string, _ *smtp.RcptOptions) error {
	b.read = b.s.Inbox != "" && b.s.Read != nil && strings.EqualFold(to, b.s.Inbox)
	return nil
}

func (b *brought) Data(r io.Reader) error {
	i := b.intake
	select {
	case i.places <- struct{}{}:
		defer func() { <-i.places }()
	case <-i.ctx.Done():
		return later("it ends")
	}
	var err error
	if b.read {
		err = i.s.inbox(i.ctx, r)
	} else {
		_, err = i.s.Bounce(i.ctx, actor.Actor{Kind: actor.Machine, ID: "mail", Via: "lmtp"}, r)
	}
	_, p := fault.PublicOf(err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fault.Invalid), errors.Is(err, fault.NotFound):
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: p.Problem}
	case errors.Is(err, fault.Limited) && b.read: // whoever wrote it is told now, and not for days
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: p.Problem + " " + p.Next}
	case errors.Is(err, fault.Limited):
		return later(p.Problem)
	}
	i.s.Log.Error("a letter or a notice about one could not be taken", "err", err)
	return later("it cannot be written down now")
}

// inbox gives a letter to whoever reads reports.
func (s *Service) inbox(ctx context.Context, r io.Reader) error {
	l, err := ReadLetter(r)
	if err != nil {
		return err
	}
	return s.Read(ctx, l) //nolint:wrapcheck // a fault for the reader
}

func later(why string) error {
	return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: why}
}
