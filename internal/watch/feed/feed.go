package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/watch/export"
)

// The kinds of receivers.
const (
	Syslog = "syslog" // RFC 5424 over TLS
	OTLP   = "otlp"   // OTLP/HTTP, in JSON: entries as logs, and measurements
	OCSF   = "ocsf"   // lines of JSON in a folder
)

// Target is a receiver.
type Target struct {
	Name    string
	Kind    string
	Address string      // of syslog host:port, of OTLP a URL, of OCSF a folder
	Token   secret.Text // for OTLP
	Dial    Dial        // by TLS: it has proved who it is; for all but OCSF
}

// Access decides who may see how it stands.
type Access interface {
	Allow(ctx context.Context, who actor.Actor, action access.Action, object string) error
}

// Dial connects to an address that the settings name, and refuses one that leads inside.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// Deps are what a Service is made of. All are needed.
type Deps struct {
	DB        *ledger.DB
	Access    Access
	Targets   []Target
	DialPlain Dial // to what the settings name to be spoken to without encryption
	Canary    func(ctx context.Context, e *journal.Entry) (bool, error)
	Rule      func(id string) export.Rule
	Families  func(ctx context.Context) ([]export.Family, error)
	Host      string // the public name of this server
	Version   string
	Now       func() time.Time
	Log       *slog.Logger
}

// Service carries. It is safe for concurrent use.
type Service struct {
	Deps
	began   time.Time
	limit   time.Duration // of one batch
	targets []*target
}

// target is a receiver at work.
type target struct {
	Target
	s *Service

	mu      sync.Mutex
	waits   time.Time // since when the oldest entry that was not taken waits; zero: none does
	after   time.Time // the receiver asked to be left alone until then
	problem string    // why the last try went wrong
}

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Access == nil || d.DialPlain == nil || d.Canary == nil || d.Rule == nil || d.Families == nil || d.Host == "" || d.Now == nil || d.Log == nil {
		return nil, errors.New("feed: a dependency is missing")
	}
	s := &Service{Deps: d, began: d.Now(), limit: sendTime}
	for _, t := range d.Targets {
		if t.Dial == nil && t.Kind != OCSF {
			return nil, errors.New("feed: " + t.Name + " cannot be reached")
		}
		s.targets = append(s.targets, &target{Target: t, s: s})
	}
	return s, nil
}

// Followers are the receivers' followers of the journal, by name.
func (s *Service) Followers() map[string]func(context.Context, []journal.Entry) error {
	out := map[string]func(context.Context, []journal.Entry) error{}
	for _, t := range s.targets {
		out["export/"+t.Name] = t.follow
	}
	return out
}

const (
	sendTime  = 10 * time.Second
	mostReply = 64 << 10
)

// errRefused is what a receiver will never take.
var errRefused = errors.New("the receiver refuses it for good")

// sent is what came of some entries: of the first done, refused were refused for good.
type sent struct {
	done    int
	refused int64
	why     string
}

// follow sends entries and keeps the place. It goes on for a moment when the server stops:
// what a receiver took must be written down, or it would come again.
func (t *target) follow(ctx context.Context, entries []journal.Entry) error { // clause: mon.alarms
	r, err := t.row(ctx)
	if err != nil {
		return err
	}
	var es []journal.Entry
	for i := range entries {
		e := &entries[i]
		if e.N < r.next || e.At.Before(r.since) || e.Stream == droppedStream && e.Object == t.object() {
			continue
		}
		canary, err := t.s.Canary(ctx, e)
		if err != nil {
			return err
		}
		if !canary {
			es = append(es, *e)
		}
	}
	if len(es) == 0 {
		t.stands(time.Time{}, nil)
		return nil
	}
	if wait := t.left(); wait > 0 {
		return fmt.Errorf("%s asked to be left alone for %s", t.Name, wait)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.s.limit)
	defer cancel()
	out, err := t.send(ctx, &r, es)
	if out.done > 0 {
		r.next, r.taken = es[out.done-1].N+1, r.taken+int64(out.done)-out.refused
		if keep := t.keep(ctx, r, out, es[:out.done]); keep != nil {
			return keep
		}
	}
	if err != nil {
		t.stands(es[out.done].At, err)
		return fmt.Errorf("export to %s: %w", t.Name, err)
	}
	t.stands(time.Time{}, nil)
	return nil
}

