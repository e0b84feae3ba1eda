package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/status"
	"writ/internal/incident/wording"
	"writ/internal/ledger"
)

// NoticeText is a text that public notices of a kind and a word of the page begin with: as it stands,
// or as it once stood.
type NoticeText struct {
	Kind    string // of incident, or wording.Maintenance
	State   string // one of status.Words, or wording.Scheduled
	Version int64  // 0 = it came with the build, and nobody has changed it
	Body    string
	Shipped bool // it is the text of this build
	By      string
	At      time.Time
}

const mostVersions = 100 // of one text that are shown, the newest

// textStates are the words that texts of a kind are for; nil = there is no such kind.
func (s *Service) textStates(kind string) []string {
	switch {
	case kind == wording.Maintenance:
		return []string{wording.Scheduled}
	case slices.Contains(s.kinds(), kind):
		return status.Words()
	}
	return nil
}

// Texts are the texts as they stand, for each kind and word.
func (s *Service) Texts(ctx context.Context, who actor.Actor) ([]NoticeText, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentRead, "status/templates"); err != nil {
		return nil, err
	}
	own, err := s.texts(ctx, s.DB, newestTexts)
	if err != nil {
		return nil, err
	}
	var out []NoticeText
	for _, kind := range append(s.kinds(), wording.Maintenance) {
		for _, state := range s.textStates(kind) {
			out = append(out, pick(own, kind, state))
		}
	}
	return out, nil
}

// TextVersions are the versions of one text, the newest first, at most a hundred; the last is the one
// that comes with the build. Errors: fault.NotFound.
func (s *Service) TextVersions(ctx context.Context, who actor.Actor, kind, state string) ([]NoticeText, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentRead, "status/templates"); err != nil {
		return nil, err
	}
	if err := s.textKnown(kind, state); err != nil {
		return nil, err
	}
	out, err := s.texts(ctx, s.DB, versionsOfText, kind, state, mostVersions)
	return append(out, pick(nil, kind, state)), err
}

// SetText has notices begin with another text from now on. version is the one that it replaces; it
// says which version it is. Errors: fault.NotFound, fault.Invalid with the position of what is wrong,
// fault.Conflict where somebody was first.
func (s *Service) SetText(ctx context.Context, who actor.Actor, kind, state, body string, version int64) (NoticeText, error) { // clause: inc.public-notice
	if err := s.Access.Allow(ctx, who, access.IncidentAct, "status/templates"); err != nil {
		return NoticeText{}, err
	}
	if err := s.textKnown(kind, state); err != nil {
		return NoticeText{}, err
	}
	body = strings.TrimSpace(strings.ReplaceAll(body, "\r\n", "\n"))
	if _, err := wording.Parse(body); err != nil {
		return NoticeText{}, err //nolint:wrapcheck // it says all
	}
	return s.putText(ctx, who, NoticeText{Kind: kind, State: state, Body: body}, version)
}

// ResetText has notices begin with the text of the build again. Errors as SetText.
func (s *Service) ResetText(ctx context.Context, who actor.Actor, kind, state string, version int64) (NoticeText, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, "status/templates"); err != nil {
		return NoticeText{}, err
	}
	if err := s.textKnown(kind, state); err != nil {
		return NoticeText{}, err
	}
	return s.putText(ctx, who, NoticeText{Kind: kind, State: state}, version)
}

func (s *Service) putText(ctx context.Context, who actor.Actor, x NoticeText, version int64) (NoticeText, error) {
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		own, err := s.texts(ctx, tx, versionsOfText, x.Kind, x.State, 1)
		if err != nil {
			return nil, err
		}
		now := pick(own, x.Kind, x.State)
		if now.Version != version || x.Body == "" && now.Shipped {
			return nil, fault.New(fault.Conflict, "text_changed", fault.Public{Problem: fmt.Sprintf("The text of %s, %s is at version %d.", x.Kind, x.State, now.Version), Expected: "The version that stands now, and for a return one that is not the shipped text already.",
				Next: fmt.Sprintf("Look at it: writ status template show %s %s", x.Kind, x.State)})
		}
		n, err := tx.Exec(ctx, insertText, x.Kind, x.State, version+1, x.Body, by(who), us(tx.Now()))
		if err == nil && n == 0 {
			err = fault.Wrap(fault.Conflict, "text_changed", errors.New("somebody else was first"))
		}
		x.Version, x.By, x.At = version+1, by(who), tx.Now()
		return NoticeTextSet{Kind: x.Kind, State: x.State, Version: x.Version, TextHash: digest(x.Body), Shipped: x.Body == ""}, err
	})
	if err != nil {
		return NoticeText{}, fmt.Errorf("keep the text of notices: %w", err)
	}
	x.By = s.name(ctx, x.By)
	return x.whole(), nil
}

// whole puts the text of the build where a version returns to it.
func (x NoticeText) whole() NoticeText {
	if x.Body == "" {
		x.Body, x.Shipped = wording.Shipped(x.Kind, x.State), true
	}
	return x
}

// pick is the text of a kind and a word among those that the company wrote, else that of the build.
func pick(own []NoticeText, kind, state string) NoticeText {
	for _, x := range own {
		if x.Kind == kind && x.State == state {
			return x
		}
	}
	return NoticeText{Kind: kind, State: state}.whole()
}

func (s *Service) textKnown(kind, state string) error {
	states := s.textStates(kind)
	if slices.Contains(states, state) {
		return nil
	}
	expected := "A kind of: " + strings.Join(append(s.kinds(), wording.Maintenance), ", ") + "."
	if len(states) > 0 {
		expected = "Of " + kind + " one of: " + strings.Join(states, ", ") + "."
	}
	return fault.New(fault.NotFound, "text_unknown", fault.Public{Problem: "Notices have no text of that kind and word.", Expected: expected, Next: "Look at the list: writ status template list"})
}

func (s *Service) texts(ctx context.Context, r ledger.Reader, query string, args ...any) ([]NoticeText, error) {
	var out []NoticeText
	err := r.Each(ctx, query, func(scan ledger.Scan) error {
		var x NoticeText
		var t int64
		err := scan(&x.Kind, &x.State, &x.Version, &x.Body, &x.By, &t)
		x.At = at(t)
		out = append(out, x.whole())
		return err
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read texts of notices: %w", err)
	}
	for i := range out {
		out[i].By = s.name(ctx, out[i].By)
	}
	return out, nil
}

// NoticeTextSet is the text that public notices of a kind and a word begin with from now on.
type NoticeTextSet struct {
	Kind     string `class:"public"`
	State    string `class:"public"`
	Version  int64  `class:"public"`
	TextHash string `class:"public"`
	Shipped  bool   `class:"public"` // it is that of the build again
}

// About implements ledger.Event.
func (e NoticeTextSet) About() ledger.About {
	return ledger.About{Name: "incident.notice-text-set", Clause: "inc.public-notice", Object: "notice/" + e.Kind + "/" + e.State}
}

const (
	textColumns    = `SELECT t.kind, t.state, t.version, t.body, t.person, t.at FROM incident_notice_text t`
	newestTexts    = textColumns + ` WHERE t.version = (SELECT MAX(n.version) FROM incident_notice_text n WHERE n.kind = t.kind AND n.state = t.state) ORDER BY t.kind, t.state`
	versionsOfText = textColumns + ` WHERE t.kind = $1 AND t.state = $2 ORDER BY t.version DESC LIMIT $3`
	insertText     = `INSERT INTO incident_notice_text (kind, state, version, body, person, at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (kind, state, version) DO NOTHING`
)
