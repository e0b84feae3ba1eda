package incident

import (
	"context"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/incident/post"
	"writ/internal/incident/status"
	"writ/internal/incident/wording"
)

// Wanted is what a draft is for. What is empty is taken from the incident.
type Wanted struct {
	Kind     string    // of incident, whose text it is
	State    string    // the word of the post; "" = investigating, later that of the newest post
	Touched  []string  // ids of components
	Estimate time.Time // when service returns
	Next     time.Time // when the next update comes
}

// Draft is a notice to begin with: a text of the company, filled from the incident.
type Draft struct {
	Kind, State string
	Version     int64    // of the text
	Text        string   // what is not known stands in it as it is written
	Open        []string // which that is
}

// Draft fills the text for a kind and a word from an incident. Nothing is posted or kept.
func (s *Service) Draft(ctx context.Context, who actor.Actor, ref string, in Wanted) (Draft, error) {
	c, err := s.speaking(ctx, who, ref)
	if err != nil {
		return Draft{}, err
	}
	posts, err := s.shown(ctx, c)
	if err != nil {
		return Draft{}, err
	}
	if in.Kind == "" {
		in.Kind = textKind(c)
	}
	if in.State == "" {
		if in.State = status.Investigating; len(posts) > 0 {
			in.State = posts[0].State
		}
	}
	if err := s.textKnown(in.Kind, in.State); err != nil || in.Kind == wording.Maintenance {
		return Draft{}, s.noDraft(err)
	}
	own, err := s.texts(ctx, s.DB, versionsOfText, in.Kind, in.State, 1)
	if err != nil {
		return Draft{}, err
	}
	text := pick(own, in.Kind, in.State)
	parsed, err := wording.Parse(text.Body)
	if err != nil {
		return Draft{}, err //nolint:wrapcheck // it says all
	}
	known, err := s.noticeValues(ctx, c, posts, in)
	if err != nil {
		return Draft{}, err
	}
	d := Draft{Kind: in.Kind, State: in.State, Version: text.Version}
	var open []wording.Place
	d.Text, open = parsed.Fill(known)
	for _, p := range open {
		d.Open = append(d.Open, p.String())
	}
	return d, nil
}

// noDraft says that an incident is no maintenance.
func (s *Service) noDraft(err error) error {
	if err != nil {
		return err
	}
	return fault.New(fault.NotFound, "text_unknown", fault.Public{Problem: "An incident is no maintenance.", Expected: "A kind of: " + strings.Join(s.kinds(), ", ") + ".", Next: "Choose one of them."})
}

// speaking is an incident of which the public is told, for who may tell it.
func (s *Service) speaking(ctx context.Context, who actor.Actor, ref string) (Case, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err == nil && c.Drill {
		err = drillPublic()
	}
	return c, err
}

// drillPublic refuses to tell the public of a drill.
func drillPublic() error {
	return fault.New(fault.Conflict, "drill_public", fault.Public{Problem: "A drill has no status page.", Next: "Write down in a note what would be posted."})
}

// textKind is the kind whose texts an incident begins with: of several the gravest.
func textKind(c Case) string {
	for _, k := range []string{"breach", "data-loss"} {
		if slices.Contains(c.Categories, k) {
			return k
		}
	}
	if len(c.Categories) > 0 {
		return c.Categories[0]
	}
	return wording.Other
}

// noticeValues are what is known of an incident that may be public. A promise is only what somebody
// promised: for this draft, or on the page and still to come.
func (s *Service) noticeValues(ctx context.Context, c Case, posts []status.Shown, in Wanted) (wording.Values, error) {
	v := wording.Values{Since: c.OnsetFrom, Over: c.Green, Back: in.Estimate, Next: in.Next}
	if now := s.Now(); len(posts) > 0 && v.Back.IsZero() && v.Next.IsZero() {
		if p := posts[0]; p.Estimate.After(now) {
			v.Back = p.Estimate
		}
		if p := posts[0]; p.Next.After(now) {
			v.Next = p.Next
		}
	}
	touched := slices.Clone(in.Touched)
	for _, p := range posts {
		for _, t := range p.Touched {
			id, _, _ := strings.Cut(t, "=")
			touched = append(touched, id)
		}
	}
	if len(touched) == 0 {
		touched = []string{c.Component}
	}
	cs, err := s.Page.Components(ctx)
	if err != nil {
		return v, err
	}
	for _, x := range cs {
		if slices.Contains(touched, x.ID) {
			v.Parts = append(v.Parts, x.Name)
		}
	}
	if c.Decided { // who is affected
		told, err := s.audience(ctx, c)
		if err != nil {
			return v, err
		}
		n := int64(len(told))
		v.Teams = &n
	}
	if c.States[engine.R] == "R12" {
		lost, err := s.lost(ctx, c)
		if err != nil {
			return v, err
		}
		var n int64
		for _, x := range lost {
			n += x.Writes
		}
		v.Lost = &n
	}
	return v, nil
}

// Preview is how a post would stand on a channel.
type Preview struct {
	Channel string // status-page, mail, webhook, or one of the policy
	Account string // on another network
	Network string
	Text    string
	Counts  int // characters as the network counts them, of Most; both 0 = it has no limit
	Most    int
	Cut     bool // there was no room for all of it
}

// Previews are a post on each channel, and what in it must not be public.
type Previews struct {
	Hash  string // of the text, to which an approval is bound
	Leaks []status.Leak
	Each  []Preview
}

// PreviewPost shows how a post would stand on each channel that there is, without posting it. Errors: those
// of a post that cannot be shown, fault.Invalid.
func (s *Service) PreviewPost(ctx context.Context, who actor.Actor, ref string, p status.Post) (Previews, error) { // clause: inc.public-notice
	c, err := s.speaking(ctx, who, ref)
	if err != nil {
		return Previews{}, err
	}
	p.Case, p.ID = c.ID, s.DB.ID()
	leaks, err := s.Page.Check(ctx, p)
	if err != nil {
		return Previews{}, err
	}
	x, err := s.Page.Preview(ctx, p)
	if err != nil {
		return Previews{}, err
	}
	out := Previews{Hash: p.Hash(), Leaks: leaks, Each: []Preview{{Channel: "status-page", Text: x.Page}, {Channel: "mail", Text: x.Letter}, {Channel: "webhook", Text: x.Hook}}}
	for _, o := range s.Outlets {
		cut, err := post.Preview(o.Network, x.Text, x.Link)
		if err != nil {
			return Previews{}, err //nolint:wrapcheck // it says all
		}
		out.Each = append(out.Each, Preview{Channel: o.Channel, Account: o.Name, Network: o.Network, Text: cut.Text, Counts: cut.Counts, Most: cut.Most, Cut: cut.Cut})
	}
	return out, nil
}
