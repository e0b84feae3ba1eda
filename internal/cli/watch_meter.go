package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// watchBound is a bound of a meter, as the server reads and shows it.
type watchBound struct {
	Way      string  `json:"way"`
	At       float64 `json:"at"`
	Clear    float64 `json:"clear"`
	For      string  `json:"for,omitempty"`
	Severity string  `json:"severity,omitempty"`
}

func (a *app) watchMeter() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the meters of your own", Long: "Lists the meters that were declared, the bounds of each, and when the newest sample of it came.",
		Example: "  writ watch meter list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			return a.watchCall(c, http.MethodGet, "meters/own", nil, a.printOwnMeters)
		}),
	}
	remove := &cobra.Command{
		Use: "remove METER", Short: "Remove a meter of your own", Long: "Takes no samples of the meter any more, and ends its alarms. What was counted stays to be seen.",
		Example: "  writ watch meter remove own.orders", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodDelete, "meters/own/"+url.PathEscape(args[0]), nil, func(json.RawMessage) error {
				a.say("%s takes no samples any more.", args[0])
				return nil
			})
		}),
	}
	return a.group("meter", "Meters of your own", "What only your application knows: a meter is declared once, its samples are pushed, and an alarm tells when it is too high, too low or silent.", "  writ watch meter set own.orders --kind count --says \"Orders that were paid\" --every 1m --below 5", a.watchMeterSet(), list, remove)
}

func (a *app) watchMeterSet() *cobra.Command {
	var in struct {
		Kind   string       `json:"kind"`
		Unit   string       `json:"unit,omitempty"`
		Says   string       `json:"says"`
		Every  string       `json:"every"`
		Bounds []watchBound `json:"bounds,omitempty"`
	}
	var hold, severity string
	bounds := map[string]*[2]float64{"above": {}, "below": {}}
	c := &cobra.Command{
		Use: "set METER", Short: "Declare a meter, or change its interval and bounds",
		Long:    "Declares a meter whose name begins with own. Kind and unit are for good, because what is counted is kept in them; the rest may be set anew. A sample beyond a bound opens an alarm, after --for where it is given; one at the clear value or within it ends it. Three intervals without a sample are an alarm too.",
		Example: "  writ watch meter set own.queue --says \"Jobs that wait\" --every 30s --above 500 --above-clear 300 --for 5m --severity page", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			for _, way := range []string{"above", "below"} {
				if !c.Flags().Changed(way) {
					continue
				}
				b := watchBound{way, bounds[way][0], bounds[way][0], hold, severity}
				if c.Flags().Changed(way + "-clear") {
					b.Clear = bounds[way][1]
				}
				in.Bounds = append(in.Bounds, b)
			}
			return a.watchCall(c, http.MethodPut, "meters/own/"+url.PathEscape(args[0]), in, func(json.RawMessage) error {
				a.say("%s is declared. Push to it: writ watch sample push %s VALUE", args[0], args[0])
				return nil
			})
		}),
	}
	f := c.Flags()
	f.StringVar(&in.Kind, "kind", "level", "count (how often since the last sample), spread (how much each time) or level (how high)")
	f.StringVar(&in.Unit, "unit", "", "such as ms; empty for a count")
	f.StringVar(&in.Says, "says", "", "what it is of, at most 80 bytes")
	f.StringVar(&in.Every, "every", "1m", "how often a sample comes, 10s to 24h")
	for way, than := range map[string]string{"above": "below", "below": "above"} {
		f.Float64Var(&bounds[way][0], way, 0, "an alarm when a sample is "+way+" this")
		f.Float64Var(&bounds[way][1], way+"-clear", 0, "and it is over at this, or "+than+"; without it, at the bound")
	}
	f.StringVar(&hold, "for", "", "an alarm only after so long, such as 5m")
	f.StringVar(&severity, "severity", "ticket", "page, ticket or notice")
	return c
}

func (a *app) printOwnMeters(raw json.RawMessage) error {
	var out struct {
		Meters []struct {
			Name, Kind, Unit, Says, Every string
			Bounds                        []watchBound
			Last                          time.Time
		}
	}
	if err := decode(raw, &out); err != nil {
		return err
	}
	if len(out.Meters) == 0 {
		a.say("No meter is declared. Declare one: writ watch meter set own.orders --says \"Orders that were paid\" --kind count")
		return nil
	}
	t := newTable(a.out, "METER", "KIND", "OF", "EVERY", "ALARM", "LAST SAMPLE")
	for _, m := range out.Meters {
		last, bounds := "none since the start", []string{}
		if !m.Last.IsZero() {
			last = a.when(m.Last)
		}
		for _, b := range m.Bounds {
			bounds = append(bounds, b.Way+" "+short(b.At))
		}
		t.row(m.Name, strings.TrimSpace(m.Kind+" "+m.Unit), m.Says, m.Every, strings.Join(bounds, ", "), last)
	}
	return t.flush()
}

// watchSamplePush is a sample as the server reads it.
type watchSamplePush struct {
	Meter string    `json:"meter"`
	Value float64   `json:"value"`
	At    time.Time `json:"at,omitzero"`
	Of    string    `json:"of,omitempty"`
}

func (a *app) watchSample() *cobra.Command {
	var of, when string
	push := &cobra.Command{
		Use: "push METER VALUE", Short: "Push a sample to a meter of your own",
		Long:    "Pushes one value to a meter that is declared. A program pushes many at once to POST /-/api/v1/samples, with a token of the scope watch.push. A sample is at most an hour old, and at most five minutes ahead.",
		Example: "  writ watch sample push own.orders 12\n  writ watch sample push own.queue 340 --of mail --at 2026-05-03T14:00:00Z", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			v, err := strconv.ParseFloat(args[1], 64)
			if err != nil {
				return &usageError{fmt.Errorf("%q is no number", args[1])}
			}
			x := watchSamplePush{Meter: args[0], Value: v, Of: of}
			if when != "" {
				if x.At, err = time.Parse(time.RFC3339, when); err != nil {
					return &usageError{fmt.Errorf("%q is no time such as 2026-05-03T14:00:00Z", when)}
				}
			}
			return a.sendTo(c, http.MethodPost, "samples", map[string]any{"samples": []watchSamplePush{x}}, func(json.RawMessage) error {
				a.say("The sample is taken.")
				return nil
			})
		}),
	}
	push.Flags().StringVar(&of, "of", "", "what it is of, where there are several; nobody's name")
	push.Flags().StringVar(&when, "at", "", "when it was measured; empty: now")
	return a.group("sample", "Samples of meters of your own", "What a program measured, pushed to a meter that is declared.", "  writ watch sample push own.orders 12", push)
}
