package incident

import (
	"context"
	"errors"
	"fmt"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/ledger"
)

// The things that approvals are bound to.
const (
	objectReview = "review"
	objectFix    = "fix"
	objectText   = "text"
)

// Update posts to the status page: the first notice, an update, or that it is resolved, as
// the state of the communication and the word of the post ask for. It stands there, and its
// letters are queued, when this returns. Errors: *Kept (no estimate, a leak, not open),
// fault.Invalid.
func (s *Service) Update(ctx context.Context, who actor.Actor, ref string, p status.Post, version int64) (Case, error) { // clause: inc.updates
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	if c.Drill {
		return Case{}, drillPublic()
	}
	p.Case, p.ID = c.ID, s.DB.ID()
	leaks, err := s.Page.Check(ctx, p)
	if err != nil {
		return Case{}, err
	}
	told, err := s.Page.Tell(ctx, p)
	if err != nil {
		return Case{}, err
	}
	elsewhere, err := s.dispatches(ctx)
	if err != nil {
		return Case{}, err
	}
	var lacks []status.Leak
	c, err = s.change(ctx, who, c.ID, version, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		first, err := s.mustOpen(ctx, tx, c, p)
		if err != nil {
			return nil, err
		}
		if len(leaks) > 0 {
			let, err := s.approvals(ctx, tx, c.ID, objectText, p.Hash())
			if err != nil {
				return nil, err
			}
			if let < 2 {
				lacks = leaks
			}
		}
		t, err := s.take(ctx, tx, who, c, engine.C, eventOf(p, c.States[engine.C]), func(f *engine.Facts) {
			f.Estimate = f.Estimate || p.Estimated()
			f.Leak = len(lacks) > 0
		})
		if err != nil {
			return nil, withLeaks(err, lacks, p.Hash())
		}
		id, err := s.Page.Put(ctx, tx, p)
		if err != nil {
			return nil, err
		}
		if err := s.windPublic(ctx, tx, *c); err != nil {
			return nil, err
		}
		t.event.Evidence = []string{p.Hash(), id}
		if first == nil {
			first = t.event
		} else {
			tx.Also(t.event)
		}
		return first, errors.Join(s.Page.Queue(ctx, tx, told), s.dispatch(ctx, tx, *c, elsewhere))
	})
	if err != nil {
		return Case{}, err
	}
	s.point("posted")
	return c, s.Page.Refresh(ctx)
}

// mustOpen begins public communication by hand, once the kind is decided, and again where what
// was said to be over or a false alarm is neither. It gives the event of that, which comes first.
func (s *Service) mustOpen(ctx context.Context, tx *ledger.Tx, c *Case, p status.Post) (ledger.Event, error) {
	if c.States[engine.C] != "" {
		if c.States[engine.L] != "L2" || status.Over(p.State) {
			return nil, nil
		}
		return s.publicAgain(ctx, tx, c)
	}
	if at := c.States[engine.L]; at != "L2" && at != "L3" {
		return nil, kept(*c, engine.C, "post", []engine.Lack{{Guard: "kind-decided", Words: "The kind of incident is not decided yet, and nothing else starts before it.", Who: "anybody who may act in incidents"}})
	}
	ev, err := s.opened(ctx, tx, c, engine.C)
	return ev, err
}

// publicAgain opens public communication that has ended, because the impact lasts; nil where it
// has not.
func (s *Service) publicAgain(ctx context.Context, tx *ledger.Tx, c *Case) (ledger.Event, error) { // clause: inc.updates
	if at := c.States[engine.C]; at != "C4" && at != "C5" {
		return nil, nil
	}
	again, err := s.take(ctx, tx, actor.System("incident"), c, engine.C, "reopen", nil)
	return again.event, err
}

// eventOf is the step that a post is where the communication stands.
func eventOf(p status.Post, at string) string {
	switch {
	case p.State == status.Resolved:
		return "finish"
	case p.State == status.Postmortem:
		return "publish-review"
	case p.State == status.Retracted:
		return "retract"
	case at == "C0" || at == "C1":
		return "post"
	}
	return "update"
}

// withLeaks says beside the guard what in the text must not be public, and where.
func withLeaks(err error, leaks []status.Leak, hash string) error {
	k, ok := err.(*Kept) //nolint:errorlint // take returns it bare
	if !ok || len(leaks) == 0 {
		return err
	}
	for _, l := range leaks {
		k.Fault.Public.Fields = append(k.Fault.Public.Fields, fault.Field{Name: "body", Code: "leak", Problem: l.Says()})
	}
	k.Fault.Public.Next = "Take it out. If it must stay, two people approve this very text: writ incident approve REF text " + hash[:12]
	return k
}

// Shown are the posts about an incident, the newest first.
func (s *Service) shown(ctx context.Context, c Case) ([]status.Shown, error) {
	out, err := s.Page.Posts(ctx, c.ID)
	if err != nil {
		return nil, fmt.Errorf("posts of %s: %w", c.Ref(), err)
	}
	return out, nil
}
