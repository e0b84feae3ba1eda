package console

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/watch/budget"
	"writ/internal/watch/spend"
	"writ/internal/web"
)

// Spending is what the pages of budgets need; *spend.Service.
type Spending interface {
	Months(ctx context.Context, who actor.Actor) ([]*spend.Month, error)
	MonthOf(ctx context.Context, who actor.Actor, name string) (spend.Detail, error)
	Set(ctx context.Context, who actor.Actor, b spend.Budget) (spend.Budget, error)
	Remove(ctx context.Context, who actor.Actor, name string) error
	Import(ctx context.Context, who actor.Actor, file []byte) (spend.Imported, error)
	Bills(ctx context.Context, who actor.Actor) ([]spend.Standing, error)
	PricesFor(ctx context.Context, who actor.Actor) (*budget.Prices, error)
	MetersOf() []string
	Levels() []int64
}

const atBudgets = atWatch + "/budgets"

// budgetRoutes are the pages of budgets; none without them.
func (c *Console) budgetRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	if c.Spending == nil {
		return nil
	}
	bring := staff("POST /-/console/watch/budgets/import", access.WatchAct, atBudgets, c.bringBill)
	bring.Limit = spend.MostFile + 64<<10
	return []web.Route{
		staff("GET /-/console/watch/budgets", access.WatchRead, atWatch, c.showBudgets),
		staff("POST /-/console/watch/budgets", access.WatchManage, atBudgets, c.setBudget),
		bring,
		staff("GET /-/console/watch/budgets/{name}", access.WatchRead, atBudgets, c.showBudget),
		staff("POST /-/console/watch/budgets/{name}/remove", access.WatchManage, atBudgets, c.removeBudget),
	}
}

type budgetPage struct {
	Line   string
	Curve  *curve
	Facts  []fact
	Tables []web.Table
	More   *web.Table // behind "show figures"
	Head   string     // above the forms; "" = what can be done
	Forms  []web.Form
}

// budgetMark is how a budget stands.
func (c *Console) budgetMark(m *spend.Month) web.Mark {
	full := budget.Name(c.Spending.Levels()[len(c.Spending.Levels())-2])
	switch {
	case m.Trouble != "":
		return web.Mark{State: web.Unproved, Word: "cannot be compared"}
	case m.Percent >= 100:
		return web.Mark{State: web.Broken, Word: "used up"}
	case !m.Forecast.Learning && m.Low.Cmp(m.Plan) > 0:
		return web.Mark{State: web.StaleNow, Word: "will not do"}
	case !m.Forecast.Learning && m.Mean.Cmp(m.Plan) > 0:
		return web.Mark{State: web.StaleNow, Word: "may reach " + full + " %"}
	case m.Forecast.Learning:
		return web.Mark{State: web.Unproved, Word: "learning"}
	}
	return web.Mark{State: web.Holds, Word: "within its plan"}
}

// thousands sets spaces into the whole part of a number, as figures are read.
func thousands(s string) string {
	whole, part, pointed := strings.Cut(s, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	var out strings.Builder
	for i, r := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			out.WriteString(",")
		}
		out.WriteRune(r)
	}
	if pointed {
		return sign + out.String() + "." + part
	}
	return sign + out.String()
}

// ahead says how a month is likely to end.
func ahead(m *spend.Month) (text, sub string) {
	switch {
	case m.Trouble != "":
		return "", m.Trouble
	case m.Forecast.Learning:
		return "", "learning: three whole days are needed"
	}
	return thousands(m.Show(m.Mean)), "four in five such months: " + thousands(m.Show(m.Low)) + " to " + thousands(m.Show(m.High))
}

func budgetOf(b *spend.Budget) string {
	switch b.Meter {
	case spend.Bill:
		if b.Service != "" {
			return "bills, " + b.Service
		}
		return "bills"
	case spend.Prices:
		return "use, by the list of prices"
	}
	return b.Meter
}

func (c *Console) showBudgets(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.budgetsPage(w, r, who, http.StatusOK, nil, nil, nil)
}

