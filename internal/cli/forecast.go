package cli

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"writ/internal/policy/document"
)

// forecast is what a policy would do, on the wire.
type forecast struct {
	At      time.Time `json:"at"`
	Effects []struct {
		Params []string `json:"params"`
		Count  int64    `json:"count"`
		Says   string   `json:"says"`
	} `json:"effects"`
	Unseen []string `json:"not_counted"`
	Failed []string `json:"failed"`
}

// trial is a dry run, on the wire.
type trial struct {
	Changes  string        `json:"changes"`
	Needs    int           `json:"needs"`
	Diff     document.Diff `json:"diff"`
	Forecast forecast      `json:"forecast"`

	all json.RawMessage
}

// try asks the server what a policy would change and do; nothing is stored.
func (a *app) try(ctx context.Context, in map[string]any) (t trial, raw struct{ Forecast json.RawMessage }, err error) {
	conn, err := a.open(ctx)
	if err != nil {
		return t, raw, err
	}
	var all json.RawMessage
	if err := conn.post(ctx, "policy/dry-run", in, &all); err != nil {
		return t, raw, err
	}
	t.all = all
	return t, raw, errors.Join(decode(all, &t), decode(all, &raw))
}

// dryRun is a proposal that is not made.
func (a *app) dryRun(ctx context.Context, in map[string]any) error {
	t, _, err := a.try(ctx, in)
	if err != nil {
		return err
	}
	if a.json() {
		return errors.Join(a.printJSON(t.all), t.Forecast.counted())
	}
	a.printDiff(t.Diff)
	a.printForecast(&t.Forecast)
	a.say("Nothing was stored. As a proposal it would need %s.", count(t.Needs, "owner", "owners"))
	return t.Forecast.counted()
}

// counted is the refusal of a forecast of which a part is missing.
func (f *forecast) counted() error {
	if len(f.Failed) == 0 {
		return nil
	}
	return &exit{exitNo, errors.New("part of it could not be counted; do not take that for \"nothing happens\"")}
}

// printForecast says what happens to whom, then what was looked at in vain, then what was
// not looked at.
func (a *app) printForecast(f *forecast) {
	a.say("\nWhat it would do here, counted %s:", a.date(f.At))
	touched, calm := map[string]bool{}, []string{}
	for _, e := range f.Effects {
		if e.Count == 0 {
			continue
		}
		a.say("  %s", visible(e.Says+" ("+strings.Join(e.Params, ", ")+")"))
		for _, p := range e.Params {
			touched[p] = true
		}
	}
	for _, e := range f.Effects {
		for _, p := range e.Params {
			if !touched[p] {
				touched[p], calm = true, append(calm, p)
			}
		}
	}
	if len(calm) > 0 {
		a.say("  Looked at, and touching nobody: %s", visible(strings.Join(calm, ", ")))
	}
	if len(f.Unseen) > 0 {
		a.say("  Not counted by this version: %s", visible(strings.Join(f.Unseen, ", ")))
	}
	for _, why := range f.Failed {
		a.say("  Could not be counted: %s", visible(why))
	}
	if len(f.Effects)+len(f.Unseen)+len(f.Failed) == 0 {
		a.say("  Nothing: no value changes that the server obeys.")
	}
}