func (t *target) send(ctx context.Context, r *row, es []journal.Entry) (sent, error) {
	switch t.Kind {
	case Syslog:
		return t.syslog(ctx, es)
	case OTLP:
		return t.logs(ctx, es)
	}
	return t.lines(r, es)
}

func (t *target) object() string { return "export/" + t.Name }

func (t *target) stands(waits time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waits, t.problem = waits, ""
	if err != nil {
		t.problem = err.Error()
	}
}

// left is how long the receiver still wants to be left alone.
func (t *target) left() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.after.Sub(t.s.Now())
}

// Late gives for each receiver how many minutes its oldest entry has waited.
func (s *Service) Late() map[string]float64 {
	out := map[string]float64{}
	for _, t := range s.targets {
		t.mu.Lock()
		if out[t.Name] = 0; !t.waits.IsZero() {
			out[t.Name] = s.Now().Sub(t.waits).Minutes()
		}
		t.mu.Unlock()
	}
	return out
}

// Run sends measurements each minute until ctx ends. One that is missed is not made up for:
// counters go on.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := s.Measure(ctx); err != nil && ctx.Err() == nil {
				s.Log.Warn("measurements could not be sent", "err", err)
			}
		}
	}
}

// Measure sends what is measured now to every receiver that takes it.
func (s *Service) Measure(ctx context.Context) error {
	var errs []error
	for _, t := range s.targets {
		if t.Kind != OTLP {
			continue
		}
		fs, err := s.Families(ctx)
		if err == nil {
			err = t.metrics(ctx, fs)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", t.Name, err))
		}
	}
	return errors.Join(errs...)
}

// row is a receiver as it stands in the table.
type row struct {
	next           int64     // the entry that comes next
	since          time.Time // of its first start: earlier entries are not sent
	taken, dropped int64
	at             time.Time // of the last
	file           string    // of a folder: which was written last, and how long it is
	size           int64
}

func (t *target) row(ctx context.Context) (r row, err error) {
	var since, at int64
	err = ledger.One(ctx, t.s.DB, selectExport, []any{&r.next, &since, &r.taken, &r.dropped, &at, &r.file, &r.size}, t.Name)
	if errors.Is(err, fault.NotFound) {
		since = t.s.Now().UnixMicro()
		err = t.s.DB.Quiet(ctx, ledger.Cursor, func(tx *ledger.Tx) error {
			_, err := tx.Exec(ctx, insertExport, t.Name, since)
			return err
		})
	}
	r.since, r.at = time.UnixMicro(since).UTC(), time.UnixMicro(at).UTC()
	return r, err //nolint:wrapcheck // the ledger says what failed
}

// keep writes down what was taken; what was refused for good is an entry.
func (t *target) keep(ctx context.Context, r row, out sent, es []journal.Entry) error {
	save := func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, updateExport, t.Name, r.next, r.taken, r.dropped+out.refused, tx.Now().UnixMicro(), r.file, r.size)
		return err
	}
	if out.refused == 0 {
		return t.s.DB.Quiet(ctx, ledger.Cursor, save) //nolint:wrapcheck // the ledger says what failed
	}
	_, err := t.s.DB.Change(ctx, actor.System("watch"), func(tx *ledger.Tx) (ledger.Event, error) {
		return Dropped{To: t.Name, From: es[0].N, Until: es[len(es)-1].N, Count: out.refused, Cause: out.why}, save(tx)
	})
	return err //nolint:wrapcheck // the ledger says what failed
}

const (
	selectExport = `SELECT n, since, taken, dropped, at, file, size FROM watch_export WHERE name = $1`
	insertExport = `INSERT INTO watch_export (name, n, since, taken, dropped, at, file, size) VALUES ($1, 0, $2, 0, 0, 0, '', 0) ON CONFLICT (name) DO NOTHING`
	updateExport = `UPDATE watch_export SET n = $2, taken = $3, dropped = $4, at = $5, file = $6, size = $7 WHERE name = $1`
)
