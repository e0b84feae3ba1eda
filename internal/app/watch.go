package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/gateway/trail"
	"writ/internal/identity"
	"writ/internal/journal"
	"writ/internal/journal/verify"
	"writ/internal/listen"
	"writ/internal/notify"
	"writ/internal/secret"
	"writ/internal/watch"
	"writ/internal/watch/feed"
	"writ/internal/watch/place"
	"writ/internal/watch/rota"
	"writ/internal/watch/series"
	"writ/internal/watch/spend"
)

// WatchConf holds machine settings of watching and telling.
type WatchConf struct {
	Allow     []string          `yaml:"allow,omitempty"`         // own networks that webhooks may lead to, such as 10.0.7.9 or 10.0.7.0/24
	Heartbeat string            `yaml:"heartbeat_url,omitempty"` // asked for each minute; whoever is there raises the alarm when that ends
	Locations string            `yaml:"locations,omitempty"`     // a table of where networks are: CSV of prefix, country, latitude, longitude
	Slack     *SlackConf        `yaml:"slack,omitempty"`         // an app of Slack whose button acknowledges alarms
	Commands  map[string]string `yaml:"commands,omitempty"`      // programs that a channel may start, by a name: pager: /usr/local/bin/page
}

// SlackConf is an app of Slack whose interactive requests come to /-/watch/slack.
type SlackConf struct {
	Secret string            `yaml:"signing_secret_file"` // in this folder or absolute
	People map[string]string `yaml:"people"`              // Slack's id of a person → the address that they confirmed here
}

var slackUser = regexp.MustCompile(`^[A-Z0-9]{5,30}$`)

func (c *SlackConf) check(bad func(key, got, want string) error) error {
	if c.Secret == "" || len(c.People) == 0 {
		return bad("watch.slack", "a part of it", "signing_secret_file and people, such as {U02ABCDEF: ana@example.com}")
	}
	for id, address := range c.People {
		if !slackUser.MatchString(id) || !strings.Contains(address, "@") {
			return bad("watch.slack.people", id+": "+address, "Slack's id of a person, such as U02ABCDEF, and the address that they confirmed here")
		}
	}
	return nil
}

var goodCommand = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

func (c WatchConf) check(bad func(key, got, want string) error) error {
	for _, s := range c.Allow {
		if n, err := proxyNet(s); err != nil || n.Bits() == 0 {
			return bad("watch.allow", s, "an address, or a prefix such as 10.0.7.0/24, and not everything")
		}
	}
	for name, path := range c.Commands {
		if !goodCommand.MatchString(name) || !filepath.IsAbs(path) || filepath.Clean(path) != path {
			return bad("watch.commands", name+": "+path, "a name of small letters, digits and hyphens, and the whole path of a program without arguments")
		}
	}
	if c.Slack != nil {
		if err := c.Slack.check(bad); err != nil {
			return err
		}
	}
	if c.Locations != "" && !filepath.IsAbs(c.Locations) {
		return bad("watch.locations", c.Locations, "the whole path of a CSV file with prefix,country,latitude,longitude")
	}
	if c.Heartbeat == "" {
		return nil
	}
	u, err := url.Parse(c.Heartbeat)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || len(c.Allow) == 0) {
		return bad("watch.heartbeat_url", "what is there", "an address such as https://listener.example.com/…, without a user; http only beside watch.allow")
	}
	return nil
}

// watching are the parts that notice, and that tell people.
type watching struct {
	notify    *notify.Service
	watch     *watch.Service
	elsewhere elsewhere
	feed      *feed.Service
	spend     *spend.Service
	rota      *rota.Service
	open      listen.Count // connections of the public door
}

// Notify is the kit that tells people, for the demo's second way.
func (a *App) Notify() *notify.Service { return a.notify }

// alarmFolder takes messages where mail goes into a folder too: to try things out.
const alarmFolder = "alarms"

