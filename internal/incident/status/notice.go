package status

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	letters "writ/internal/mail"
	"writ/internal/notify"
	"writ/internal/secret"
)

const (
	noticeKind  = "incident.notice"  // of the jobs that tell a subscriber by letter
	hookKind    = "incident.hook"    // of those that call a webhook: anybody may name one that never answers
	spreadKind  = "incident.notices" // of those that queue them for all
	atOnce      = 100                // subscribers in one change, whose time is limited
	mostNotices = 12                 // tries of one notice
	mostRefused = 5                  // messages that a subscriber refuses one after another
	keepNotices = 90 * 24 * time.Hour
)

// How a notice to a subscriber ended.
const (
	wasTold    = "told"
	wasRefused = "refused"
	wasHanded  = "unknown" // handed over, and no answer: it is not sent again
)

// Telling is that subscribers are told of something. It is prepared before the change that it
// goes in; a job then walks through them, however many there are.
type Telling struct {
	job jobs.Job
	n   int64
}

// Letters counts whom it goes to.
func (t Telling) Letters() int64 { return t.n }

// spreading is what the job that walks through the subscribers knows.
type spreading struct {
	About   string   `json:"about"`
	What    string   `json:"what"`
	Touched []string `json:"touched,omitempty"` // ids of components
	Made    int64    `json:"made"`
}

// Tell prepares to tell subscribers of a post, which has its id already. Queue it in its change.
func (s *Service) Tell(ctx context.Context, p Post) (Telling, error) {
	touched := sorted(p.Touched)
	before, err := s.Posts(ctx, p.Case)
	if err != nil {
		return Telling{}, err
	}
	for _, x := range before {
		for _, t := range x.Touched {
			id, _ := split(t)
			touched = append(touched, id)
		}
	}
	return s.telling(ctx, spreading{About: "incident/" + p.Case, What: p.ID, Touched: touched})
}

// tellOf prepares to tell subscribers of maintenance.
func (s *Service) tellOf(ctx context.Context, w Window, what string) (Telling, error) {
	return s.telling(ctx, spreading{About: "window/" + w.ID, What: what, Touched: w.Touched})
}

func (s *Service) telling(ctx context.Context, x spreading) (t Telling, err error) {
	x.Made = us(s.Now())
	for after, more := "", true; more; {
		var some []listener
		if some, after, more, err = s.listeners(ctx, x.Touched, after); err != nil {
			return Telling{}, err
		}
		t.n += int64(len(some))
	}
	b, err := json.Marshal(x)
	if err != nil {
		return Telling{}, fmt.Errorf("encode whom to tell: %w", err)
	}
	t.job, err = s.Jobs.Prepare(ctx, spreadKind, b)
	return t, err
}

// listener is a subscriber, and the kind of the job that tells it.
type listener struct{ id, job string }

// listeners are some of those who want to hear of one of the components, after a subscriber.
// What touches none that is known goes to everybody.
func (s *Service) listeners(ctx context.Context, touched []string, after string) (out []listener, last string, more bool, err error) {
	seen := 0
	err = s.DB.Each(ctx, listening, func(scan ledger.Scan) error {
		var parts, kind string
		if err := scan(&last, &parts, &kind); err != nil {
			return err
		}
		seen++
		job := noticeKind
		if kind == byHook {
			job = hookKind
		}
		wants := strings.Fields(parts)
		if len(wants) == 0 || len(touched) == 0 || slices.ContainsFunc(wants, func(c string) bool { return slices.Contains(touched, c) }) {
			out = append(out, listener{last, job})
		}
		return nil
	}, after, atOnce)
	if err != nil {
		return nil, "", false, fmt.Errorf("read subscribers: %w", err)
	}
	return out, last, seen == atOnce, nil
}

// Queue puts what was prepared into its change.
func (s *Service) Queue(ctx context.Context, tx *ledger.Tx, t Telling) error {
	if _, err := tx.Exec(ctx, dropOldNotices, us(tx.Now().Add(-keepNotices))); err != nil {
		return err
	}
	return s.Jobs.Enqueue(ctx, tx, t.job)
}

