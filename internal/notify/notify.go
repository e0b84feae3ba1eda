package notify

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/mail"
)

//go:embed schema/*.sql
var schemaFS embed.FS

// Schema is the tables of notify.
func Schema() ledger.Schema {
	sub, err := fs.Sub(schemaFS, "schema")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return ledger.Schema{Module: "notify", FS: sub}
}

// Keys is what notify needs of the keyring.
type Keys interface {
	Ensure(ctx context.Context, s keyring.Subject) (envelope.Key, error)
	ByID(ctx context.Context, id string) (envelope.Key, error)
}

// Mailer sends a letter now; *mail.Mailer.
type Mailer interface {
	Deliver(ctx context.Context, msg mail.Message) (mail.Answer, error)
}

// Queue is what notify needs of jobs.
type Queue interface {
	Prepare(ctx context.Context, kind string, payload []byte) (jobs.Job, error)
	Enqueue(ctx context.Context, tx *ledger.Tx, job jobs.Job) error
	Handle(kind string, h jobs.Handler)
	Every(name string, every time.Duration, run func(ctx context.Context) error)
}

// Deps are what a Service is made of; all but the last group are needed.
type Deps struct {
	DB      *ledger.DB
	Keys    Keys
	Mail    Mailer
	Jobs    Queue
	Company func() string
	Now     func() time.Time
	Log     *slog.Logger

	Folder   string                                                       // of the channel kind file; "" = there is none
	Allow    []netip.Prefix                                               // own networks that webhooks may lead to
	Resolve  func(ctx context.Context, host string) ([]netip.Addr, error) // nil = the system's
	Roots    *x509.CertPool                                               // who vouches for the hosts of channels; nil = the system's
	Tester   func(ctx context.Context) (string, error)                    // who gets the weekly letter; nil = no tests by themselves
	Commands map[string]string                                            // programs of this machine that a channel may start: name → path
	Inbox    string                                                       // address whose letters the intake takes as reports; "" = none
	Read     func(ctx context.Context, l Letter) error                    // takes them
	Keepers  func() []Keeper                                              // of letters of their own; nil = there are none
}

// Service is the kit. It is safe for concurrent use.
type Service struct {
	Deps

	peers breaker

	mu     sync.Mutex
	hour   time.Time // since when strays are counted
	strays int
}

// Sending is how many tries run at once: letters of the house keep their hands in the queue.
const sending = 2

// New makes a Service and takes over its jobs.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Keys == nil || d.Mail == nil || d.Jobs == nil || d.Company == nil || d.Now == nil || d.Log == nil {
		return nil, errors.New("notify: a dependency is missing")
	}
	s := &Service{Deps: d}
	d.Jobs.Handle(jobKind, jobs.Handler{Run: s.run, Tries: 20, Limit: sendLimit, Hands: sending, Lanes: true})
	d.Jobs.Every("notify.tend", 10*time.Minute, s.tend)
	return s, nil
}

// The severities, the most urgent first.
const (
	Page   = "page"
	Ticket = "ticket"
	Notice = "notice"
)

// Message is what somebody is to be told, by one way.
type Message struct {
	Key      string // what makes it this one: the same key, channel and address are queued once
	Channel  string // the name of a channel
	To       string // an address, for mail alone
	Subject  string
	Text     string // paragraphs with empty lines between
	Link     *mail.Link
	Severity string
	About    string // kind/id that it is about; public
	Thread   string // messages with the same one belong together
	Ack      string // value of a button that acknowledges, where the way has such; "" = none
	Repeat   bool   // sent again where nobody knows whether it arrived: alarms alone

	act string // of Follow
}

// Prepared is a message that Queue takes: sealed, with its job.
type Prepared struct {
	id, message, channel, about, severity, mark string
	repeat                                      bool
	body, to                                    []byte
	job                                         jobs.Job
}

// said is a message as it is sealed.
type said struct {
	Subject  string     `json:"subject"`
	Text     string     `json:"text"`
	Link     *mail.Link `json:"link,omitempty"`
	Severity string     `json:"severity"`
	About    string     `json:"about"`
	Thread   string     `json:"thread"`
	Ack      string     `json:"ack,omitempty"`
	Act      string     `json:"act,omitempty"` // acknowledge or resolve; "" = something is told
}

