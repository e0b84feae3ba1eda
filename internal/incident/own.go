package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"writ/internal/fault"
	"writ/internal/ledger"
)

// OwnReport is what somebody reported while they were signed in, for their own copy.
type OwnReport struct {
	Reference, Kind, Text, Email string
	At, Answered                 time.Time
}

// OwnWord is what somebody was told about data of theirs that was exposed, for their own copy.
type OwnWord struct {
	Incident, Class, State string
	Data                   []string
	Hits                   int64
	First, Last, At        time.Time
}

// Own is what incidents hold about a person: what they reported, and what letters about exposed data
// say of them. A letter that has not gone out yet is not there: it may still change.
func (s *Service) Own(ctx context.Context, person string) (reports []OwnReport, words []OwnWord, err error) {
	var boxes [][]byte
	if err := s.DB.Each(ctx, ownReports, func(scan ledger.Scan) error {
		var x OwnReport
		var made int64
		var answered *int64
		var box []byte
		err := scan(&x.Reference, &x.Kind, &made, &answered, &box)
		x.At, x.Answered = at(made), when(answered)
		reports, boxes = append(reports, x), append(boxes, box)
		return err
	}, person); err != nil {
		return nil, nil, fmt.Errorf("read a person's reports: %w", err)
	}
	for i := range reports {
		text, err := s.open(ctx, "incident_report.box", reports[i].Reference, boxes[i])
		if err != nil {
			return nil, nil, err
		}
		var r reported
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			r.Text = text // erased
		}
		reports[i].Text, reports[i].Email = r.Text, r.Email
	}
	words, err = s.ownWords(ctx, person)
	return reports, words, err
}

func (s *Service) ownWords(ctx context.Context, person string) (words []OwnWord, err error) {
	var ids []string
	var boxes [][]byte
	if err := s.DB.Each(ctx, ownLetters, func(scan ledger.Scan) error {
		var x OwnWord
		var id, code string
		var number, t int64
		var box []byte
		err := scan(&id, &number, &x.State, &code, &t, &box)
		if x.Incident, x.At = fmt.Sprintf("I-%d", number), at(t); strings.HasPrefix(code, letterLies) {
			x.State = letterLies
		}
		words, ids, boxes = append(words, x), append(ids, id), append(boxes, box)
		return err
	}, person); err != nil {
		return nil, fmt.Errorf("read a person's letters: %w", err)
	}
	for i := range words {
		r, err := s.rowOf(ctx, ids[i], boxes[i])
		if errors.Is(err, fault.Gone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		words[i].Class, words[i].Data, words[i].Hits, words[i].First, words[i].Last = r.Class.String(), r.Data, r.Hits, r.First, r.Last
	}
	return words, nil
}

// letterLies begins the code of a letter whose host says that it lies in the box.
const letterLies = "delivered"

const (
	ownReports = `SELECT id, kind, at, answered, box FROM incident_report WHERE person = $1 ORDER BY at, id LIMIT 1000`
	ownLetters = `SELECT l.id, c.number, l.state, l.code, l.at, l.box FROM incident_letter l JOIN incident_case c ON c.id = l.case_id
		WHERE l.person = $1 AND NOT c.drill AND l.state NOT IN ('queued', 'sending') ORDER BY l.at, l.id LIMIT 1000`
)