// budgetsPage is what is planned, how it stands, and where costs come from.
func (c *Console) budgetsPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, typed map[string]string, failed, unread error) error {
	ms, err := c.Spending.Months(r.Context(), who)
	if err != nil {
		return err
	}
	t := web.Table{Caption: "This month", Columns: []web.Column{{Name: "Budget"}, {Name: "How it stands"}, {Name: "Used", Figure: true}, {Name: "Plan", Figure: true}, {Name: "Likely at the end", Figure: true}, {Name: "Last counted"}},
		Empty: web.Empty{Says: "Nothing is planned, so nobody is told when it is spent. Plan a month below."}}
	over, likely := 0, 0
	for _, m := range ms {
		mark := c.budgetMark(m)
		if mark.State == web.Broken {
			over++
		} else if mark.State == web.StaleNow {
			likely++
		}
		text, sub := ahead(m)
		last := web.Cell{At: m.Sample}
		if m.Sample.IsZero() {
			last = web.Cell{Text: "never"}
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: m.Name, Href: atBudgets + "/" + m.Name, Sub: budgetOf(&m.Budget)}, {Mark: &mark}, {Text: thousands(m.Show(m.Actual)), Sub: strconv.FormatInt(m.Percent, 10) + " %"}, {Text: thousands(m.Show(m.Plan)), Sub: m.Unit}, {Text: text, Sub: sub}, last}})
	}
	lead := "What is used and spent, compared each minute with what was planned for the month."
	switch {
	case over > 0:
		lead = web.Count(int64(over), "plan") + " used up. Open it, and see what grew: it may be an attack."
	case likely > 0:
		lead = web.Count(int64(likely), "budget") + " may not do for the month. Open it, and see what grew."
	}
	p := budgetPage{Tables: []web.Table{t}}
	if c.Access.May(who, access.WatchManage) {
		p.Head = "Plan a month"
	}
	bills, err := c.billTables(r.Context(), who)
	if err != nil {
		return err
	}
	p.Tables = append(p.Tables, bills...)
	p.Forms = c.budgetForms(who, typed, failed, unread)
	return c.answer(w, r, st, "budget", web.View{Title: "Budgets", Lead: lead, Up: &web.Link{Text: "Alarms", Href: atWatch}, Data: p})
}

// planTable is how budgets stand, among the views.
func (c *Console) planTable(ms []*spend.Month) *web.Table {
	t := &web.Table{Caption: "Budgets", Columns: []web.Column{{Name: "Budget"}, {Name: "How it stands"}, {Name: "Used", Figure: true}, {Name: "Plan", Figure: true}},
		Empty: web.Empty{Says: "Nothing is planned, so nobody is told when it is spent.", Next: web.Link{Text: "Plan a month", Href: atBudgets}}}
	for _, m := range ms {
		mark := c.budgetMark(m)
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: m.Name, Href: atBudgets + "/" + m.Name, Sub: budgetOf(&m.Budget)}, {Mark: &mark}, {Text: thousands(m.Show(m.Actual)), Sub: strconv.FormatInt(m.Percent, 10) + " %"}, {Text: thousands(m.Show(m.Plan)), Sub: m.Unit}}})
	}
	return t
}

// billTables are where costs come from.
func (c *Console) billTables(ctx context.Context, who actor.Actor) ([]web.Table, error) {
	xs, err := c.Spending.Bills(ctx, who)
	if err != nil {
		return nil, err
	}
	bills := web.Table{Caption: "Bills", Columns: []web.Column{{Name: "Source"}, {Name: "Month"}, {Name: "Charged", Figure: true}, {Name: "Credits", Figure: true}, {Name: "Through"}, {Name: "Brought"}}, Empty: web.Empty{Says: "No bill was brought. Bring one below, or with writ watch budget import."}}
	for i := range xs[:min(len(xs), 24)] {
		x := &xs[i]
		through := "all of it"
		if x.Partial {
			through = fmt.Sprintf("day %d, partial", x.Through)
		}
		bills.Rows = append(bills.Rows, web.Row{Cells: []web.Cell{{Text: x.Source, Code: true}, {Text: x.Month}, {Text: thousands(x.Charged.Fixed(2)), Sub: x.Currency}, {Text: thousands(x.Credits.Fixed(2))}, {Text: through}, {At: x.Brought}}})
	}
	ps, err := c.Spending.PricesFor(ctx, who)
	if err != nil || len(ps.List) == 0 {
		return []web.Table{bills}, err
	}
	prices := web.Table{Caption: "Prices", Columns: []web.Column{{Name: "Meter"}, {Name: "Price", Figure: true}, {Name: "For", Figure: true}}}
	for _, x := range ps.List {
		prices.Rows = append(prices.Rows, web.Row{Cells: []web.Cell{{Text: x.Meter}, {Text: x.Amount.String() + " " + ps.Currency}, {Text: thousands(strconv.FormatInt(x.Per, 10))}}})
	}
	return []web.Table{bills, prices}, nil
}

