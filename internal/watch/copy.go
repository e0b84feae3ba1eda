package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"writ/internal/watch/series"
)

// mostCopied are how many labels of a meter are kept of a time.
const mostCopied = 20

type (
	copyOut struct {
		From   time.Time `json:"from"`
		Until  time.Time `json:"until"`
		Series []copyRow `json:"series"`
	}
	copyRow struct {
		View   string      `json:"view"`
		Meter  string      `json:"meter"`
		Unit   string      `json:"unit,omitempty"`
		By     string      `json:"by,omitempty"`
		Label  string      `json:"label,omitempty"`
		Points []copyPoint `json:"points"`
	}
	copyPoint struct {
		At       time.Time `json:"at"`
		Value    float64   `json:"value"`
		Count    int64     `json:"count"`
		High     float64   `json:"high,omitempty"`
		P50      float64   `json:"p50,omitempty"`
		P99      float64   `json:"p99,omitempty"`
		Observed float64   `json:"observed"`
	}
)

// Copy is what each view showed in a time, minute by minute, as JSON: a copy for whoever needs it
// longer than minutes are kept. Of each meter there are the whole and the labels with the most,
// without people and networks.
func (s *Service) Copy(ctx context.Context, from, until time.Time) ([]byte, error) { // clause: mon.drill-down
	out := copyOut{From: from.UTC(), Until: until.UTC(), Series: []copyRow{}}
	seen := map[string]bool{}
	for _, v := range Views() {
		for _, meter := range v.Meters {
			if m := s.series.Meter(meter); m == nil || seen[meter] {
				continue
			}
			seen[meter] = true
			rows, err := s.copyMeter(ctx, v, meter, from, until)
			if err != nil {
				return nil, err
			}
			out.Series = append(out.Series, rows...)
		}
	}
	return json.Marshal(out)
}

func (s *Service) copyMeter(ctx context.Context, v View, meter string, from, until time.Time) (out []copyRow, err error) {
	m := s.series.Meter(meter)
	want := []series.Query{{Meter: meter, From: from, Until: until, Step: time.Minute}}
	if by := v.By[0]; slices.Contains(m.Dimensions, by) && !slices.Contains(personal, by) {
		q := want[0]
		q.Dimension = by
		top, err := s.series.Top(ctx, q, mostCopied)
		if err != nil {
			return nil, fmt.Errorf("read the labels of %s: %w", meter, err)
		}
		for _, r := range top {
			q.Label = r.Label
			want = append(want, q)
		}
	}
	for _, q := range want {
		ps, err := s.series.Range(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("read the series %s: %w", meter, err)
		}
		row := copyRow{View: v.ID, Meter: meter, Unit: m.Unit, By: q.Dimension, Label: q.Label, Points: make([]copyPoint, 0, len(ps))}
		for _, p := range ps {
			row.Points = append(row.Points, copyPoint{p.At, p.Value, p.Count, p.High, p.P50, p.P99, p.Observed})
		}
		out = append(out, row)
	}
	return out, nil
}
