package clause_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
)

type rules struct {
	TTL   time.Duration `clause:"a.b/ttl"`
	Min   int           `clause:"a.b/min"`
	Names []string      `clause:"a.b/names"`
}

func (r rules) Validate() error {
	if r.Min > 100 {
		return errors.New("min is over 100")
	}
	return nil
}

func values(ttl time.Duration, min int64) clause.Values {
	return clause.Values{"a.b/ttl": ttl, "a.b/min": min, "a.b/names": []string{"x"}, "other/p": true}
}

// Dates and the ends of exceptions take hold by the clock alone.
func TestTimeline(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := clause.NewLive[rules](func() time.Time { return now })
	at := now.Add(time.Hour)
	if err := l.Set([]clause.Period{{From: now, Values: values(time.Hour, 8)}, {From: at, Values: values(time.Minute, 12)}, {From: at.Add(time.Hour), Values: values(time.Hour, 8)}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after time.Duration
		want  time.Duration
	}{{-time.Hour, time.Hour}, {0, time.Hour}, {time.Hour - 1, time.Hour}, {time.Hour, time.Minute}, {2*time.Hour - 1, time.Minute}, {2 * time.Hour, time.Hour}, {900 * time.Hour, time.Hour}} {
		if got := l.At(now.Add(c.after)).TTL; got != c.want {
			t.Errorf("after %s: %s, want %s", c.after, got, c.want)
		}
	}
	if run := l.Running(); run["a.b/min"] != int64(8) || run["a.b/ttl"] != time.Hour {
		t.Errorf("running values %v", run)
	}
	if bs := l.Bindings(); len(bs) != 3 || bs[0].Key != "a.b/ttl" {
		t.Errorf("bindings %v", bs)
	}
}

func TestRefused(t *testing.T) {
	now := time.Now
	l := clause.NewLive[rules](now)
	if err := l.Set([]clause.Period{{Values: values(time.Hour, 8)}}); err != nil {
		t.Fatal(err)
	}
	bad := map[string]clause.Values{
		"missing":       {"a.b/ttl": time.Hour, "a.b/min": int64(1)},
		"another type":  {"a.b/ttl": int64(3), "a.b/min": int64(1), "a.b/names": []string{}},
		"does not hold": values(time.Hour, 101),
	}
	for name, v := range bad {
		if l.Check(v) == nil || l.Set([]clause.Period{{Values: v}}) == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if l.Get().Min != 8 {
		t.Error("a refused timeline changed the rules")
	}
	if l.Set(nil) == nil || l.Set([]clause.Period{{From: time.Unix(2, 0), Values: values(1, 1)}, {From: time.Unix(1, 0), Values: values(1, 1)}}) == nil {
		t.Error("an empty or unsorted timeline was taken")
	}
	_, err := clause.Decode[rules](clause.Values{})
	if err == nil || strings.Count(err.Error(), "the policy has no parameter") != 3 {
		t.Errorf("not all gaps are named: %v", err)
	}
}

func TestWorst(t *testing.T) {
	order := []clause.Outcome{clause.Pass, clause.Excepted, clause.Stale, clause.Unknown, clause.Unbound, clause.Fail}
	for i, a := range order {
		for j, b := range order {
			if got := clause.Worst(a, b); got != order[max(i, j)] {
				t.Errorf("worst of %s and %s is %s", a, b, got)
			}
		}
	}
}

func TestJudge(t *testing.T) {
	ok := clause.Step{Act: "a", Expected: "410", Got: "410", OK: true}
	if r := clause.Judge("refused", ok, clause.Step{Control: true, OK: true}); r.Outcome != clause.Pass {
		t.Error("good steps did not pass")
	}
	if r := clause.Judge("refused", ok, clause.Step{Act: "open it late", Expected: "410", Got: "200"}); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "let through: open it late gave 200") {
		t.Errorf("let through: %+v", r)
	}
	if r := clause.Judge("refused", clause.Step{Act: "open it in time", Got: "410", Control: true}, ok); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "refused what it must allow") {
		t.Errorf("control case: %+v", r)
	}
}