func (c *Console) budgetForms(who actor.Actor, typed map[string]string, failed, unread error) (out []web.Form) {
	if c.Access.May(who, access.WatchManage) {
		var meters []web.Option
		for _, m := range c.Spending.MetersOf() {
			meters = append(meters, web.Option{Value: m, Text: budgetOf(&spend.Budget{Meter: m}), Chosen: m == typed["meter"]})
		}
		out = append(out, web.Form{Part: "set", Action: atBudgets, Act: "Plan the month", Fault: failed, Fields: []web.Field{
			{Name: "name", Label: "Name", Value: typed["name"], Required: true, Max: 32, Complete: "off", Hint: "Such as cloud. The name of one that is there changes its plan."},
			{Name: "meter", Label: "Of", Type: "select", Options: meters},
			{Name: "service", Label: "One service of the bill", Value: typed["service"], Max: 100, Complete: "off", Hint: "Empty: all of them."},
			{Name: "plan", Label: "For a month", Value: typed["plan"], Required: true, Max: 60, Complete: "off", Hint: "Such as 5000 EUR, or 2000000 of what is counted."}}})
	}
	if c.Access.May(who, access.WatchAct) {
		out = append(out, web.Form{Part: "bring", Fold: "Bring a bill", Action: atBudgets + "/import", Act: "Bring the bill", Quiet: true, Upload: true, Fault: unread, Fields: []web.Field{
			{Name: "file", Label: "Bill", Type: "file", Required: true, Hint: "AWS CUR 2.0, FOCUS 1.x, or a table day,service,amount,currency; plain or packed by gzip, at most 16 MiB. What was brought before for the same account and month is replaced."}}})
	}
	return out
}

func (c *Console) setBudget(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := c.Access.Allow(r.Context(), who, access.WatchManage, "watch/budgets"); err != nil { // before what is wrong with it
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	typed := map[string]string{"name": f.Get("name"), "meter": f.Get("meter"), "service": f.Get("service"), "plan": f.Get("plan")}
	b := spend.Budget{Name: typed["name"], Meter: typed["meter"], Service: typed["service"]}
	b.Plan, b.Unit, err = spend.ReadPlan(typed["plan"])
	if err == nil {
		b, err = c.Spending.Set(r.Context(), who, b)
	}
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.budgetsPage(w, r, who, status(err), typed, err, nil)
	}
	return c.done(w, r, atBudgets+"/"+b.Name, "The month is planned.")
}

func (c *Console) bringBill(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := c.Access.Allow(r.Context(), who, access.WatchAct, "watch/costs"); err != nil { // before megabytes are read
		return err
	}
	_, files, err := web.ReadUpload(r)
	if err != nil {
		return err
	}
	x, err := c.Spending.Import(r.Context(), who, files["file"].Body)
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.budgetsPage(w, r, who, status(err), nil, nil, err)
	}
	return c.done(w, r, atBudgets, web.Count(int64(x.Rows), "line")+" of "+x.Form+" were read.")
}

func (c *Console) removeBudget(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := c.Spending.Remove(r.Context(), who, r.PathValue("name")); err != nil {
		return err
	}
	return c.done(w, r, atBudgets, "The budget is removed. What it reached stays in the record.")
}

// showBudget is one budget: plan against what was used and what is likely, what was reached,
// and what grew around that.
func (c *Console) showBudget(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	d, err := c.Spending.MonthOf(r.Context(), who, r.PathValue("name"))
	if err != nil {
		return err
	}
	m := &d.Month
	mark := c.budgetMark(m)
	text, sub := ahead(m)
	p := budgetPage{Line: fmt.Sprintf("%s of %s %s are used, %d %%.", thousands(m.Show(m.Actual)), thousands(m.Show(m.Plan)), m.Unit, m.Percent),
		Facts: []fact{{Name: "State", Mark: &mark}, {Name: "Counts", Text: budgetOf(&m.Budget)}, {Name: "Likely at the end", Text: text, Sub: sub}, {Name: "Alarms at", Text: c.levelWords()}}}
	if m.Credits.Sign() != 0 {
		p.Facts = append(p.Facts, fact{Name: "Credits", Text: thousands(m.Show(m.Credits)) + " " + m.Unit, Sub: "not taken off what was used"})
	}
	if !m.Sample.IsZero() {
		p.Facts = append(p.Facts, fact{Name: "Last counted", Time: m.Sample})
	}
	p.Facts = append(p.Facts, fact{Name: "Planned by", Text: c.acted(r.Context(), m.ChangedBy), Href: atJournal + "?object=budget/" + m.Name, Time: m.Changed})
	if m.Trouble == "" {
		p.Curve = draw(m)
		figures := figureTable(m)
		p.More = &figures
	}
	p.Tables = append(p.Tables, c.reachedTable(&d))
	if len(d.Crossings) > 0 {
		p.Tables = append(p.Tables, hintTable(&d.Crossings[0]), grewTable(&d.Crossings[0]))
	}
	if c.Access.May(who, access.WatchManage) {
		p.Forms = []web.Form{{Part: "remove", Fold: "Remove the budget", Action: atBudgets + "/" + m.Name + "/remove", Act: "Remove the budget", Quiet: true, Loses: "Nobody is told any more when " + m.Name + " is used up."}}
	}
	return c.show(w, r, "budget", web.View{Title: "Budget " + m.Name, Lead: "The plan of a month against what was used so far and what is likely until its end.", Up: &web.Link{Text: "Budgets", Href: atBudgets}, Data: p})
}