// spread gives each subscriber their notice, some in a change. An older notice about the same
// thing that was not sent yet gives way: it would tell of what is over. It bears being run
// twice: whoever has this notice does not get it again.
func (s *Service) spread(ctx context.Context, payload secret.Bytes) error {
	var x spreading
	if err := json.Unmarshal(payload.Reveal(), &x); err != nil {
		return errors.New("tell subscribers: the job holds something else")
	}
	if about, id, _ := strings.Cut(x.About, "/"); about == "incident" {
		newest, err := s.Newest(ctx, s.DB, id)
		if err != nil || newest.ID != x.What {
			return err // the job of the newer one tells them
		}
	}
	for after, more := "", true; more; {
		some, last, again, err := s.listeners(ctx, x.Touched, after)
		if err != nil {
			return err
		}
		if after, more = last, again; len(some) == 0 {
			continue
		}
		each := make([]jobs.Job, len(some))
		for i, l := range some {
			if each[i], err = s.Jobs.Prepare(ctx, l.job, []byte(l.id+" "+x.About)); err != nil {
				return err
			}
		}
		if err := s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
			for i, l := range some {
				n, err := tx.Exec(ctx, putNotice, l.id, x.About, x.What, x.Made)
				if err == nil && n == 1 {
					err = s.Jobs.Enqueue(ctx, tx, each[i])
				}
				if err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return s.quietly(ctx, setSpread, x.What, us(s.Now()))
}

// Waiting counts the subscribers whose notice about an incident has no end yet: it is neither
// told nor refused, and they are not suspended. -1: a job has not looked for them all yet.
func (s *Service) Waiting(ctx context.Context, r ledger.Reader, caseID string) (n int64, err error) { // clause: inc.tell-affected
	var spread *int64
	if err := ledger.One(ctx, r, newestSpread, []any{&spread}, caseID); errors.Is(err, fault.NotFound) {
		return 0, nil
	} else if err != nil {
		return 0, fmt.Errorf("read posts: %w", err)
	}
	if spread == nil {
		return -1, nil
	}
	err = ledger.One(ctx, r, countWaiting, []any{&n}, "incident/"+caseID)
	return n, err
}

// notice is one row, with whom it goes to.
type notice struct {
	subscriber, about, what, kind string
	box                           []byte
	tries                         int64
}

// id is the same at each try, so that whoever gets it twice knows.
func (n notice) id() string {
	h := sha256.Sum256([]byte(n.subscriber + "\x00" + n.about + "\x00" + n.what))
	return hex.EncodeToString(h[:16])
}

// outcome is how a try ended; state "" = it is tried again.
type outcome struct{ state, code string }

// notify does one try of a notice. It bears being run twice: the second run finds it told.
func (s *Service) notify(ctx context.Context, payload secret.Bytes) error {
	var n notice
	n.subscriber, n.about, _ = strings.Cut(string(payload.Reveal()), " ")
	if err := ledger.One(ctx, s.DB, oneNotice, []any{&n.what, &n.kind, &n.box, &n.tries}, n.subscriber, n.about); errors.Is(err, fault.NotFound) {
		return nil // told by the job of an older one, or unsubscribed
	} else if err != nil {
		return err
	}
	if err := s.overtaken(ctx, &n); err != nil {
		return err
	}
	to, err := keyring.OpenBox(ctx, s.Ring, boxed(boxColumn, n.subscriber), n.box)
	if errors.Is(err, fault.Gone) {
		return nil // unsubscribed at this moment
	}
	if err != nil {
		return err
	}
	m, err := s.said(ctx, n)
	if err != nil {
		return err
	}
	end, err := s.unsubscribeToken(ctx, n.subscriber)
	if err != nil {
		return err
	}
	var out outcome
	if n.kind == byHook {
		out, err = s.toHook(ctx, n, m, to, end)
	} else {
		out, err = s.toAddress(ctx, n, m, string(to.Reveal()), end)
	}
	if err != nil {
		return err
	}
	return s.endNotice(ctx, n, out)
}

// overtaken makes a notice one of the newest post, where another came after its own.
func (s *Service) overtaken(ctx context.Context, n *notice) error { // clause: inc.updates
	about, id, _ := strings.Cut(n.about, "/")
	if about != "incident" {
		return nil
	}
	newest, err := s.Newest(ctx, s.DB, id)
	if err != nil || newest.ID == n.what {
		return err
	}
	err = s.quietly(ctx, moveNotice, n.subscriber, n.about, n.what, newest.ID)
	n.what = newest.ID
	return err
}

// endNotice writes down how a try ended. Where a newer notice has come meanwhile, that one
// waits, with a job of its own.
func (s *Service) endNotice(ctx context.Context, n notice, out outcome) error {
	switch {
	case out.state == "" && n.tries+1 < mostNotices:
		err := s.quietly(ctx, retryNotice, n.subscriber, n.about, n.what, out.code)
		return errors.Join(err, fault.Newf(fault.Unavailable, "notice_waits", "A subscriber was not reached (%s).", out.code))
	case out.state == "":
		out = outcome{wasRefused, "gave_up"}
	case out.code == strconv.Itoa(http.StatusGone) && n.kind == byHook: // it wants no more, says Standard Webhooks
		return s.drop(ctx, actor.System("incident-status"), n.subscriber, Unsubscribed{Subscriber: n.subscriber})
	}
	write := func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, endNotice, n.subscriber, n.about, n.what, out.state, out.code, us(tx.Now()))
		return err
	}
	silent := n.kind == byHook && out.state == wasHanded // it took the message, and our time
	if out.state != wasRefused && !silent {
		return s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
			_, err := tx.Exec(ctx, heard, n.subscriber)
			return errors.Join(err, write(tx))
		})
	}
	var times int64
	if err := ledger.One(ctx, s.DB, refusedTimes, []any{&times}, n.subscriber); err != nil {
		return err
	}
	if times+1 < mostRefused {
		return s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
			_, err := tx.Exec(ctx, countRefused, n.subscriber)
			return errors.Join(err, write(tx))
		})
	}
	_, err := s.DB.Change(ctx, actor.System("incident-status"), func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(ctx, suspend, n.subscriber, us(tx.Now()))
		return SubscriptionSuspended{Subscriber: n.subscriber, Refused: times + 1, Code: out.code}, errors.Join(err, write(tx))
	})
	return err
}

