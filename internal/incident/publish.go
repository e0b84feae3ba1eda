package incident

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/incident/post"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/secret"
)

// postKind is the kind of the jobs that post to another network, with a lane for each account.
const postKind = "incident.post"

const mostPosts = 12 // tries of one post

// Outlet is an account on another network, for a channel of the policy.
type Outlet struct {
	Name    string // of its own
	Channel string // of the policy, such as social
	Network string
	Sender  post.Sender
}

// Sent is a post on another network, and what is known of it.
type Sent struct {
	Channel, Network, Account, Update string
	State                             string // queued, sending, posted, rejected, unknown
	URL, Code                         string
	Tries                             int64
	Made, Ended                       time.Time
}

// dispatch is a post to an outlet, made outside the change that queues it.
type dispatch struct {
	id  string
	out Outlet
	job jobs.Job
}

func (s *Service) dispatches(ctx context.Context) ([]dispatch, error) {
	var all []dispatch
	for _, o := range s.Outlets {
		d := dispatch{id: s.DB.ID(), out: o}
		var err error
		if d.job, err = s.Queue.Prepare(ctx, postKind+"/"+o.Name, []byte(d.id)); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// dispatch queues what stands on the page now for every outlet: each has a row and a job of its
// own, so that one that fails delays no other.
func (s *Service) dispatch(ctx context.Context, tx *ledger.Tx, c Case, all []dispatch) error { // clause: inc.public-notice
	if len(all) == 0 {
		return nil
	}
	update, link, text, err := s.Page.Say(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	for _, d := range all {
		if _, err := tx.Exec(ctx, insertPost, d.id, c.ID, update, d.out.Channel, d.out.Network, d.out.Name, us(tx.Now()), text, link); err != nil {
			return err
		}
		if err := s.Queue.Enqueue(ctx, tx, d.job); err != nil {
			return err
		}
	}
	return nil
}

type postRow struct {
	id, of, channel, network, account, state, text, link string
	tries                                                int64
	due, made                                            time.Time
}

// publish does one try of a post. It bears being run twice: what a try before may have done is
// looked for, or unknown.
func (s *Service) publish(ctx context.Context, payload secret.Bytes) error {
	var p postRow
	var due, made int64
	if err := ledger.One(ctx, s.DB, onePost, []any{&p.id, &p.of, &p.channel, &p.network, &p.account, &p.state, &p.text, &p.link, &p.tries, &due, &made}, string(payload.Reveal())); err != nil {
		return err
	}
	p.due, p.made = at(due), at(made)
	if p.state != "queued" && p.state != "sending" {
		return nil
	}
	var to post.Sender
	for _, o := range s.Outlets {
		if o.Name == p.account {
			to = o.Sender
		}
	}
	before := p.state == "sending"
	switch {
	case to == nil:
		return s.endPost(ctx, p, post.Outcome{State: post.Rejected, Code: "no_account"})
	case p.tries >= mostPosts && before:
		return s.endPost(ctx, p, post.Outcome{State: post.Unknown, Code: "gave_up"})
	case p.tries >= mostPosts:
		return s.endPost(ctx, p, post.Outcome{State: post.Rejected, Code: "gave_up"})
	case s.Now().Before(p.due):
		return fault.Newf(fault.Unavailable, "post_waits", "The network asked to be left alone until %s.", stamp(p.due))
	}
	m := post.Message{Key: p.id, Text: p.text, Link: p.link, At: p.made}
	var first post.Receipt
	err := ledger.One(ctx, s.DB, firstPost, []any{&first.ID, &first.CID}, p.of, p.account)
	if err == nil {
		m.Replies = &first
	} else if !errors.Is(err, fault.NotFound) {
		return err
	}
	if err := s.quietPost(ctx, tryPost, p.id); err != nil {
		return err
	}
	s.point("posting")
	out := post.Publish(ctx, to, m, before)
	s.point("sent")
	switch out.State {
	case post.Deferred:
		err = s.quietPost(ctx, deferPost, p.id, us(s.Now().Add(out.Wait)), out.Code)
	case post.Unsure:
		err = s.quietPost(ctx, unsurePost, p.id, out.Code)
	default:
		return s.endPost(ctx, p, out)
	}
	return errors.Join(err, fault.Newf(fault.Unavailable, "post_"+string(out.State), "%s answered %s.", p.network, out.Code))
}

func (s *Service) quietPost(ctx context.Context, query string, args ...any) error {
	return s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
}

// endPost writes down what became of a post. Where it does not stand, or nobody knows, a person
// is asked to post it, and to paste its address.
func (s *Service) endPost(ctx context.Context, p postRow, out post.Outcome) error {
	c, err := s.find(ctx, s.DB, p.of)
	if err != nil {
		return err
	}
	var ask []jobs.Job
	if out.State != post.Posted {
		if ask, err = s.letters(ctx, s.holders(ctx, c, []engine.Role{engine.Communications}), postLetter(s, c, p, out)); err != nil {
			return err
		}
	}
	_, err = s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, endPost, p.id, string(out.State), out.Receipt.ID, out.Receipt.CID, out.Receipt.URL, out.Code, us(tx.Now()))
		if err == nil && n != 1 {
			err = fault.Wrap(fault.Conflict, "posted", errors.New("another node was first"))
		}
		if err == nil && out.State == post.Posted && out.Receipt.URL != "" {
			_, err = tx.Exec(ctx, insertElsewhere, c.ID, p.channel, out.Receipt.URL, actor.System("incident").String(), us(tx.Now()))
		}
		return PostFollowed{Incident: c.ID, Channel: p.channel, Network: p.network, Account: p.account, State: string(out.State), URL: out.Receipt.URL, TextHash: digest(p.text, p.link), Code: out.Code}, errors.Join(err, s.enqueue(ctx, tx, ask))
	})
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

func postLetter(s *Service, c Case, p postRow, out post.Outcome) letter {
	says := "The post was not taken (" + out.Code + "). Post it by hand, and paste its address in the incident."
	if out.State == post.Unknown {
		says = "Nobody knows whether the post stands (" + out.Code + "). Look at the account: if it is not there, post it by hand; then paste its address in the incident."
	}
	return letter{kind: "incident.post", Letter: mail.Letter{Title: c.Ref() + ": tell the public on " + p.channel, Lines: []string{says, "The text:", p.text, p.link}, Link: &mail.Link{Text: "Paste the address", URL: s.at(c)},
		Foot: []string{"The account is " + p.account + " (" + p.network + "). Other channels are not waiting for it."}}}
}

// sent are the posts on other networks, the newest first, at most two hundred.
func (s *Service) sent(ctx context.Context, id string) ([]Sent, error) {
	var out []Sent
	err := s.DB.Each(ctx, postsOf, func(scan ledger.Scan) error {
		var x Sent
		var made int64
		var ended *int64
		err := scan(&x.Channel, &x.Network, &x.Account, &x.Update, &x.State, &x.URL, &x.Code, &x.Tries, &made, &ended)
		x.Made, x.Ended = at(made), when(ended)
		out = append(out, x)
		return err
	}, id)
	if err != nil {
		return nil, fmt.Errorf("read posts: %w", err)
	}
	return out, nil
}

// PostFollowed is what became of a post on another network.
type PostFollowed struct {
	Incident string `class:"public"`
	Channel  string `class:"public"`
	Network  string `class:"public"`
	Account  string `class:"public"`
	State    string `class:"public"` // posted, rejected, unknown
	URL      string `class:"public"`
	TextHash string `class:"public"`
	Code     string `class:"public"`
}

// About implements ledger.Event.
func (e PostFollowed) About() ledger.About {
	return ledger.About{Name: "incident.post-followed", Clause: "inc.public-notice", Object: thing(e.Incident)}
}

const (
	insertPost = `INSERT INTO incident_post (id, case_id, update_id, channel, network, account, state, tries, due, body, link, remote, cid, url, code, made, ended)
		VALUES ($1, $2, $3, $4, $5, $6, 'queued', 0, $7, $8, $9, '', '', '', '', $7, NULL)`
	onePost    = `SELECT id, case_id, channel, network, account, state, body, link, tries, due, made FROM incident_post WHERE id = $1`
	firstPost  = `SELECT remote, cid FROM incident_post WHERE case_id = $1 AND account = $2 AND state = 'posted' AND remote <> '' ORDER BY made, id LIMIT 1`
	tryPost    = `UPDATE incident_post SET state = 'sending', tries = tries + 1 WHERE id = $1 AND state IN ('queued', 'sending')`
	deferPost  = `UPDATE incident_post SET state = 'queued', due = $2, code = $3 WHERE id = $1 AND state = 'sending'`
	unsurePost = `UPDATE incident_post SET code = $2 WHERE id = $1 AND state = 'sending'`
	endPost    = `UPDATE incident_post SET state = $2, remote = $3, cid = $4, url = $5, code = $6, ended = $7 WHERE id = $1 AND ended IS NULL`
	postsOf    = `SELECT channel, network, account, update_id, state, url, code, tries, made, ended FROM incident_post WHERE case_id = $1 ORDER BY made DESC, account LIMIT 200`
)