func (c *Console) levelWords() string {
	var out []string
	for _, l := range c.Spending.Levels() {
		out = append(out, budget.Name(l)+" %")
	}
	return strings.Join(out, ", ") + " of the plan, and when nine of ten such months end above it"
}

func figureTable(m *spend.Month) web.Table {
	t := web.Table{Caption: "Day by day", Columns: []web.Column{{Name: "Day"}, {Name: m.Unit, Figure: true}, {Name: "So far", Figure: true}, {Name: "Known"}}}
	sum := 0.0
	var exact budget.Amount
	row := func(day int, amount, all, known string) {
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: fmt.Sprintf("%s-%02d", m.Month, day)}, {Text: thousands(amount)}, {Text: thousands(all)}, {Text: known}}})
	}
	for i, x := range m.Days {
		known := "counted"
		if exact = exact.Add(x.Amount); i == len(m.Days)-1 {
			known = "so far"
		} else if !x.Known {
			known = "not observed"
		}
		row(x.Day, m.Show(x.Amount), m.Show(exact), known)
	}
	sum = exact.Float()
	for i, v := range m.Forecast.Path {
		if i == 0 && len(m.Days) > 0 {
			sum += v - m.Days[len(m.Days)-1].Amount.Float()
			continue
		}
		sum += v
		row(len(m.Days)+i, m.Show(budget.Near(v, 2)), m.Show(budget.Near(sum, 2)), "likely")
	}
	return t
}

// reachedTable lists the levels that were reached, and what became of each.
func (c *Console) reachedTable(d *spend.Detail) web.Table {
	t := web.Table{Caption: "What was reached", Columns: []web.Column{{Name: "Level"}, {Name: "When"}, {Name: "Used", Figure: true}, {Name: "Plan", Figure: true}, {Name: "Decided"}}, Empty: web.Empty{Says: "No level was reached."}}
	for _, x := range d.Crossings[:min(len(d.Crossings), 20)] {
		level := x.Level + " %"
		if x.Level == budget.Ahead {
			level = "over the plan by forecast"
		}
		item := web.Cell{Text: "no incident yet"}
		if x.Item.Name != "" {
			item = web.Cell{Text: x.Item.Name, Href: atIncidents + "/" + x.Item.Name, Sub: "nobody has decided yet"}
			if !x.Item.Decided.IsZero() {
				item.Sub = "decided"
			}
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: level, Href: atJournal + "?object=budget/" + x.Budget, Sub: x.Month}, {At: x.At}, {Text: thousands(d.Show(x.Actual))}, {Text: thousands(d.Show(x.Plan))}, item}})
	}
	return t
}

// hintTable says what the last level that was reached may mean.
func hintTable(x *spend.Crossing) web.Table {
	t := web.Table{Caption: "What it may be, the likeliest first", Columns: []web.Column{{Name: "May be"}, {Name: "Because"}}}
	for _, h := range x.Hints {
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: h.Word}, {Text: strings.Join(h.Reasons, "; ")}}})
	}
	return t
}

// grewTable says what grew in the day before the last level was reached.
func grewTable(x *spend.Crossing) web.Table {
	t := web.Table{Caption: "What grew most in the day before", Columns: []web.Column{{Name: "What"}, {Name: "Which"}, {Name: "Then", Figure: true}, {Name: "Usually", Figure: true}}, Empty: web.Empty{Says: "Nothing that is measured grew."}}
	for _, g := range x.Signs.Top {
		usual := "no week is known"
		if g.Weeks > 0 {
			usual = thousands(strconv.FormatFloat(g.Usual, 'f', 0, 64))
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: g.Dimension}, {Text: cutID(g.Label), Code: true}, {Text: thousands(strconv.FormatFloat(g.Now, 'f', 0, 64))}, {Text: usual}}})
	}
	return t
}
