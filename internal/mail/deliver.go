package mail

import (
	"context"
	"errors"
	"strings"

	gomail "github.com/wneessen/go-mail"
)

// Answer is what became of one letter at the mail server, or in the folder.
type Answer struct {
	Code     int    // of SMTP; 0 = the server gave none
	Enhanced string // such as 5.1.1
	Text     string
	TLS      string // version of the connection, such as TLS 1.3; "" = it was not encrypted, or there was none
	Handed   bool   // the whole letter had been handed over: without a code nobody knows whether it was taken
}

// Deliver sends a letter now and says how that went, for those who keep a ledger of what
// they sent. A nil error means that it was taken. Letters of the house go by Enqueue.
func (m *Mailer) Deliver(ctx context.Context, msg Message) (Answer, error) {
	if err := check(msg); err != nil {
		return Answer{}, err
	}
	if strings.HasSuffix(msg.To, ".canary.invalid") {
		if m.d.Canary != nil {
			m.d.Canary(msg)
		}
		return Answer{Code: 250, Text: "kept for the control"}, nil
	}
	out, err := m.compose(msg)
	if err != nil {
		return Answer{}, err
	}
	if m.folder != "" {
		return Answer{Code: 250, Text: "laid into the folder"}, m.file(out, msg)
	}
	version, err := m.smtp(ctx, out, &msg)
	if out.IsDelivered() { // what fails after that is the farewell
		return Answer{Code: 250, Text: out.ServerResponse(), TLS: version}, nil
	}
	a := Answer{TLS: version}
	if err != nil {
		a.Text = err.Error()
	}
	if e, ok := errors.AsType[*gomail.SendError](err); ok {
		a.Code, a.Enhanced, a.Handed = e.ErrorCode(), e.EnhancedStatusCode(), e.Reason == gomail.ErrSMTPDataClose
	}
	return a, err
}
