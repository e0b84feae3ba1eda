package incident

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// Similar is an earlier incident that is over, and why it is like the one that is reviewed.
type Similar struct {
	Case Case
	Why  []string // such as "same kind: usability", "same part of the service", "same words: certificate, end"

	score int
}

// mostSimilar are shown; mostWords of what two have in common are named, and count.
const (
	mostSimilar = 5
	mostWords   = 5
)

// Says is why it is similar, in one line.
func (x Similar) Says() string { return strings.Join(x.Why, "; ") }

// similar are the earlier incidents most like one that is to be reviewed, the most alike first and
// of those alike the newest: by its kinds, its part of the service, and the words of its title and
// its causes. Only the last 200 are looked at. None where it is not at its review.
func (s *Service) similar(ctx context.Context, v View) ([]Similar, error) { // clause: inc.learn
	if l := v.States[engine.L]; l != "L4" && l != "L5" {
		return nil, nil
	}
	cases, err := s.cases(ctx, s.DB, casesBefore, v.Drill, us(v.Declared), v.ID)
	if err != nil {
		return nil, err
	}
	causes, err := s.causesBefore(ctx, v.Case)
	if err != nil {
		return nil, err
	}
	own := wordsOf(append(slices.Clone(v.Learned.Causes), v.Title))
	var out []Similar
	for _, c := range cases {
		if x := likeness(v.Case, c, own, wordsOf(append(causes[c.ID], c.Title))); x.score > 0 {
			out = append(out, x)
		}
	}
	slices.SortStableFunc(out, func(a, b Similar) int { return b.score - a.score })
	return out[:min(len(out), mostSimilar)], nil
}

// likeness is what two incidents have in common. A kind or a part of the service counts more than a word;
// "other" is no kind that two could have in common.
func likeness(a, b Case, own, its map[string]bool) Similar {
	x := Similar{Case: b}
	var kinds, words []string
	for _, k := range a.Categories {
		if k != "other" && slices.Contains(b.Categories, k) {
			kinds = append(kinds, k)
		}
	}
	for w := range own {
		if its[w] {
			words = append(words, w)
		}
	}
	slices.Sort(words)
	words = words[:min(len(words), mostWords)]
	if len(kinds) > 0 {
		x.Why = append(x.Why, "same kind: "+strings.Join(kinds, ", "))
	}
	if a.Component != "" && a.Component == b.Component {
		x.Why, x.score = append(x.Why, "same part of the service"), 3
	}
	if len(words) > 0 {
		x.Why = append(x.Why, "same words: "+strings.Join(words, ", "))
	}
	x.score += 3*len(kinds) + 2*len(words)
	return x
}

// causesBefore are the root causes that reviews of earlier incidents name, by incident.
func (s *Service) causesBefore(ctx context.Context, c Case) (map[string][]string, error) {
	boxes := map[string][]byte{}
	if err := s.DB.Each(ctx, reviewsBefore, func(scan ledger.Scan) error {
		var id string
		var box []byte
		err := scan(&id, &box)
		boxes[id] = box
		return err
	}, c.Drill, us(c.Declared), c.ID); err != nil {
		return nil, fmt.Errorf("read earlier reviews: %w", err)
	}
	out := map[string][]string{}
	for id, box := range boxes {
		raw, err := s.open(ctx, "incident_review.box", id, box)
		if err != nil {
			return nil, err
		}
		var b body
		if json.Unmarshal([]byte(raw), &b) == nil { // else erased
			out[id] = b.Causes
		}
	}
	return out, nil
}

// idle are words that say nothing of a cause.
var idle = map[string]bool{"about": true, "after": true, "again": true, "anybody": true, "because": true, "been": true, "before": true, "cannot": true, "could": true, "does": true, "erased": true, "from": true, "have": true,
	"incident": true, "into": true, "nobody": true, "only": true, "over": true, "some": true, "somebody": true, "than": true, "that": true, "their": true, "them": true, "then": true, "there": true, "they": true, "this": true,
	"were": true, "what": true, "when": true, "where": true, "which": true, "while": true, "with": true, "without": true, "would": true}

// wordsOf are the words of texts that may say what a cause was: of four letters or more, in small
// letters, without the s of the plural.
func wordsOf(texts []string) map[string]bool {
	out := map[string]bool{}
	for _, t := range texts {
		for _, w := range strings.FieldsFunc(strings.ToLower(t), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			if utf8.RuneCountInString(w) >= 4 && !idle[w] {
				out[strings.TrimSuffix(w, "s")] = true
			}
		}
	}
	return out
}

// Draft is the review as it stands; where nothing is written yet, what is known for its beginning:
// when what happened, and what was similar before. "" where there is nothing to review.
func (v View) Draft() string {
	l := v.States[engine.L]
	if v.Learned.Text != "" || l != "L4" && l != "L5" {
		return v.Learned.Text
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Began %s. Raised %s.", stamp(v.OnsetFrom), stamp(v.Declared))
	if !v.Mitigated.IsZero() {
		fmt.Fprintf(&b, " The impact was over %s.", stamp(v.Mitigated))
	}
	if !v.Resolved.IsZero() {
		fmt.Fprintf(&b, " Resolved %s.", stamp(v.Resolved))
	}
	if len(v.Similar) > 0 {
		b.WriteString("\n\nSimilar before:\n")
	}
	for _, x := range v.Similar {
		fmt.Fprintf(&b, "%s %s (%s)\n", x.Case.Ref(), x.Case.Title, x.Says())
	}
	return b.String()
}

const (
	overBefore    = ` drill = $1 AND declared <= $2 AND id <> $3 AND l IN ('L4', 'L5', 'L6') ORDER BY declared DESC, id DESC LIMIT 200`
	casesBefore   = caseColumns + ` WHERE` + overBefore
	reviewsBefore = `SELECT case_id, box FROM incident_review WHERE case_id IN (SELECT id FROM incident_case WHERE` + overBefore + `)`
)