var messageKey = keyring.Class("notify.message")

const maxText = 64 << 10

// Prepare checks and seals messages, outside any transaction.
func (s *Service) Prepare(ctx context.Context, msgs ...Message) ([]Prepared, error) {
	k, err := s.Keys.Ensure(ctx, messageKey)
	if err != nil {
		return nil, fmt.Errorf("key of messages: %w", err)
	}
	out := make([]Prepared, 0, len(msgs))
	for _, m := range msgs {
		if err := m.check(); err != nil {
			return nil, err
		}
		body, err := json.Marshal(said{m.Subject, m.Text, m.Link, m.Severity, m.About, m.Thread, m.Ack, m.act})
		if err != nil {
			return nil, fmt.Errorf("encode a message: %w", err)
		}
		p := Prepared{id: s.DB.ID(), message: s.DB.ID(), channel: m.Channel, about: m.About, severity: m.Severity, repeat: m.Repeat, mark: m.mark()}
		p.body, p.to = k.Seal(body, place("notify_message", p.message)), k.Seal([]byte(m.To), place("notify_delivery", p.id))
		if p.job, err = s.Jobs.Prepare(ctx, lane(m.Channel), []byte(p.id)); err != nil {
			return nil, err //nolint:wrapcheck // says which act
		}
		out = append(out, p)
	}
	return out, nil
}

// lane is the kind of the jobs of a channel.
func lane(channel string) string { return jobKind + "/" + channel }

func place(table, row string) envelope.AAD {
	return envelope.AAD{Table: table, Column: "box", Row: row, Version: 1}
}

// mark is the same for the same message to the same address by the same way.
func (m *Message) mark() string {
	h := sha256.New()
	for _, part := range []string{m.Channel, m.To, m.Key} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (m *Message) check() error {
	bad := func(what, want string) error {
		return fault.New(fault.Invalid, "message_invalid", fault.Public{Problem: "A message cannot be sent: " + what + ".", Expected: want})
	}
	head := m.Channel + m.To + m.Subject + m.About + m.Thread + m.Ack
	if m.Link != nil {
		head += m.Link.Text + m.Link.URL
	}
	switch {
	case strings.ContainsAny(head, "\r\n\x00"):
		return bad("its head holds a line break", "One line.")
	case m.Key == "" || m.Channel == "" || m.Subject == "":
		return bad("it has no key, channel or subject", "All three.")
	case len(head)+len(m.Text) > maxText:
		return bad("it is too long", "At most 64 KiB.")
	case m.Severity != Page && m.Severity != Ticket && m.Severity != Notice:
		return bad("its severity is "+m.Severity, "page, ticket or notice.")
	}
	return nil
}

// Queue puts prepared messages into a change. One that was queued before is left out, so
// a change may be tried again.
func (s *Service) Queue(ctx context.Context, tx *ledger.Tx, ps ...Prepared) error { // clause: mon.notify
	now := tx.Now().UnixMicro()
	for i := range ps {
		p := &ps[i]
		n, err := tx.Exec(ctx, insertDelivery, p.id, p.message, p.channel, p.about, p.severity, p.mark, p.repeat, now, p.to)
		if err != nil {
			return fmt.Errorf("queue a message: %w", err)
		}
		if n == 0 {
			continue
		}
		if _, err := tx.Exec(ctx, insertMessage, p.message, now, p.body); err != nil {
			return fmt.Errorf("queue a message: %w", err)
		}
		if err := s.Jobs.Enqueue(ctx, tx, p.job); err != nil {
			return err //nolint:wrapcheck // says which act
		}
	}
	return nil
}

const (
	insertMessage  = `INSERT INTO notify_message (id, made, box) VALUES ($1, $2, $3)`
	insertDelivery = `INSERT INTO notify_delivery (id, message, channel, about, severity, mark, repeat, state, tries, made, due, held, epoch, ended, code, box)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', 0, $8, $8, 0, 0, 0, '', $9) ON CONFLICT (mark) DO NOTHING`
)
