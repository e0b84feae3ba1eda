package spend

import (
	"fmt"
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/watch/budget"
	"writ/internal/web"
)

// Routes are the doors of spending.
func (s *Service) Routes() []web.Route {
	const v1 = "/-/api/v1/watch"
	on := func(pattern string, tokens bool, limit int64, h web.Handler, d web.Doc) web.Route {
		d.Tag = "watch"
		return web.Route{Pattern: pattern, Who: web.Staff, Tokens: tokens, Limit: limit, Handle: h, Doc: d}
	}
	const small, file = 16 << 10, MostFile/3*4 + 16<<10
	return []web.Route{
		on("GET "+v1+"/budgets", true, small, s.getBudgets, web.Doc{Summary: "Budgets, and how they stand this month", Out: budgetsOut{}}),
		on("GET "+v1+"/budgets/{name}", true, small, s.getBudget, web.Doc{Summary: "One budget by day, with its forecast and the levels that it reached", Out: budgetOut{}, Errors: []string{"budget_unknown"}}),
		on("PUT "+v1+"/budgets/{name}", false, small, s.putBudget, web.Doc{Summary: "Plan a month, or change the plan", In: budgetIn{}, Out: budgetWire{}, Errors: []string{"budget_name", "budget_meter", "budget_plan", "budget_unit", "budget_service", "budgets_full"}}),
		on("DELETE "+v1+"/budgets/{name}", false, small, s.deleteBudget, web.Doc{Summary: "Remove a budget; what it reached stays in the record", Errors: []string{"budget_unknown"}}),
		on("GET "+v1+"/costs", true, small, s.getCosts, web.Doc{Summary: "Bills, by source and month", Out: costsOut{}}),
		on("POST "+v1+"/costs", true, file, s.postCosts, web.Doc{Summary: "Bring a bill: AWS CUR 2.0, FOCUS 1.x or day,service,amount,currency, plain or packed by gzip", In: fileIn{}, Out: importedOut{}, Errors: []string{"budget_file", "bill_currency"}}),
		on("POST "+v1+"/costs/forget", false, small, s.postForget, web.Doc{Summary: "Take a statement out that was brought by mistake", In: forgetIn{}, Errors: []string{"bill_unknown", "budget_reason"}}),
		on("GET "+v1+"/prices", true, small, s.getPrices, web.Doc{Summary: "The list of prices", Out: pricesOut{}}),
		on("PUT "+v1+"/prices", false, 128<<10, s.putPrices, web.Doc{Summary: "Put another list of prices in its place: meter,price,per,currency", In: fileIn{}, Out: pricesOut{}, Errors: []string{"budget_file"}}),
	}
}

