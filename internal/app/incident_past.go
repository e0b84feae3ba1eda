package app

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/gateway/trail"
	"writ/internal/incident"
	"writ/internal/journal"
)

// damaging are the acts after which data may be damaged, and what each means.
var damaging = map[string]struct{ kind, says string }{
	"gateway.description-adopted": {incident.OnsetDeploy, "the application described its interface anew"},
	"gateway.upstream-recovered":  {incident.OnsetDeploy, "the application answered again, as after a start"},
	"gateway.routes-adopted":      {incident.OnsetSetting, "routes of the gate were changed"},
	"gateway.mode-changed":        {incident.OnsetSetting, "the gate changed its mode"},
	"policy.adopted":              {incident.OnsetSetting, "another revision of the policy came into force"},
	"vault.param-put":             {incident.OnsetSetting, "a secret or a setting was written"},
	"identity.breakglass-used":    {incident.OnsetStaff, "the break-glass account was used"},
	"identity.support-agreed":     {incident.OnsetStaff, "a look of staff at what a customer sees was agreed to"},
	"identity.role-granted":       {incident.OnsetStaff, "a role was granted"},
	"watch.alarm-opened":          {incident.OnsetAlarm, "an alarm fired"},
	"watch.alarm-reopened":        {incident.OnsetAlarm, "an alarm fired again"},
	"gateway.wrote-while-closed":  {incident.OnsetMass, "the application changed something while the gate was closed"},
}

// What counts as many changes through the gate: so many at one route by one caller, none more than
// a minute after the one before.
const (
	manyWrites = 50
	writeRun   = time.Minute
)

// Onsets implements incident.Past: entries of the journal, and changes that access records tell of.
func (s seen) Onsets(ctx context.Context, from, until time.Time) (out []incident.Onset, err error) { // clause: inc.loss-restore
	for act, x := range damaging {
		if err := s.entries(ctx, act, from, math.MaxInt64, func(e journal.Entry) error {
			if e.Happened.After(until) {
				return nil
			}
			says := x.says
			if e.Object != "" {
				says += ": " + e.Object
			}
			out = append(out, incident.Onset{From: e.Happened, To: e.Happened, Kind: x.kind, Says: says, Entry: e.N})
			return nil
		}); err != nil {
			return nil, err
		}
	}
	fs, whole, err := s.trail.Writes(ctx, actor.System("incident"), from, until)
	if err != nil {
		return nil, err
	}
	if !whole {
		out = append(out, incident.Onset{From: from, To: until, Kind: incident.OnsetUnknown, Says: "access records do not tell of all changes in this time"})
	}
	return append(out, onsetsOf(fs)...), nil
}

// onsetsOf are many changes one after another, and the first change of each session of staff.
func onsetsOf(fs []trail.Found) (out []incident.Onset) {
	slices.SortStableFunc(fs, func(a, b trail.Found) int { return a.At.Compare(b.At) })
	type run struct {
		from, last time.Time
		n          int
	}
	staff, runs := map[string]bool{}, map[string]*run{}
	end := func(key string, r *run) {
		if r.n >= manyWrites {
			out = append(out, incident.Onset{From: r.from, To: r.last, Kind: incident.OnsetMass, Says: fmt.Sprintf("%d times %s", r.n, key)})
		}
	}
	for _, f := range fs {
		if f.Staff && f.Session != "" && !staff[f.Session] {
			staff[f.Session] = true
			out = append(out, incident.Onset{From: f.At, To: f.At, Kind: incident.OnsetStaff, Says: "the first change in a session of staff, by " + f.Who + ": " + f.Method + " " + f.Route})
		}
		if f.Method != "DELETE" && f.Method != "PUT" && f.Method != "PATCH" {
			continue
		}
		key := strings.TrimSuffix(f.Method+" "+f.Route+" by "+f.Who, " by ")
		r := runs[key]
		if r != nil && f.At.Sub(r.last) > writeRun {
			end(key, r)
			r = nil
		}
		if r == nil {
			r = &run{from: f.At}
			runs[key] = r
		}
		r.n, r.last = r.n+1, f.At
	}
	for key, r := range runs {
		end(key, r)
	}
	return out
}