func (a *App) buildWatch() (err error) {
	company := func() string { return a.config.Company }
	d := notify.Deps{DB: a.db, Keys: a.ring, Mail: a.mail, Jobs: a.jobs, Company: company, Now: a.now, Log: a.log.With("module", "notify"),
		Tester:   func(ctx context.Context) (string, error) { return a.watch.Tester(ctx) },
		Commands: a.config.Watch.Commands,
		Inbox:    a.config.Mail.Reports, Read: a.readReport,
		Keepers: func() []notify.Keeper { return []notify.Keeper{a.incident, a.status} }}
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
	if a.rota, err = rota.New(rota.Deps{DB: a.db, Access: a.access, Notify: a.notify, People: a.tellable, Origin: a.config.Origin(), Now: a.now}); err != nil {
		return err
	}
	places, err := loadPlaces(a.config.Watch.Locations)
	if err != nil {
		return err
	}
	var slack *watch.Slack
	if c := a.config.Watch.Slack; c != nil {
		b, err := a.readSecret(c.Secret)
		if err != nil {
			return fmt.Errorf("watch.slack: %w", err)
		}
		slack = &watch.Slack{Key: secret.NewBytes([]byte(strings.TrimSpace(string(b)))), People: c.People}
	}
	a.watch, err = watch.New(watch.Deps{Slack: slack, DB: a.db, Keys: a.ring, Access: a.access, Notify: a.notify, Rules: clause.NewLive[watch.Rules](a.now), Audience: a.audience, InRoles: a.inRoles, Origin: a.config.Origin(), Company: company,
		Folders: map[string]string{"data": a.dir}, Zone: time.Local, Sources: append(a.spending(), []watch.Source{
			{Name: "database", Every: 30 * time.Second, Read: a.readDatabase},
			{Name: "clock", Every: time.Minute, Read: a.readClock},
			{Name: "queue", Every: time.Minute, Read: a.readQueue},
			{Name: "journal", Every: 30 * time.Second, Read: a.readJournal},
			{Name: "certificate", Every: time.Hour, Read: a.readCertificate},
			{Name: "status-page", Every: time.Minute, Read: a.readCopies},
			{Name: "exports", Every: time.Minute, Read: a.readExports},
			{Name: rota.Looked, Every: rota.Every, Read: a.readRotas},
		}...), History: watchPast{a}, Journal: a.journal, Exists: a.linked, Maintenance: a.inMaintenance, Worked: func(on string) string { return a.status.Worked(on) }, Node: nodeName(), Outside: a.outside(), Places: places, Now: a.now, Log: a.log.With("module", "watch")})
	if err != nil {
		return err
	}
	a.journal.Follow(watch.Followed, a.watch.Follow)
	a.journal.Follow("notify", a.followAlarms)
	if err := a.buildSpend(); err != nil {
		return err
	}
	return a.buildExport()
}

// linked says whether there is a clause or an incident of this name.
func (a *App) linked(ctx context.Context, who actor.Actor, kind, id string) error {
	if kind == "incident" {
		_, err := a.incident.Show(ctx, who, id)
		return err
	}
	m, err := a.policy.Current()
	if err != nil {
		return err
	}
	if _, ok := m.Policy.Clause(id); !ok {
		return fault.Newf(fault.NotFound, "no_clause", "The policy in force has no clause %s.", id)
	}
	return nil
}

// AskRule asks the rule of an alarm again about what its bundle holds, without a server.
func AskRule(a verify.Alarm) (string, error) { return watch.Asked(a) }

// loadPlaces reads the table of where networks are, where the settings name one.
func loadPlaces(path string) (*place.Table, error) { // clause: mon.abnormal
	if path == "" {
		return nil, nil //nolint:nilnil // there is none, and the rules that need it say so
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("watch.locations: %w", err)
	}
	defer f.Close()
	t, err := place.Load(f)
	if err != nil {
		return nil, fmt.Errorf("watch.locations: %s: %w", path, err)
	}
	return t, nil
}

// nodeName is this machine's name, for its heartbeat.
func nodeName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// outside asks for the address whose owner raises the alarm when nobody asks any more; nil = there
// is none. The address may hold a secret, so no error names it.
func (a *App) outside() func(ctx context.Context) error { // clause: mon.alarms
	at := a.config.Watch.Heartbeat
	if at == "" {
		return nil
	}
	tr := &http.Transport{Proxy: nil, DialContext: a.notify.Dial, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: 5 * time.Second, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10}
	if strings.HasPrefix(at, "http:") {
		tr.DialContext = a.notify.DialPlain
	}
	client := &http.Client{Transport: tr, Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
		if err != nil {
			return errors.New("the address cannot be asked for")
		}
		r.Header.Set("User-Agent", "Writ")
		before := a.now()
		resp, err := client.Do(r)
		if err != nil {
			var u *url.Error
			if errors.As(err, &u) {
				err = u.Err
			}
			return fmt.Errorf("no answer: %w", err)
		}
		defer resp.Body.Close()
		if resp.StatusCode < 200 || resp.StatusCode > 299 {
			return fmt.Errorf("the answer was %d", resp.StatusCode)
		}
		if said, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			a.elsewhere.note(before, said, a.now())
		}
		return nil
	}
}

