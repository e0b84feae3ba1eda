package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/gateway"
	"writ/internal/web"
)

const atFinds = atGate + "/finds"

type findsPage struct {
	Facts  []fact
	Tables []web.Table
	Form   *web.Form
}

// showFinds lists what the rules found, and the exceptions from them.
func (c *Console) showFinds(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	finds, err := c.Gateway.Finds(r.Context())
	if err != nil {
		return err
	}
	exceptions, err := c.Gateway.WAFExceptions(r.Context())
	if err != nil {
		return err
	}
	may := c.Access.May(who, access.GateMaintain)
	p := findsPage{Facts: wafFacts(c.Gateway.WAFNow()), Tables: []web.Table{findTable(finds, may), c.exceptionTable(r, exceptions)}}
	if live := c.liveExceptions(exceptions); may && len(live) > 0 {
		p.Form = &web.Form{Action: atFinds + "/end", Act: "End it", Quiet: true, Fields: []web.Field{{Name: "exception", Label: "Exception to end now", Type: "select", Options: live}}}
	}
	return c.show(w, r, "finds", web.View{Title: "What the rules found", Lead: "Rules look at every request for attacks. What a find was about is not kept: only the rule, the place and how often.", Up: &web.Link{Text: "Gate", Href: atGate}, Data: p})
}

func wafFacts(s gateway.WAFState) []fact {
	mode := map[string]web.Mark{gateway.WAFOff: {State: web.Unproved, Word: "off, but where a route asks for more"}, gateway.WAFDetect: {State: web.StaleNow, Word: "recorded, not refused"}, gateway.WAFBlock: {State: web.Holds, Word: "refused"}}[s.Mode]
	facts := []fact{{Name: "What is found is", Mark: &mode}, {Name: "Paranoia", Text: strconv.Itoa(s.Paranoia) + " of 4"}}
	if s.Unlooked > 0 {
		facts = append(facts, fact{Name: "Too large to be looked at", Text: web.Number(s.Unlooked) + " since the start, and passed"})
	}
	return facts
}

func place(variable, field string) string { return strings.TrimSuffix(variable+":"+field, ":") }

func findTable(finds []gateway.Find, may bool) web.Table {
	t := web.Table{Caption: "Finds of the last 30 days, the newest first", Columns: []web.Column{{Name: "Rule"}, {Name: "Route"}, {Name: "Field"}, {Name: "Times", Figure: true}, {Name: "Last"}, {Name: "Next"}},
		Empty: web.Empty{Says: "Nothing was found. What is recorded for the first time appears here within a second."}}
	for _, f := range finds {
		state := web.Mark{State: web.StaleNow, Word: "passed"}
		if f.Refused {
			state = web.Mark{State: web.Holds, Word: "refused"}
		}
		rule := web.Cell{Text: strconv.FormatInt(f.Rule, 10)}
		if may {
			rule.Href = atFinds + "/except?" + url.Values{"rule": {rule.Text}, "route": {f.Route}, "field": {place(f.Variable, f.Field)}}.Encode()
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{rule, {Text: f.Route, Code: true}, {Text: place(f.Variable, f.Field), Code: true}, {Text: web.Number(f.Count)}, {At: f.Last}, {Mark: &state}}})
	}
	return t
}

func (c *Console) exceptionTable(r *http.Request, all []gateway.WAFException) web.Table {
	t := web.Table{Caption: "Exceptions", Columns: []web.Column{{Name: "Rules"}, {Name: "Route"}, {Name: "Field"}, {Name: "Reason"}, {Name: "State"}}, Empty: web.Empty{Says: "No exception was made: all rules count everywhere."}}
	for _, x := range all {
		state := web.Mark{State: web.Excepted, Word: "until " + day(x.Until)}
		if !x.Ended.IsZero() || !c.Now().Before(x.Until) {
			state = web.Mark{State: web.Unproved, Word: "ended"}
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: strings.Trim(strings.ReplaceAll(strconvAll(x.Rules), " ", ", "), ", "), Href: atJournal + "?object=waf-exception/" + x.ID}, {Text: x.Route, Code: true}, {Text: x.Field, Code: true},
			{Text: x.Reason, Sub: "by " + c.acted(r.Context(), x.Owner)}, {Mark: &state}}})
	}
	return t
}