func (s *Service) quietly(ctx context.Context, query string, args ...any) error {
	return s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
}

// saying is what a notice says, to people and to programs.
type saying struct {
	kind  string // of the letter
	title string
	lines []string
	about string // Standard Webhooks' type
	data  hookData
}

// said is the notice in words, from what stands on the page: the post is read when it is sent,
// and not when it was queued.
func (s *Service) said(ctx context.Context, n notice) (saying, error) {
	about, id, _ := strings.Cut(n.about, "/")
	if about == "window" {
		ws, err := windows(ctx, s.DB, oneWindow, id)
		if err != nil || len(ws) == 0 {
			return saying{}, errors.Join(err, fault.Newf(fault.Invalid, "window_unknown", "The maintenance is gone."))
		}
		w := ws[0]
		lines := []string{w.Title, "From " + stamp(w.Starts) + " until " + stamp(w.Ends) + "."}
		if w.Body != "" {
			lines = append(lines, strings.Split(w.Body, "\n\n")...)
		}
		x := world{Origin: s.Origin}.wireWindow(w)
		return saying{"incident.maintenance", n.what, lines, "status.maintenance", hookData{Says: n.what, Maintenance: &x}}, nil
	}
	ps, err := posts(ctx, s.DB, onePost, n.what)
	if err != nil || len(ps) == 0 {
		return saying{}, errors.Join(err, fault.Newf(fault.Invalid, "update_unknown", "The update is gone."))
	}
	p := Public{Posts: ps}
	var made int64
	var ended *int64
	if err := ledger.One(ctx, s.DB, publicRow, []any{&p.ID, &p.Title, &p.Impact, &made, &ended}, id); err != nil {
		return saying{}, err
	}
	p.Made, p.Ended = at(made), when(ended)
	return s.sayingOf(ctx, p)
}

// sayingOf is the newest post about an incident in words.
func (s *Service) sayingOf(ctx context.Context, p Public) (saying, error) {
	cs, err := s.Components(ctx)
	if err != nil {
		return saying{}, err
	}
	w := world{Origin: s.Origin, names: map[string]string{}}
	for _, c := range cs {
		w.names[c.ID], w.Components = c.Name, append(w.Components, bar{Component: c})
	}
	x := w.wireIncident(p)
	return saying{"incident.update", Word(p.State()) + ": " + p.Title, strings.Split(told(p.Posts[0]), "\n\n"), "status.incident", hookData{Says: Word(p.State()) + ": " + p.Title, Incident: &x}}, nil
}

// letter is a notice to an address, which ends by a token.
func (s *Service) letter(m saying, to, end string) (letters.Message, error) {
	return letters.Letter{Company: s.Company(), Title: m.title, Lines: m.lines, Link: &letters.Link{Text: "See it on the status page", URL: s.Origin + At},
		Foot: []string{"You asked to be told of incidents. To choose what you are told of: " + s.Origin + At + "/manage/" + end, "To end this: " + s.Origin + At + "/unsubscribe/" + end}}.Message(to, m.kind)
}

// hookOf is what a webhook carries of a notice.
func (s *Service) hookOf(m saying, end string) hookBody {
	m.data.Page, m.data.Unsubscribe = s.Origin+At, s.Origin+At+"/unsubscribe/"+end
	return hookBody{m.about, s.Now().UTC(), m.data}
}

