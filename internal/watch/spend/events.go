package spend

import "writ/internal/ledger"

// BudgetCrossed is a level of a plan that was reached, or will be.
type BudgetCrossed struct {
	Budget   string `class:"public"`
	Month    string `class:"public"`
	Level    string `class:"public"` // 80 for 80 %; forecast where the month will end above its plan
	Percent  int64  `class:"public"` // what was used of the plan
	Actual   string `class:"public"`
	Forecast string `class:"public"` // "" while it is learning
	Plan     string `class:"public"`
	Unit     string `class:"public"`
	Route    string `class:"public"` // incident-triage, notice-only
}

// About implements ledger.Event.
func (e BudgetCrossed) About() ledger.About {
	return ledger.About{Name: "watch.budget-crossed", Clause: signal, Object: object(e.Budget)}
}

// BudgetSet is a budget that was made or changed. Was is the plan before; "" where it is new.
type BudgetSet struct {
	Budget  string `class:"public"`
	Meter   string `class:"public"`
	Service string `class:"public"`
	Plan    string `class:"public"`
	Unit    string `class:"public"`
	Was     string `class:"public"`
}

// About implements ledger.Event.
func (e BudgetSet) About() ledger.About {
	return ledger.About{Name: "watch.budget-set", Clause: spending, Object: object(e.Budget)}
}

// BudgetRemoved is a budget that is looked at no more.
type BudgetRemoved struct {
	Budget string `class:"public"`
	Plan   string `class:"public"`
}

// About implements ledger.Event.
func (e BudgetRemoved) About() ledger.About {
	return ledger.About{Name: "watch.budget-removed", Clause: spending, Object: object(e.Budget)}
}

// CostImported is a bill that was brought.
type CostImported struct {
	Form     string   `class:"public"`
	Sources  []string `class:"public"`
	Months   []string `class:"public"`
	Rows     int64    `class:"public"`
	Currency string   `class:"public"`
	SHA256   string   `class:"public"`
}

// About implements ledger.Event.
func (e CostImported) About() ledger.About {
	return ledger.About{Name: "watch.cost-imported", Clause: spending}
}

// CostRemoved is a statement that was brought by mistake.
type CostRemoved struct {
	Source string `class:"public"`
	Month  string `class:"public"`
	reason string
}

// About implements ledger.Event.
func (e CostRemoved) About() ledger.About {
	return ledger.About{Name: "watch.cost-removed", Clause: spending, Reason: e.reason}
}

// PricesSet is another list of prices.
type PricesSet struct {
	Currency string   `class:"public"`
	Meters   []string `class:"public"`
	SHA256   string   `class:"public"`
}

// About implements ledger.Event.
func (e PricesSet) About() ledger.About {
	return ledger.About{Name: "watch.prices-set", Clause: spending}
}

func object(name string) string { return "budget/" + name }