type (
	budgetWire struct {
		Name     string    `json:"name"`
		Meter    string    `json:"meter"`
		Service  string    `json:"service,omitzero"`
		Plan     string    `json:"plan"`
		Unit     string    `json:"unit"`
		Month    string    `json:"month,omitzero"`
		Actual   string    `json:"actual,omitzero"`
		Credits  string    `json:"credits,omitzero"`
		Percent  int64     `json:"percent"`
		Learning bool      `json:"learning,omitzero"`
		Known    int       `json:"days_known"`
		Forecast string    `json:"forecast,omitzero"` // at the end of the month
		Low      string    `json:"low,omitzero"`      // the interval of 80 %
		High     string    `json:"high,omitzero"`
		Sample   time.Time `json:"sample,omitzero"` // when the last cost or use was
		Trouble  string    `json:"trouble,omitzero"`
	}
	budgetsOut struct {
		Budgets []budgetWire `json:"budgets"`
	}
	dayWire struct {
		Day    int    `json:"day"`
		Amount string `json:"amount"`
		Known  bool   `json:"known"`
	}
	growthWire struct {
		Dimension string  `json:"dimension"`
		Label     string  `json:"label"`
		Now       float64 `json:"now"`
		Usual     float64 `json:"usual"`
		Weeks     int     `json:"weeks"`
	}
	hintWire struct {
		Word    string   `json:"word"`
		Reasons []string `json:"reasons"`
	}
	crossingWire struct {
		Month    string       `json:"month"`
		Level    string       `json:"level"`
		At       time.Time    `json:"at"`
		Plan     string       `json:"plan"`
		Actual   string       `json:"actual"`
		Forecast string       `json:"forecast,omitzero"`
		Entry    string       `json:"entry"`
		Grew     []growthWire `json:"grew"`
		Abuse    []string     `json:"abuse"`
		Hints    []hintWire   `json:"hints"` // no verdict
		Item     string       `json:"incident,omitzero"`
		Decided  time.Time    `json:"decided,omitzero"`
	}
	budgetOut struct {
		Budget  budgetWire     `json:"budget"`
		Days    []dayWire      `json:"days"`
		Ahead   []string       `json:"ahead"` // what each day from the last one on is likely to come to
		Reached []crossingWire `json:"reached"`
	}
	budgetIn struct {
		Meter   string        `json:"meter"`
		Service string        `json:"service,omitzero"`
		Plan    budget.Amount `json:"plan"`
		Unit    string        `json:"unit,omitzero"`
	}
	fileIn struct {
		File []byte `json:"file"` // base64
	}
	standingWire struct {
		Source   string    `json:"source"`
		Month    string    `json:"month"`
		Currency string    `json:"currency"`
		Charged  string    `json:"charged"`
		Credits  string    `json:"credits"`
		Through  int       `json:"through"`
		Partial  bool      `json:"partial"`
		Brought  time.Time `json:"brought"`
	}
	costsOut struct {
		Costs []standingWire `json:"costs"`
	}
	importedOut struct {
		Form  string         `json:"form"`
		Rows  int            `json:"rows"`
		Costs []standingWire `json:"costs"`
	}
	forgetIn struct {
		Source string `json:"source"`
		Month  string `json:"month"`
		Reason string `json:"reason"`
	}
	priceWire struct {
		Meter string `json:"meter"`
		Price string `json:"price"`
		Per   int64  `json:"per"`
	}
	pricesOut struct {
		Currency string      `json:"currency,omitzero"`
		Prices   []priceWire `json:"prices"`
	}
)

func wire(m *Month) budgetWire {
	out := budgetWire{Name: m.Name, Meter: m.Meter, Service: m.Service, Plan: m.Show(m.Plan), Unit: m.Unit, Month: m.Month, Actual: m.Show(m.Actual), Percent: m.Percent, Learning: m.Forecast.Learning, Known: m.Forecast.Known, Sample: m.Sample, Trouble: m.Trouble}
	if m.Credits.Sign() != 0 {
		out.Credits = m.Show(m.Credits)
	}
	if !m.Forecast.Learning && m.Trouble == "" {
		out.Forecast, out.Low, out.High = m.Show(m.Mean), m.Show(m.Low), m.Show(m.High)
	}
	return out
}

func wireCrossing(b *Budget, x *Crossing) crossingWire {
	out := crossingWire{Month: x.Month, Level: x.Level, At: x.At, Plan: b.Show(x.Plan), Actual: b.Show(x.Actual), Forecast: x.Forecast, Entry: x.Entry, Grew: []growthWire{}, Abuse: append([]string{}, x.Signs.Abuse...), Hints: []hintWire{}, Item: x.Item.Name, Decided: x.Item.Decided}
	for _, g := range x.Signs.Top {
		out.Grew = append(out.Grew, growthWire(g))
	}
	for _, h := range x.Hints {
		out.Hints = append(out.Hints, hintWire{h.Word, h.Reasons})
	}
	return out
}

func wireStands(xs []Standing) []standingWire {
	out := []standingWire{}
	for _, x := range xs {
		out = append(out, standingWire{x.Source, x.Month, x.Currency, x.Charged.Fixed(2), x.Credits.Fixed(2), x.Through, x.Partial, x.Brought})
	}
	return out
}