// toAddress sends a letter now.
func (s *Service) toAddress(ctx context.Context, n notice, m saying, to, end string) (outcome, error) {
	msg, err := s.letter(m, to, end)
	if err != nil {
		return outcome{}, err
	}
	msg.ID, msg.Unsubscribe = letterOf+n.subscriber+"."+n.id()+"@writ", s.Origin+At+"/unsubscribe/"+end
	a, err := s.Courier.Deliver(ctx, msg)
	code := strconv.Itoa(a.Code)
	switch {
	case err == nil:
		return outcome{wasTold, code}, nil
	case a.Code >= 500 && a.Code < 600, errors.Is(err, fault.Invalid):
		return outcome{wasRefused, code}, nil
	case a.Handed && a.Code == 0:
		return outcome{wasHanded, "no_answer"}, nil
	}
	return outcome{"", code}, nil
}

// toHook sends a webhook now.
func (s *Service) toHook(ctx context.Context, n notice, m saying, box secret.Bytes, end string) (outcome, error) {
	h, err := readHook(box)
	if err != nil {
		return outcome{}, err
	}
	body, err := json.Marshal(s.hookOf(m, end))
	if err != nil {
		return outcome{}, fmt.Errorf("encode a notice: %w", err)
	}
	r := s.Hooks.Call(ctx, notify.Call{ID: n.id(), URL: h.address, Key: h.key, Body: body})
	switch r.State {
	case notify.Accepted:
		return outcome{wasTold, r.Code}, nil
	case notify.Rejected:
		return outcome{wasRefused, r.Code}, nil
	case notify.Unknown:
		return outcome{wasHanded, r.Code}, nil
	}
	return outcome{"", r.Code}, nil
}

// SubscriptionSuspended is a subscriber who refused too many messages, and is told nothing until
// they confirm again.
type SubscriptionSuspended struct {
	Subscriber string `class:"public"`
	Refused    int64  `class:"public"`
	Code       string `class:"public"` // of the last one
}

// About implements ledger.Event.
func (e SubscriptionSuspended) About() ledger.About {
	return ledger.About{Name: "incident.subscription-suspended", Object: "subscriber/" + e.Subscriber}
}

const (
	listening = `SELECT id, parts, kind FROM incident_status_subscriber WHERE confirmed IS NOT NULL AND suspended IS NULL AND id > $1 ORDER BY id LIMIT $2`
	putNotice = `INSERT INTO incident_status_notice (subscriber, about, what, state, code, tries, made, ended) VALUES ($1, $2, $3, 'queued', '', 0, $4, NULL)
		ON CONFLICT (subscriber, about) DO UPDATE SET what = excluded.what, state = 'queued', code = '', tries = 0, ended = NULL,
		made = CASE WHEN incident_status_notice.state = 'queued' THEN incident_status_notice.made ELSE excluded.made END
		WHERE incident_status_notice.what <> excluded.what AND incident_status_notice.made <= excluded.made`
	oneNotice = `SELECT n.what, s.kind, s.box, n.tries FROM incident_status_notice n JOIN incident_status_subscriber s ON s.id = n.subscriber
		WHERE n.subscriber = $1 AND n.about = $2 AND n.state = 'queued' AND s.suspended IS NULL`
	retryNotice    = `UPDATE incident_status_notice SET tries = tries + 1, code = $4 WHERE subscriber = $1 AND about = $2 AND what = $3 AND state = 'queued'`
	moveNotice     = `UPDATE incident_status_notice SET what = $4 WHERE subscriber = $1 AND about = $2 AND what = $3 AND state = 'queued'`
	endNotice      = `UPDATE incident_status_notice SET state = $4, code = $5, ended = $6, tries = tries + 1 WHERE subscriber = $1 AND about = $2 AND what = $3 AND state = 'queued'`
	dropOldNotices = `DELETE FROM incident_status_notice WHERE ended <= $1`
	heard          = `UPDATE incident_status_subscriber SET refused = 0 WHERE id = $1 AND refused > 0`
	refusedTimes   = `SELECT refused FROM incident_status_subscriber WHERE id = $1`
	countRefused   = `UPDATE incident_status_subscriber SET refused = refused + 1 WHERE id = $1`
	suspend        = `UPDATE incident_status_subscriber SET refused = refused + 1, suspended = $2 WHERE id = $1`
	publicRow      = `SELECT id, title, impact, made, ended FROM incident_status_public WHERE case_id = $1`
	setSpread      = `UPDATE incident_status_update SET spread = $2 WHERE id = $1 AND spread IS NULL`
	newestSpread   = `SELECT u.spread FROM incident_status_update u JOIN incident_status_public p ON p.id = u.public_id WHERE p.case_id = $1 ORDER BY u.at DESC, u.id DESC LIMIT 1`
	countWaiting   = `SELECT COUNT(*) FROM incident_status_notice n JOIN incident_status_subscriber s ON s.id = n.subscriber WHERE n.about = $1 AND n.state = 'queued' AND s.suspended IS NULL`
	onePost        = postColumns + ` WHERE u.id = $1`
)
