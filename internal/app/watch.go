package app

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/gateway/trail"
	"writ/internal/identity"
	"writ/internal/notify"
	"writ/internal/watch"
	"writ/internal/watch/feed"
	"writ/internal/watch/series"
	"writ/internal/watch/spend"
)

// WatchConf holds machine settings of watching and telling.
type WatchConf struct {
	Allow []string `yaml:"allow,omitempty"` // own networks that webhooks may lead to, such as 10.0.7.9 or 10.0.7.0/24
}

func (c WatchConf) check(bad func(key, got, want string) error) error {
	for _, s := range c.Allow {
		if n, err := proxyNet(s); err != nil || n.Bits() == 0 {
			return bad("watch.allow", s, "an address, or a prefix such as 10.0.7.0/24, and not everything")
		}
	}
	return nil
}

// watching are the parts that notice, and that tell people.
type watching struct {
	notify *notify.Service
	watch  *watch.Service
	feed   *feed.Service
	spend  *spend.Service
}

// Notify is the kit that tells people, for the demo's second way.
func (a *App) Notify() *notify.Service { return a.notify }

// alarmFolder takes messages where mail goes into a folder too: to try things out.
const alarmFolder = "alarms"

func (a *App) buildWatch() (err error) {
	company := func() string { return a.config.Company }
	d := notify.Deps{DB: a.db, Keys: a.ring, Mail: a.mail, Jobs: a.jobs, Company: company, Now: a.now, Log: a.log.With("module", "notify"),
		Tester: func(ctx context.Context) (string, error) { return a.watch.Tester(ctx) }}
	if !a.mail.Outside() {
		d.Folder = a.path(alarmFolder)
	}
	for _, s := range a.config.Watch.Allow {
		p, err := proxyNet(s)
		if err != nil { // the settings were checked
			return fmt.Errorf("watch.allow: %w", err)
		}
		d.Allow = append(d.Allow, p)
	}
	if a.notify, err = notify.New(d); err != nil {
		return err
	}
	a.watch, err = watch.New(watch.Deps{DB: a.db, Keys: a.ring, Access: a.access, Notify: a.notify, Rules: clause.NewLive[watch.Rules](a.now), Audience: a.audience, Origin: a.config.Origin(), Company: company,
		Folders: map[string]string{"data": a.dir}, Zone: time.Local, Sources: append(a.spending(), []watch.Source{
			{Name: "queue", Every: time.Minute, Read: a.readQueue},
			{Name: "journal", Every: 30 * time.Second, Read: a.readJournal},
			{Name: "certificate", Every: time.Hour, Read: a.readCertificate},
			{Name: "exports", Every: time.Minute, Read: a.readExports},
		}...), History: watchPast{a}, Now: a.now, Log: a.log.With("module", "watch")})
	if err != nil {
		return err
	}
	a.journal.Follow(watch.Followed, a.watch.Follow)
	if err := a.buildSpend(); err != nil {
		return err
	}
	return a.buildExport()
}

// audience is who is told of alarms: engineers first, where there are any, and owners with
// them when nobody acknowledged. Whoever never came in is told nothing.
func (a *App) audience(ctx context.Context, level int64) ([]watch.Person, error) { // clause: mon.notify
	who := actor.Actor{Kind: actor.Operator, ID: "watch", Via: "job"}
	var engineers, owners []watch.Person
	for after := ""; ; {
		ms, err := a.identity.Members(ctx, who, staffTeam, after)
		if err != nil {
			return nil, err
		}
		for _, m := range ms {
			isOwner, isEngineer := slices.Contains(m.Roles, "owner"), slices.Contains(m.Roles, "engineer")
			if !isOwner && !isEngineer {
				continue
			}
			p, err := a.identity.Show(ctx, who, m.Person)
			if err != nil {
				return nil, err
			}
			if p.State != "active" || p.Email == "" || p.Confirmed.IsZero() || p.Password.IsZero() {
				continue
			}
			if told := (watch.Person{ID: p.ID, Email: p.Email}); isEngineer {
				engineers = append(engineers, told)
			} else {
				owners = append(owners, told)
			}
		}
		if len(ms) < 200 {
			break
		}
		after = ms[len(ms)-1].Person
	}
	if level > 0 || len(engineers) == 0 {
		return append(engineers, owners...), nil
	}
	return engineers, nil
}

