// Package mail sends the letters of the house: one letter is one act, one link,
// plain text beside simple HTML. A letter is prepared before the change that
// causes it and queued in the same transaction, so that a change and its mail
// happen together or not at all; a dead mail server delays letters and never
// fails a request.
//
//	Prepare ─► jobs.Enqueue (in the Change) ─► job "mail.send" ─► SMTP | one .eml in a folder
//
// Threats: header injection (addresses and subjects with line breaks are refused),
// a downgraded connection (TLS is required except towards loopback), an address
// oracle by timing (nothing is sent inside a request).
//
// For: customer users and staff, who read the letters.
package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/secret"

	gomail "github.com/wneessen/go-mail"
)

// Message is a letter ready to be sent.
type Message struct {
	To      string `json:"to"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html"`
	Kind    string `json:"kind"` // identity.reset and so on; for the queue view

	ID   string `json:"id,omitempty"`   // of the letter, without <>: the same at each try; "" = a new one
	Refs string `json:"refs,omitempty"` // the letter that this one belongs under

	Receipt bool `json:"receipt,omitempty"` // its host is asked to say when it lies in the box

	Unsubscribe string `json:"unsubscribe,omitempty"` // an https address that ends such letters by one POST (RFC 8058)
}

// Queue is what mail needs of jobs.
type Queue interface {
	Prepare(ctx context.Context, kind string, payload []byte) (jobs.Job, error)
	Enqueue(ctx context.Context, tx *ledger.Tx, job jobs.Job) error
	Handle(kind string, h jobs.Handler)
}

// Deps are what a Mailer is made of; all but Canary, Sent, Roots and Patience are needed.
type Deps struct {
	Queue  Queue
	URL    string // smtp://user:password@host:587, smtps://…, file:///folder
	From   string
	Now    func() time.Time
	Log    *slog.Logger
	Canary func(Message)     // takes letters to *.canary.invalid; they are never sent out
	Sent   func(kind string) // counts letters that were handed over; may be nil

	Roots    *x509.CertPool // who vouches for the server; nil = the system's
	Patience time.Duration  // with a server, from one word of it to the next; 0 = 20 s
}

// JobKind is the kind of the jobs that carry letters.
const JobKind = "mail.send"

// Mailer queues and sends letters.
type Mailer struct {
	d      Deps
	target *url.URL
	folder string
}

// New checks the address of the mail server and takes over jobs of JobKind.
func New(d Deps) (*Mailer, error) {
	u, err := url.Parse(d.URL)
	if err != nil {
		return nil, badURL(d.URL)
	}
	m := &Mailer{d: d, target: u}
	switch u.Scheme {
	case "file":
		m.folder = u.Path
		if err := os.MkdirAll(m.folder, 0o700); err != nil {
			return nil, fmt.Errorf("make mail folder: %w", err)
		}
	case "smtp", "smtps":
		if u.Hostname() == "" {
			return nil, badURL(d.URL)
		}
	default:
		return nil, badURL(d.URL)
	}
	if _, err := mail.ParseAddress(d.From); err != nil {
		return nil, fault.New(fault.Invalid, "mail_from", fault.Public{
			Problem: fmt.Sprintf("mail.from %q is not an address.", d.From), Expected: "One address, such as writ@example.com.", Next: "Mend mail.from in writ.yaml."})
	}
	d.Queue.Handle(JobKind, jobs.Handler{Run: m.send, Tries: 12})
	return m, nil
}

func badURL(s string) error {
	return fault.New(fault.Invalid, "mail_url", fault.Public{
		Problem:  fmt.Sprintf("mail.url %q is not understood.", redact(s)),
		Expected: "smtp://user:password@host:587, smtps://… or file:///folder.", Next: "Mend mail.url in writ.yaml."})
}

func redact(s string) string {
	if u, err := url.Parse(s); err == nil {
		return u.Redacted()
	}
	return "(unreadable)"
}

// Outside reports whether letters leave the machine; a folder is for trying out.
func (m *Mailer) Outside() bool { return m.folder == "" }

// Prepare checks a letter and makes it a job. Enqueue it in the change that causes it.
func (m *Mailer) Prepare(ctx context.Context, msg Message) (jobs.Job, error) {
	if err := check(msg); err != nil {
		return jobs.Job{}, err
	}
	if msg.ID == "" {
		msg.ID = NewID("letter")
	}
	b, err := json.Marshal(msg)
	if err != nil {
		return jobs.Job{}, fmt.Errorf("encode letter: %w", err)
	}
	return m.d.Queue.Prepare(ctx, JobKind, b)
}

// NewID makes the id of a letter that begins with a word of its sender: notices about the letter
// come back under it.
func NewID(of string) string { return of + "." + secret.RandomText(9).Reveal() + "@writ" }

// check refuses what would become further headers.
func check(msg Message) error {
	if strings.ContainsAny(msg.To+msg.Subject+msg.ID+msg.Refs+msg.Unsubscribe, "\r\n\x00") {
		return fault.Newf(fault.Invalid, "email_invalid", "An address or subject holds a line break.")
	}
	return nil
}

// Enqueue puts a prepared letter into the change.
func (m *Mailer) Enqueue(ctx context.Context, tx *ledger.Tx, job jobs.Job) error {
	return m.d.Queue.Enqueue(ctx, tx, job)
}