func strconvAll(rules []int) string {
	var all []string
	for _, r := range rules {
		all = append(all, strconv.Itoa(r))
	}
	return strings.Join(all, " ")
}

func (c *Console) liveExceptions(all []gateway.WAFException) (live []web.Option) {
	for _, x := range all {
		if x.Ended.IsZero() && c.Now().Before(x.Until) {
			live = append(live, web.Option{Value: x.ID, Text: strconvAll(x.Rules) + " in " + x.Field + " of " + x.Route})
		}
	}
	return live
}

// askException is the form to except what a find was about.
func (c *Console) askFindException(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	q := r.URL.Query()
	return c.exceptionForm(w, r, http.StatusOK, url.Values{"rules": {q.Get("rule")}, "route": {q.Get("route")}, "field": {q.Get("field")}}, nil)
}

func (c *Console) exceptionForm(w http.ResponseWriter, r *http.Request, st int, f url.Values, fail error) error {
	until := f.Get("until")
	if until == "" {
		until = c.Now().AddDate(0, 0, 30).UTC().Format(time.DateOnly)
	}
	form := &web.Form{Action: atFinds + "/except", Act: "Except it", Fault: fail, Other: &web.Link{Text: "Not now", Href: atFinds},
		Fields: []web.Field{{Name: "rules", Label: "Rules", Value: f.Get("rules"), Required: true, Max: 200, Complete: "off", Hint: "Numbers, by spaces."},
			{Name: "route", Label: "Route", Value: f.Get("route"), Required: true, Max: 300, Complete: "off", Hint: "As routes.yaml spells it; * is where no route matches."},
			{Name: "field", Label: "Field", Value: f.Get("field"), Required: true, Max: 100, Complete: "off", Hint: "Such as ARGS:text. A place in a list is *."},
			{Name: "reason", Label: "Why these requests are good", Value: f.Get("reason"), Required: true, Max: 300, Complete: "off"},
			{Name: "until", Label: "Until", Value: until, Required: true, Max: 10, Complete: "off", Hint: "A day at most 90 days ahead."}}}
	return c.answer(w, r, st, "finds", web.View{Title: "Except a field from rules", Lead: "In that field of that route these rules do not count, until the day. All other rules do, and these everywhere else.", Up: &web.Link{Text: "What the rules found", Href: atFinds}, Data: findsPage{Form: form}})
}

func (c *Console) exceptFind(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	x := gateway.WAFException{Route: strings.TrimSpace(f.Get("route")), Field: f.Get("field"), Reason: f.Get("reason")}
	for word := range strings.FieldsSeq(strings.ReplaceAll(f.Get("rules"), ",", " ")) {
		n, err := strconv.Atoi(word)
		if err != nil {
			n = -1 // no rule's number: refused like others
		}
		x.Rules = append(x.Rules, n)
	}
	if x.Until, err = time.Parse(time.DateOnly, strings.TrimSpace(f.Get("until"))); err != nil {
		x.Until = c.Now() // no day ahead: refused like others
	}
	if _, err := c.Gateway.Except(r.Context(), who, x); err != nil {
		if !formed(err) {
			return err
		}
		return c.exceptionForm(w, r, status(err), f, err)
	}
	return c.done(w, r, atFinds, "Excepted until "+day(x.Until)+".")
}

func (c *Console) endFindException(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Gateway.EndException(r.Context(), who, f.Get("exception")); err != nil {
		return err
	}
	return c.done(w, r, atFinds, "The exception has ended: the rules count again.")
}