// elsewhere is a clock outside, as an answer told it.
type elsewhere struct {
	mu  sync.Mutex
	at  time.Time
	off time.Duration
}

// note takes a time that was told to the second between two moments of this clock. It is as far off as
// neither that second nor the way explains.
func (e *elsewhere) note(before, said, after time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.at, e.off = after, max(before.Sub(said)-time.Second, said.Sub(after), 0)
}

// lately is for how long what a clock outside told stands; it is asked each minute.
const lately = 5 * time.Minute

// readClock compares this clock with one outside, where somebody there is told that the server
// watches. That of the database is read with it.
func (a *App) readClock(context.Context) ([]watch.Reading, error) { // clause: mon.alarms
	a.elsewhere.mu.Lock()
	defer a.elsewhere.mu.Unlock()
	if a.elsewhere.at.IsZero() || a.now().Sub(a.elsewhere.at) > lately {
		return nil, nil
	}
	return []watch.Reading{{Meter: clockOff, Label: "outside", Value: a.elsewhere.off.Seconds()}}, nil
}

const clockOff = "host.clock-off"

// inMaintenance reports whether the application is closed on purpose.
func (a *App) inMaintenance() bool {
	mode, _ := a.gateway.Mode()
	return mode == gateway.Maintenance
}

// followAlarms tells ways that keep alarms of their own what became of one.
func (a *App) followAlarms(ctx context.Context, es []journal.Entry) error { // clause: mon.notify
	acts := map[string]string{"watch.alarm-acknowledged": notify.Acknowledge, "watch.alarm-cleared": notify.Resolve, "watch.alarm-closed": notify.Resolve}
	for i := range es {
		if act := acts[es[i].Stream]; act != "" {
			if err := a.notify.Follow(ctx, es[i].Object, act, es[i].N); err != nil {
				return err
			}
		}
	}
	return nil
}

// audience is who is told of alarms: whose turn it is, where there is a rota; else engineers
// first, where there are any, and owners with them when nobody acknowledged.
func (a *App) audience(ctx context.Context, level int64) ([]watch.Person, error) { // clause: mon.notify
	told, ok, err := a.rota.Told(ctx, level)
	if err != nil {
		return nil, err
	}
	if !ok || level >= watch.Everybody {
		all, err := a.tellable(ctx)
		if err != nil {
			return nil, err
		}
		told = slices.DeleteFunc(slices.Clone(all), func(p rota.Person) bool { return !p.Engineer })
		if level > 0 || len(told) == 0 {
			told = all
		}
	}
	return toWatch(told), nil
}

func toWatch(told []rota.Person) []watch.Person {
	out := make([]watch.Person, 0, len(told))
	for _, p := range told {
		out = append(out, watch.Person{ID: p.ID, Handle: p.Handle, Email: p.Email})
	}
	return out
}

// inRoles are those of the staff with one of some roles who can be told. Whoever is told of an alarm is
// asked to look, so a role counts only where it may read alarms and acknowledge them.
func (a *App) inRoles(ctx context.Context, roles []string) ([]watch.Person, error) { // clause: mon.notify
	var may []string
	for _, name := range roles {
		if r, ok := a.access.Role(name); ok && r.Has(access.WatchRead) && r.Has(access.WatchAct) {
			may = append(may, name)
		}
	}
	if len(may) == 0 {
		return nil, nil
	}
	told, err := a.reachable(ctx, may)
	return toWatch(told), err
}

// tellable are the engineers, and the owners after them.
func (a *App) tellable(ctx context.Context) ([]rota.Person, error) { // clause: mon.notify
	all, err := a.reachable(ctx, []string{"engineer", "owner"})
	owner := func(p rota.Person) bool { return !p.Engineer }
	return append(slices.DeleteFunc(slices.Clone(all), owner), slices.DeleteFunc(all, func(p rota.Person) bool { return !owner(p) })...), err
}

