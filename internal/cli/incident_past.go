package cli

// rehearsalWire is the past incident that a drill plays again.
type rehearsalWire struct {
	Of    string
	Speed int64
	Known []struct {
		After      int64 `json:"after_seconds"`
		Kind, Says string
	}
	More     int   `json:"to_come"`
	Next     int64 `json:"next_in_seconds"`
	Compared []comparedWire
}

func (a *app) sayRehearsal(x *rehearsalWire) error {
	if x == nil {
		return nil
	}
	a.say("It plays %s again, %d times as fast. Known by now:", x.Of, x.Speed)
	for _, f := range x.Known {
		a.say("  %s after it was declared, %s: %s", seconds(f.After), f.Kind, visible(f.Says))
	}
	if x.More > 0 {
		a.say("  and %d more to come, the next in %s", x.More, seconds(x.Next))
	}
	if len(x.Compared) == 0 {
		return nil
	}
	return a.sayCompared(x.Of, x.Compared)
}

// comparedWire is a step of a drill beside that of the incident which it played again.
type comparedWire struct {
	Step string
	Then int64 `json:"then_seconds"`
	Now  int64 `json:"now_seconds"`
}

func (a *app) sayCompared(of string, all []comparedWire) error {
	after := func(n int64) string {
		if n < 0 {
			return "not taken"
		}
		return seconds(n)
	}
	t := newTable(a.out, "STEP, AFTER THE FIRST SIGNAL", "IN "+of, "NOW")
	for _, x := range all {
		t.row(x.Step, after(x.Then), after(x.Now))
	}
	return t.flush()
}
