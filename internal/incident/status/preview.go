package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"writ/internal/fault"
	"writ/internal/ledger"
)

// Preview is a post as it would be told: on the page, by letter, by webhook, and on other networks
// before they cut it.
type Preview struct {
	Page, Letter, Hook string
	Text, Link         string
}

// notYet stands for what each reader has of their own.
const notYet = "…"

// Preview tells how a checked post would stand. Nothing is posted or kept. Its link is as long as that
// of the post will be.
func (s *Service) Preview(ctx context.Context, p Post) (Preview, error) {
	x := Shown{ID: p.ID, State: p.State, Body: strings.TrimSpace(p.Body), Estimate: p.Estimate, Next: p.Next, Corrects: p.Corrects, At: s.Now()}
	for _, c := range sorted(p.Touched) {
		x.Touched = append(x.Touched, c+"="+p.Touched[c])
	}
	in := Public{Title: p.Title, Impact: "minor", Made: x.At}
	var title, impact string
	switch err := ledger.One(ctx, s.DB, publicOf, []any{&in.ID, &title, &impact}, p.Case); {
	case errors.Is(err, fault.NotFound) && p.Title == "":
		return Preview{}, noTitle()
	case errors.Is(err, fault.NotFound):
		in.ID = newID()
	case err != nil:
		return Preview{}, fmt.Errorf("read a public incident: %w", err)
	default:
		in.Title, in.Impact = title, impact
	}
	if p.Impact != "" {
		in.Impact = p.Impact
	}
	x.Public, in.Posts = in.ID, []Shown{x}
	m, err := s.sayingOf(ctx, in)
	if err != nil {
		return Preview{}, err
	}
	out := Preview{Page: m.title + "\n\n" + told(x)}
	out.Link, out.Text = s.abroad(x, in.Title)
	letter, err := s.letter(m, "", notYet)
	if err != nil {
		return Preview{}, err
	}
	out.Letter = "Subject: " + letter.Subject + "\n\n" + letter.Text
	b, err := json.MarshalIndent(s.hookOf(m, notYet), "", "  ")
	if err != nil {
		return Preview{}, fmt.Errorf("encode a preview: %w", err)
	}
	out.Hook = string(b)
	return out, nil
}