func (m *Mailer) send(ctx context.Context, payload secret.Bytes) error {
	var msg Message
	if err := json.Unmarshal(payload.Reveal(), &msg); err != nil {
		return fmt.Errorf("decode letter: %w", err)
	}
	if strings.HasSuffix(msg.To, ".canary.invalid") {
		if m.d.Canary != nil {
			m.d.Canary(msg)
		}
		return nil
	}
	out, err := m.compose(msg)
	if err != nil {
		return err
	}
	if m.folder != "" {
		err = m.file(out, msg)
	} else {
		_, err = m.smtp(ctx, out, &msg)
	}
	if err == nil && m.d.Sent != nil {
		m.d.Sent(msg.Kind)
	}
	return err
}

func (m *Mailer) compose(msg Message) (*gomail.Msg, error) {
	out := gomail.NewMsg()
	if err := out.From(m.d.From); err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	if err := out.To(msg.To); err != nil {
		return nil, fmt.Errorf("receiver: %w", err)
	}
	out.Subject(msg.Subject)
	out.SetDateWithValue(m.d.Now())
	if msg.ID == "" {
		out.SetMessageID()
	} else {
		out.SetMessageIDWithValue(msg.ID)
	}
	if msg.Refs != "" {
		out.SetGenHeader(gomail.HeaderReferences, "<"+msg.Refs+">")
	}
	out.SetGenHeader("Auto-Submitted", "auto-generated")
	if msg.Unsubscribe != "" {
		out.SetGenHeader("List-Unsubscribe", "<"+msg.Unsubscribe+">")
		out.SetGenHeader("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	}
	out.SetBodyString(gomail.TypeTextPlain, msg.Text)
	if msg.HTML != "" {
		out.AddAlternativeString(gomail.TypeTextHTML, msg.HTML)
	}
	return out, nil
}

// file writes one .eml, under a name that sorts by time, so that a reader never
// sees half a letter.
func (m *Mailer) file(out *gomail.Msg, msg Message) error {
	name := m.d.Now().UTC().Format("20060102T150405.000000") + "-" + secret.RandomText(4).Reveal() + ".eml"
	tmp := filepath.Join(m.folder, "."+name+".part") // whoever looks for letters does not meet half of one
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write letter: %w", err)
	}
	if _, err := out.WriteTo(f); err != nil {
		f.Close()
		return fmt.Errorf("write letter: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write letter: %w", err)
	}
	if err := os.Rename(tmp, filepath.Join(m.folder, name)); err != nil {
		return fmt.Errorf("write letter: %w", err)
	}
	return nil
}

// envelopeOf is the id of a letter as its envelope carries it: what of it needs no escape, up to
// the host; "" = there is none.
func envelopeOf(id string) string {
	v, _, _ := strings.Cut(id, "@")
	if len(v) > 100 || strings.ContainsFunc(v, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_' && r != '.'
	}) {
		return ""
	}
	return v
}

// loopback reports whether a host can only be this machine, where TLS adds nothing. A
// name that merely begins like an address of it cannot.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// smtp hands a letter to the server. Where that offers notices about deliveries (RFC 3461) they
// are asked for, under the id of the letter, without its text.
func (m *Mailer) smtp(ctx context.Context, out *gomail.Msg, msg *Message) (version string, err error) {
	host := m.target.Hostname()
	envelope, notify := envelopeOf(msg.ID), []gomail.DSNRcptNotifyOption{gomail.DSNRcptNotifyFailure, gomail.DSNRcptNotifyDelay}
	if msg.Receipt {
		notify = append(notify, gomail.DSNRcptNotifySuccess)
	}
	opts := []gomail.Option{gomail.WithDSNRcptNotifyType(notify...), gomail.WithTimeout(cmp.Or(m.d.Patience, 20*time.Second))}
	port := m.target.Port()
	switch {
	case m.target.Scheme == "smtps":
		opts = append(opts, gomail.WithSSLPort(false))
	case loopback(host):
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	default:
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory)) // clause: crypto.provider-edge
	}
	if port != "" {
		var n int
		if _, err := fmt.Sscanf(port, "%d", &n); err == nil {
			opts = append(opts, gomail.WithPort(n))
		}
	}
	if m.target.User != nil {
		pw, _ := m.target.User.Password()
		opts = append(opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(m.target.User.Username()), gomail.WithPassword(pw))
	}
	if m.d.Roots != nil {
		opts = append(opts, gomail.WithTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: m.d.Roots}))
	}
	c, err := gomail.NewClient(host, opts...)
	if err != nil {
		return "", fmt.Errorf("mail client: %w", err)
	}
	conn, err := c.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return "", fmt.Errorf("send letter: %w", err)
	}
	if st, ok := conn.TLSConnectionState(); ok {
		version = tls.VersionName(st.Version)
	}
	if envelope != "" { // the library knows of RET alone
		conn.SetDSNMailReturnOption("HDRS ENVID=" + envelope)
	}
	if err := c.SendWithSMTPClient(conn, out); err != nil {
		_ = conn.Close()
		return version, fmt.Errorf("send letter: %w", err)
	}
	if err := c.CloseWithSMTPClient(conn); err != nil {
		return version, fmt.Errorf("send letter: %w", err)
	}
	return version, nil
}
