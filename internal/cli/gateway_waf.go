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

	"writ/internal/policy/document"
)

// wafState is what the rules that look for attacks say of themselves.
type wafState struct {
	Mode     string `json:"mode"`
	Paranoia int    `json:"paranoia"`
	Ready    bool   `json:"ready"`
	Unlooked int64  `json:"unlooked"`
	Finds    []struct {
		Rule     int64     `json:"rule"`
		Route    string    `json:"route"`
		Variable string    `json:"variable"`
		Field    string    `json:"field"`
		Count    int64     `json:"count"`
		Refused  bool      `json:"refused"`
		Last     time.Time `json:"last"`
	} `json:"finds"`
	Exceptions []wafException `json:"exceptions"`
}

type wafException struct {
	ID     string    `json:"id"`
	Rules  []int     `json:"rules"`
	Route  string    `json:"route"`
	Field  string    `json:"field"`
	Reason string    `json:"reason"`
	Owner  string    `json:"owner"`
	Until  time.Time `json:"until"`
	Ended  time.Time `json:"ended"`
}

func (a *app) gatewayWAF() *cobra.Command {
	return a.group("waf", "See what the rules that look for attacks found, and except good requests",
		"The rules look at every request. What they find is recorded, and refused where writ.yaml (gateway: waf: mode) says block.\nAn exception takes some rules away from one field of one route for at most 90 days.",
		"  writ gateway waf finds\n  writ gateway waf except --rule 942100 --route /notes --field ARGS:text --until 30d --reason \"notes are about databases\"\n  writ gateway waf end 01JB…",
		a.wafFinds(), a.wafExcept(), a.wafEnd())
}

func (a *app) wafFinds() *cobra.Command {
	return &cobra.Command{
		Use: "finds", Short: "List what was found in the last 30 days, and the exceptions", Long: "Lists finds by rule, route and field, the newest first. What a find was about is not kept.",
		Example: "  writ gateway waf finds", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "gateway/waf", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			return a.printWAF(raw)
		}),
	}
}

func (a *app) printWAF(raw json.RawMessage) error {
	var s wafState
	if err := decode(raw, &s); err != nil {
		return err
	}
	a.say("The rules are in mode %s at paranoia %d.", visible(s.Mode), s.Paranoia)
	if s.Unlooked > 0 {
		a.say("%d bodies were too large to be looked at and passed.", s.Unlooked)
	}
	if len(s.Finds) == 0 {
		a.say("Nothing was found in the last 30 days.")
	} else {
		t := newTable(a.out, "RULE", "ROUTE", "FIELD", "TIMES", "", "LAST")
		for _, f := range s.Finds {
			refused := "passed"
			if f.Refused {
				refused = "refused"
			}
			t.row(strconv.FormatInt(f.Rule, 10), f.Route, strings.TrimSuffix(f.Variable+":"+f.Field, ":"), strconv.FormatInt(f.Count, 10), refused, a.when(f.Last))
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if len(s.Exceptions) == 0 {
		return nil
	}
	t := newTable(a.out, "EXCEPTION", "RULES", "ROUTE", "FIELD", "UNTIL", "BY", "REASON")
	for _, x := range s.Exceptions {
		until := a.date(x.Until)
		if !x.Ended.IsZero() {
			until = "ended " + a.date(x.Ended)
		}
		t.row(x.ID, strings.Trim(fmt.Sprint(x.Rules), "[]"), x.Route, x.Field, until, x.Owner, x.Reason)
	}
	return t.flush()
}

func (a *app) wafExcept() *cobra.Command {
	var in struct {
		Rules  []int     `json:"rules"`
		Route  string    `json:"route"`
		Field  string    `json:"field"`
		Reason string    `json:"reason"`
		Until  time.Time `json:"until"`
	}
	var until string
	c := &cobra.Command{
		Use: "except", Short: "Take rules away from one field of one route for a while",
		Long: `The field is a variable and a name, as the finds show it: ARGS:text, REQUEST_HEADERS:Referer. A
place in a list is *. --until is a date, a time, or a span such as 30d; at most 90 days. What
cannot be read at all is refused in spite of it.`,
		Example: "  writ gateway waf except --rule 942100 --route /notes --field ARGS:text --until 30d --reason \"notes are about databases\"", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			var err error
			if in.Until, err = parseTime(until); err != nil {
				d, derr := document.ParseDuration(until)
				if derr != nil {
					return &usageError{fmt.Errorf("--until: %w, or a span such as 30d", err)}
				}
				in.Until = a.now().Add(d).UTC().Truncate(time.Second)
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "gateway/waf/exceptions", in, &raw); err != nil {
				return err
			}
			var x wafException
			if err := decode(raw, &x); err != nil {
				return err
			}
			return a.done(fmt.Sprintf("Excepted until %s. To end it before: writ gateway waf end %s", a.date(x.Until), visible(x.ID)), raw)
		}),
	}
	f := c.Flags()
	f.IntSliceVar(&in.Rules, "rule", nil, "number of a rule; may be given again")
	f.StringVar(&in.Route, "route", "", "path of the route as routes.yaml spells it; * = where none matches")
	f.StringVar(&in.Field, "field", "", "variable and name, such as ARGS:text")
	f.StringVar(&in.Reason, "reason", "", "why these requests are good; it stands in the record")
	f.StringVar(&until, "until", "", "its end: a date, a time, or a span such as 30d")
	for _, name := range []string{"rule", "route", "field", "reason", "until"} {
		_ = c.MarkFlagRequired(name) // the flag is there
	}
	return c
}

func (a *app) wafEnd() *cobra.Command {
	return &cobra.Command{
		Use: "end ID", Short: "End an exception before its time", Long: "The rules count again at once. That it was ended is recorded.", Example: "  writ gateway waf end 01JB…", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.call(c.Context(), http.MethodDelete, "gateway/waf/exceptions/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return a.done("The exception has ended.", nil)
		}),
	}
}
