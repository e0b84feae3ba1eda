package status

import (
	"context"
	"fmt"
	"strings"
	"time"

	"writ/internal/ledger"
)

// Shown is a post as it stands on the page.
type Shown struct {
	ID       string
	Public   string
	State    string
	Body     string
	Estimate time.Time
	Next     time.Time
	Touched  []string // component=state
	Corrects string
	At       time.Time
}

// Public is an incident as the page tells of it.
type Public struct {
	ID      string
	Case    string
	Title   string
	Impact  string
	Made    time.Time
	Ended   time.Time
	Overdue bool    // its next update is late
	Posts   []Shown // the newest first
}

// State is that of its newest post.
func (p Public) State() string {
	if len(p.Posts) == 0 {
		return Investigating
	}
	return p.Posts[0].State
}

// Changed is when its newest post came.
func (p Public) Changed() time.Time {
	if len(p.Posts) == 0 {
		return p.Made
	}
	return p.Posts[0].At
}

// Newest is the newest post about an incident; fault.NotFound when there is none.
func (s *Service) Newest(ctx context.Context, r ledger.Reader, caseID string) (Shown, error) {
	var x Shown
	var touched string
	var estimate, next *int64
	var posted int64
	err := ledger.One(ctx, r, newestPost, []any{&x.ID, &x.Public, &x.State, &x.Body, &estimate, &next, &touched, &x.Corrects, &posted}, caseID)
	x.Estimate, x.Next, x.At, x.Touched = when(estimate), when(next), at(posted), strings.Fields(touched)
	return x, err
}

// Say is the newest post about an incident as another network tells it: its id, an address of its
// own, and the text.
func (s *Service) Say(ctx context.Context, r ledger.Reader, caseID string) (id, link, text string, err error) {
	x, err := s.Newest(ctx, r, caseID)
	if err != nil {
		return "", "", "", err
	}
	var title string
	if err := ledger.One(ctx, r, publicOf, []any{new(string), &title, new(string)}, caseID); err != nil {
		return "", "", "", err
	}
	link, text = s.abroad(x, title)
	return x.ID, link, text, nil
}

// abroad is a post as another network tells it.
func (s *Service) abroad(x Shown, title string) (link, text string) {
	return s.Origin + At + "/incidents/" + x.Public + "#u-" + x.ID, Word(x.State) + ": " + title + "\n\n" + told(x)
}

// Posts are all of an incident, the newest first.
func (s *Service) Posts(ctx context.Context, caseID string) ([]Shown, error) {
	return posts(ctx, s.DB, postsOf, caseID)
}

func posts(ctx context.Context, r ledger.Reader, query string, args ...any) ([]Shown, error) {
	var out []Shown
	err := r.Each(ctx, query, func(scan ledger.Scan) error {
		var x Shown
		var touched string
		var estimate, next *int64
		var posted int64
		err := scan(&x.ID, &x.Public, &x.State, &x.Body, &estimate, &next, &touched, &x.Corrects, &posted)
		x.Estimate, x.Next, x.At, x.Touched = when(estimate), when(next), at(posted), strings.Fields(touched)
		out = append(out, x)
		return err
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read posts: %w", err)
	}
	return out, nil
}

// incidents are the newest hundred that the page tells of, with their posts.
func (s *Service) incidents(ctx context.Context) ([]Public, error) {
	var out []Public
	err := s.DB.Each(ctx, publics, func(scan ledger.Scan) error {
		var p Public
		var region string
		var made int64
		var ended *int64
		err := scan(&p.ID, &p.Case, &p.Title, &p.Impact, &made, &ended, &region)
		p.Made, p.Ended, p.Overdue = at(made), when(ended), region == "C3'"
		out = append(out, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read public incidents: %w", err)
	}
	for i := range out {
		if out[i].Posts, err = s.Posts(ctx, out[i].Case); err != nil {
			return nil, err
		}
	}
	return out, nil
}

const (
	postColumns = `SELECT u.id, u.public_id, u.state, u.body, u.estimate, u.next, u.touched, u.corrects, u.at FROM incident_status_update u JOIN incident_status_public p ON p.id = u.public_id`
	postsOf     = postColumns + ` WHERE p.case_id = $1 ORDER BY u.at DESC, u.id DESC LIMIT 500`
	newestPost  = postColumns + ` WHERE p.case_id = $1 ORDER BY u.at DESC, u.id DESC LIMIT 1`
	publics     = `SELECT p.id, p.case_id, p.title, p.impact, p.made, p.ended, COALESCE(c.c, '') FROM incident_status_public p LEFT JOIN incident_case c ON c.id = p.case_id ORDER BY p.made DESC, p.id LIMIT 100`
)