const staffTeam = "staff"

// overdue is how long work may wait for its turn before that is late.
const overdue = time.Minute

func (a *App) readQueue(ctx context.Context) ([]watch.Reading, error) {
	ws, err := a.jobs.Queue(ctx)
	if err != nil {
		return nil, err
	}
	late, failed := 0.0, 0.0
	for _, w := range ws {
		if w.State == "failed" {
			failed++
		} else if d := a.now().Sub(w.Due); d > overdue || w.Tries > 2 {
			late = max(late, a.now().Sub(w.Made).Seconds())
		}
	}
	return []watch.Reading{{Meter: "queue.overdue", Value: late}, {Meter: "queue.failed", Value: failed}}, nil
}

func (a *App) readJournal(ctx context.Context) ([]watch.Reading, error) {
	some, oldest, err := a.db.HasPending(ctx)
	if err != nil {
		return nil, err
	}
	waiting, broken := 0.0, 0.0
	if some {
		waiting = a.now().Sub(oldest).Seconds()
	}
	if a.journal.Stopped() != nil {
		broken = 1
	}
	h, err := a.journal.Head(ctx)
	if err != nil { // there is none yet
		return []watch.Reading{{Meter: "journal.waiting", Value: waiting}, {Meter: "journal.broken", Value: broken}}, nil //nolint:nilerr // the next look has one
	}
	n, err := a.journal.Cursor(ctx, watch.Followed)
	return []watch.Reading{{Meter: "journal.waiting", Value: waiting}, {Meter: "journal.broken", Value: broken}, {Meter: "watch.behind", Value: float64(h.Size - n)}}, err
}

// readCertificate gives the days until the certificate ends, below zero.
func (a *App) readCertificate(context.Context) ([]watch.Reading, error) {
	c, err := a.certs.Current()
	if err != nil {
		return nil, err
	}
	return []watch.Reading{{Meter: "certificate.used", Label: "https", Value: -c.Leaf.NotAfter.Sub(a.now()).Hours() / 24}}, nil
}

var canaryNet = netip.MustParsePrefix("127.77.0.0/16")

// streamed is longer than an answer takes: what lasts longer is a stream, and not late.
const streamed = 2 * time.Minute

// countRequest counts each request that has an access record, but those of canaries. The trail has
// the one inlet of requests; nothing is done here while one is under way.
func (a *App) countRequest(r *trail.Record) { // clause: mon.load
	if canaryNet.Contains(r.Addr.Unmap()) || strings.HasPrefix(r.Who.TeamKind, "canary") {
		return
	}
	a.watch.Answered(requestOf(r))
	a.watch.Tally().Add(r.Route, r.Method, r.Status, r.Took)
	if a.watch.WantsRecords() {
		f := a.trail.Show(r)
		a.watch.Record(answered(&f))
	}
}

// requestOf is what is counted of a request. Records are those that its path names, or as many as
// the application says it showed.
func requestOf(r *trail.Record) watch.Request {
	took := r.Took
	if took > streamed {
		took = 0
	}
	return watch.Request{At: r.At, Who: r.Who, Network: r.Network(), Agent: r.Agent, Route: r.Route, Status: r.Status, Refused: r.Code != "", Took: took, In: r.In, Out: r.Out, Records: max(len(r.Resource), int(r.Rows))}
}

// sent counts a letter that was handed over.
func (a *App) sent(kind string) {
	a.watch.Count(series.Event{At: a.now(), Meter: "mails", Labels: []series.Label{{Dimension: "kind", Value: kind}}})
}

// ownHabits adds what watch remembers of a person to their copy.
func (a *App) ownHabits(ctx context.Context, person string, d *identity.OwnData) error {
	p, found, err := a.watch.Habits(ctx, person)
	if err != nil || !found {
		return err
	}
	d.Habits = &identity.OwnHabits{First: time.Unix(p.First*60, 0).UTC(), Last: time.Unix(p.Last*60, 0).UTC(), Networks: p.Networks.Known(), Agents: p.Agents.Known(), Endpoints: p.Routes.Known(), Hours: p.Times()}
	return nil
}