// reachable are those of the staff with one of some roles. Whoever never came in is told nothing.
func (a *App) reachable(ctx context.Context, roles []string) (out []rota.Person, err error) {
	who := actor.Actor{Kind: actor.Operator, ID: "watch", Via: "job"}
	for after := ""; ; {
		ms, err := a.identity.Members(ctx, who, staffTeam, after)
		if err != nil {
			return nil, err
		}
		for _, m := range ms {
			if !slices.ContainsFunc(m.Roles, func(role string) bool { return slices.Contains(roles, role) }) {
				continue
			}
			p, err := a.identity.Show(ctx, who, m.Person)
			if err != nil {
				return nil, err
			}
			if p.State == "active" && p.Email != "" && !p.Confirmed.IsZero() && !p.Password.IsZero() {
				out = append(out, rota.Person{ID: p.ID, Handle: p.Handle, Email: p.Email, Owner: slices.Contains(m.Roles, "owner"), Engineer: slices.Contains(m.Roles, "engineer")})
			}
		}
		if len(ms) < 200 {
			return out, nil
		}
		after = ms[len(ms)-1].Person
	}
}

// readRotas announces turns and says where nobody could be told.
func (a *App) readRotas(ctx context.Context) (out []watch.Reading, err error) {
	rs, err := a.rota.Look(ctx)
	for _, r := range rs {
		out = append(out, watch.Reading{Meter: "oncall.gap", Label: r.Label, Value: r.Value})
	}
	return out, err
}

const staffTeam = "staff"

// overdue is how long work may wait for its turn before that is late.
const overdue = time.Minute

// readDatabase gives what the database has; what it has not is left out, and its rules say that they
// are unbound.
func (a *App) readDatabase(ctx context.Context) ([]watch.Reading, error) { // clause: mon.load
	h, err := a.db.Health(ctx)
	if err != nil {
		return nil, err
	}
	out := []watch.Reading{{Meter: "db.connections", Label: "pool", Value: h.Pool}, {Meter: "db.connections", Label: "gate", Value: a.open.Share()}, {Meter: "db.commit", Value: float64(h.Commit.Microseconds()) / 1000}}
	if h.Server != nil {
		out = append(out, watch.Reading{Meter: "db.connections", Label: "server", Value: *h.Server})
	}
	if h.Log != nil {
		out = append(out, watch.Reading{Meter: "db.log", Value: float64(*h.Log)})
	}
	if h.Archive != nil {
		out = append(out, watch.Reading{Meter: "db.archive", Value: h.Archive.Seconds()})
	}
	if h.Waiting != nil {
		out = append(out, watch.Reading{Meter: "db.waiting", Value: float64(*h.Waiting)})
	}
	if h.Dead != nil {
		out = append(out, watch.Reading{Meter: "db.dead", Value: *h.Dead})
	}
	if h.Clock != nil {
		out = append(out, watch.Reading{Meter: clockOff, Label: "database", Value: h.Clock.Seconds()})
	}
	for _, r := range h.Replicas {
		out = append(out, watch.Reading{Meter: "db.lag", Label: r.Name, Value: r.Lag.Seconds()}, watch.Reading{Meter: "db.lag-bytes", Label: r.Name, Value: float64(r.Bytes)})
	}
	return out, nil
}

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
	return []watch.Reading{{Meter: "journal.waiting", Value: waiting}, {Meter: "journal.broken", Value: broken}, {Meter: "watch.behind", Value: float64(h.Size - n)}, {Meter: "journal.unsigned", Value: float64(a.now().Sub(h.Signed)) / float64(a.journal.Cadence())}}, err
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
	d.Habits = &identity.OwnHabits{First: time.Unix(p.First*60, 0).UTC(), Last: time.Unix(p.Last*60, 0).UTC(), Networks: p.Networks.Known(), Agents: p.Agents.Known(), Endpoints: p.Routes.Known(), Countries: p.Countries.Known(), Hours: p.Times()}
	return nil
}

// runIntake takes notices about deliveries where the settings name a place for them.
func (a *App) runIntake(ctx context.Context) error {
	at := a.config.Mail.Bounces
	if at == "" {
		<-ctx.Done()
		return nil
	}
	l, err := notify.ListenIntake(at)
	if err != nil {
		return err
	}
	return a.notify.Intake(ctx, l)
}