func (s *Service) getBudgets(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ms, err := s.Months(r.Context(), who)
	if err != nil {
		return err
	}
	out := budgetsOut{Budgets: []budgetWire{}}
	for _, m := range ms {
		out.Budgets = append(out.Budgets, wire(m))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) getBudget(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	d, err := s.MonthOf(r.Context(), who, r.PathValue("name"))
	if err != nil {
		return err
	}
	out := budgetOut{Budget: wire(&d.Month), Days: []dayWire{}, Ahead: []string{}, Reached: []crossingWire{}}
	for _, x := range d.Days {
		out.Days = append(out.Days, dayWire{x.Day, d.Show(x.Amount), x.Known})
	}
	for _, v := range d.Forecast.Path {
		out.Ahead = append(out.Ahead, d.Show(budget.Near(v, 2)))
	}
	for i := range d.Crossings {
		out.Reached = append(out.Reached, wireCrossing(&d.Budget, &d.Crossings[i]))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) putBudget(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchManage, object(r.PathValue("name"))); err != nil { // before what is wrong with it
		return err //nolint:wrapcheck // a fault for the reader
	}
	in, err := web.ReadJSON[budgetIn](r)
	if err != nil {
		return err
	}
	b, err := s.Set(r.Context(), who, Budget{Name: r.PathValue("name"), Meter: in.Meter, Service: in.Service, Plan: in.Plan, Unit: in.Unit})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, budgetWire{Name: b.Name, Meter: b.Meter, Service: b.Service, Plan: b.Show(b.Plan), Unit: b.Unit})
}

func (s *Service) deleteBudget(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Remove(r.Context(), who, r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) getCosts(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	xs, err := s.Bills(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, costsOut{wireStands(xs)})
}

func (s *Service) postCosts(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchAct, "watch/costs"); err != nil { // before megabytes are read
		return err //nolint:wrapcheck // a fault for the reader
	}
	in, err := web.ReadJSON[fileIn](r)
	if err != nil {
		return err
	}
	x, err := s.Import(r.Context(), who, in.File)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, importedOut{x.Form, x.Rows, wireStands(x.Stands)})
}

func (s *Service) postForget(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchManage, "watch/costs"); err != nil { // before what is wrong with it
		return err //nolint:wrapcheck // a fault for the reader
	}
	in, err := web.ReadJSON[forgetIn](r)
	if err != nil {
		return err
	}
	if err := s.Forget(r.Context(), who, in.Source, in.Month, in.Reason); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func wirePrices(ps *budget.Prices) pricesOut {
	out := pricesOut{Currency: ps.Currency, Prices: []priceWire{}}
	for _, p := range ps.List {
		out.Prices = append(out.Prices, priceWire{p.Meter, p.Amount.String(), p.Per})
	}
	return out
}

func (s *Service) getPrices(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ps, err := s.PricesFor(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wirePrices(ps))
}

func (s *Service) putPrices(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchManage, "watch/prices"); err != nil { // before what is wrong with it
		return err //nolint:wrapcheck // a fault for the reader
	}
	in, err := web.ReadJSON[fileIn](r)
	if err != nil {
		return err
	}
	ps, err := s.SetPrices(r.Context(), who, in.File)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wirePrices(ps))
}

// ReadPlan reads a plan as people write it: 5000 EUR, or 2000000.
func ReadPlan(text string) (plan budget.Amount, unit string, err error) {
	var amount string
	if n, _ := fmt.Sscan(text, &amount, &unit); n == 0 {
		return plan, "", bad("plan", "The plan is missing.", "An amount for a month, such as 5000 EUR with money and 2000000 with requests.")
	}
	if plan, err = budget.Parse(amount); err != nil {
		return plan, "", bad("plan", "The plan is not a good amount.", "A number with a point and nothing between thousands, such as 5000 EUR or 2000000.")
	}
	return plan, unit, nil
}
