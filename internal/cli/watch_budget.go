package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// watchBudgetWire is a budget as the server shows it.
type watchBudgetWire struct {
	Name, Meter, Service, Plan, Unit, Month, Actual, Credits, Forecast, Low, High, Trouble string

	Percent  int64
	Learning bool
	Sample   time.Time
}

// ahead says how the month will end.
func (x *watchBudgetWire) ahead() string {
	switch {
	case x.Trouble != "":
		return "cannot be compared: " + x.Trouble
	case x.Learning:
		return "learning: three whole days are needed"
	}
	return x.Forecast + " (" + x.Low + " to " + x.High + ")"
}

func (x *watchBudgetWire) of() string {
	if x.Service != "" {
		return x.Meter + ", " + x.Service
	}
	return x.Meter
}

func (a *app) watchBudget() *cobra.Command {
	return a.group("budget", "Plan what may be used and spent in a month, and bring bills",
		"Budgets are compared each minute with what the meters counted, what bills say, or what meters cost by the list of prices. At half of the plan and at each level of the policy an alarm goes out, and somebody decides whether it is an attack.",
		"  writ watch budget set cloud --meter bill --plan \"5000 EUR\"\n  writ watch budget import bill.csv.gz\n  writ watch budget list",
		a.watchBudgetList(), a.watchBudgetForecast(), a.watchBudgetSet(), a.watchBudgetRemove(), a.watchBudgetImport(), a.watchBudgetBills(), a.watchBudgetForget(), a.watchBudgetPrices())
}

func (a *app) watchBudgetList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List budgets, and how they stand this month",
		Long:    "Lists what is planned, what was used so far, and what the month is likely to come to, with the interval in which four of five such months end. Exit status 1: a plan is used up.",
		Example: "  writ watch budget list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "watch/budgets", &raw); err != nil {
				return err
			}
			return a.printBudgets(raw)
		}),
	}
}

// printBudgets lists them, and says no where a plan is used up.
func (a *app) printBudgets(raw json.RawMessage) error {
	var out struct{ Budgets []watchBudgetWire }
	if err := decode(raw, &out); err != nil {
		return err
	}
	over := false
	t := newTable(a.out, "BUDGET", "OF", "USED", "PLAN", "SHARE", "AT THE END", "LAST COUNTED")
	for i := range out.Budgets {
		x := &out.Budgets[i]
		over = over || x.Percent >= 100
		last := "never"
		if !x.Sample.IsZero() {
			last = a.when(x.Sample)
		}
		t.row(x.Name, x.of(), x.Actual, x.Plan+" "+x.Unit, strconv.FormatInt(x.Percent, 10)+" %", x.ahead(), last)
	}
	var err error
	switch {
	case a.json():
		err = a.printJSON(raw)
	case len(out.Budgets) == 0:
		a.say("Nothing is planned. Set a budget: writ watch budget set cloud --meter bill --plan \"5000 EUR\"")
	default:
		err = t.flush()
	}
	if err == nil && over {
		return no
	}
	return err
}

func (a *app) watchBudgetForecast() *cobra.Command {
	return &cobra.Command{
		Use: "forecast BUDGET", Short: "Show one budget by day, its forecast, and what was reached",
		Long:    "Shows what each day came to, what the days to come are likely to come to, and each level that was reached with what grew around it and what it may be. Hints are ranked and say why; none is a verdict.",
		Example: "  writ watch budget forecast cloud", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodGet, "budgets/"+url.PathEscape(args[0]), nil, a.printBudget)
		}),
	}
}

// printBudget shows one.
func (a *app) printBudget(raw json.RawMessage) error {
	var d struct {
		Budget watchBudgetWire
		Days   []struct {
			Day    int
			Amount string
			Known  bool
		}
		Ahead   []string
		Reached []struct {
			Month, Level, Plan, Actual, Incident string
			At, Decided                          time.Time
			Hints                                []struct {
				Word    string
				Reasons []string
			}
		}
	}
	if err := decode(raw, &d); err != nil {
		return err
	}
	x := &d.Budget
	a.say("%s in %s: %s of %s %s, %d %%. At the end of the month: %s.", x.Name, x.Month, x.Actual, x.Plan, x.Unit, x.Percent, visible(x.ahead()))
	if x.Credits != "" {
		a.say("Credits, which are not taken off: %s %s.", x.Credits, x.Unit)
	}
	t := newTable(a.out, "DAY", x.Unit, "")
	for i, day := range d.Days {
		note := ""
		switch {
		case i == len(d.Days)-1 && len(d.Ahead) > 0:
			note = "so far; likely " + d.Ahead[0]
		case !day.Known:
			note = "not observed"
		}
		t.row(fmt.Sprintf("%s-%02d", x.Month, day.Day), day.Amount, note)
	}
	for i := 1; i < len(d.Ahead); i++ {
		t.row(fmt.Sprintf("%s-%02d", x.Month, len(d.Days)+i), d.Ahead[i], "likely")
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, r := range d.Reached {
		level := r.Level + " %"
		if r.Level == "forecast" {
			level = "more than the plan by forecast"
		}
		item := "no incident yet"
		if r.Incident != "" {
			item = r.Incident + ", not decided yet"
			if !r.Decided.IsZero() {
				item = r.Incident + ", decided " + a.when(r.Decided)
			}
		}
		a.say("%s reached %s at %s (%s of %s): %s.", r.Month, level, a.when(r.At), r.Actual, r.Plan, item)
		for _, h := range r.Hints {
			a.say("  may be %s: %s", h.Word, visible(strings.Join(h.Reasons, "; ")))
		}
	}
	return nil
}

func (a *app) watchBudgetSet() *cobra.Command {
	var meter, plan, service string
	c := &cobra.Command{
		Use: "set BUDGET", Short: "Plan a month, or change the plan",
		Long:    "Sets what may be used or spent in each month. The meter is bill (what bills say), prices (what the meters of the list of prices cost), or one of the meters that Writ counts, such as requests, bytes.out, mails, storage, cpu.seconds, log.bytes or secret-reads. A plan that changes is recorded, and its levels are looked at anew.",
		Example: "  writ watch budget set cloud --meter bill --plan \"5000 EUR\"\n  writ watch budget set calls --meter requests --plan 2000000", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			amount, unit, _ := strings.Cut(strings.TrimSpace(plan), " ")
			in := map[string]string{"meter": meter, "service": service, "plan": amount, "unit": strings.TrimSpace(unit)}
			return a.watchCall(c, http.MethodPut, "budgets/"+url.PathEscape(args[0]), in, func(raw json.RawMessage) error {
				var x watchBudgetWire
				if err := decode(raw, &x); err != nil {
					return err
				}
				a.say("The plan of %s is %s %s a month, of %s.", x.Name, x.Plan, x.Unit, visible(x.of()))
				return nil
			})
		}),
	}
	c.Flags().StringVar(&meter, "meter", "bill", "bill, prices, or a meter such as requests")
	c.Flags().StringVar(&plan, "plan", "", "for a month: \"5000 EUR\", or 2000000 (required)")
	c.Flags().StringVar(&service, "service", "", "of a bill, this service alone")
	_ = c.MarkFlagRequired("plan") // the flag is there
	return c
}

func (a *app) watchBudgetRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove BUDGET", Short: "Remove a budget", Long: "Ends a budget. What it reached stays in the record.",
		Example: "  writ watch budget remove calls", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodDelete, "budgets/"+url.PathEscape(args[0]), nil, func(json.RawMessage) error {
				a.say("The budget %s is removed.", args[0])
				return nil
			})
		}),
	}
}

// mostBill is what the server takes of a bill.
const mostBill = 16 << 20

// readBill reads a file with a bill or prices, or standard input.
func (a *app) readBill(name string) ([]byte, error) {
	var in io.Reader = a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, mostBill+1))
	if err == nil && len(b) > mostBill {
		err = errors.New("the file is over 16 MiB: pack it with gzip, leave out columns, or bring a month at a time")
	}
	return b, err
}

// watchStanding is what a source says of a month.
type watchStanding struct {
	Source, Month, Currency, Charged, Credits string

	Through int
	Partial bool
	Brought time.Time
}

func (a *app) printStandings(xs []watchStanding) error {
	t := newTable(a.out, "SOURCE", "MONTH", "CHARGED", "CREDITS", "CURRENCY", "THROUGH", "BROUGHT")
	for _, x := range xs {
		through := "all of it"
		if x.Partial {
			through = fmt.Sprintf("%s-%02d, partial", x.Month, x.Through)
		}
		t.row(x.Source, x.Month, x.Charged, x.Credits, x.Currency, through, a.when(x.Brought))
	}
	return t.flush()
}

func (a *app) watchBudgetImport() *cobra.Command {
	return &cobra.Command{
		Use: "import FILE", Short: "Bring a bill, plain or packed by gzip",
		Long:    "Brings an AWS Cost and Usage Report (CUR 2.0), a FOCUS 1.x export, or a table with the columns day,service,amount,currency; - is standard input. A report takes the place of the one of its account and month, a table line by line, so a bill that is brought twice counts once. Parts of one report go together: cat part-*.csv.gz | writ watch budget import -",
		Example: "  writ watch budget import bill.csv.gz", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			b, err := a.readBill(args[0])
			if err != nil {
				return err
			}
			return a.watchCall(c, http.MethodPost, "costs", map[string][]byte{"file": b}, func(raw json.RawMessage) error {
				var out struct {
					Form  string
					Rows  int
					Costs []watchStanding
				}
				if err := decode(raw, &out); err != nil {
					return err
				}
				a.say("%d lines of %s were read. So it stands:", out.Rows, out.Form)
				return a.printStandings(out.Costs)
			})
		}),
	}
}

func (a *app) watchBudgetBills() *cobra.Command {
	return &cobra.Command{
		Use: "bills", Short: "List bills by source and month", Long: "Lists what each source says of each month. Partial: the source does not speak of the month's last day yet.",
		Example: "  writ watch budget bills", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			return a.watchCall(c, http.MethodGet, "costs", nil, func(raw json.RawMessage) error {
				var out struct{ Costs []watchStanding }
				if err := decode(raw, &out); err != nil {
					return err
				}
				return a.printStandings(out.Costs)
			})
		}),
	}
}

func (a *app) watchBudgetForget() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "forget SOURCE MONTH", Short: "Take out a bill that was brought by mistake", Long: "Takes out what a source says of a month, as writ watch budget bills names them. The reason is recorded.",
		Example: "  writ watch budget forget csv 2026-11 --reason \"it was the bill of another company\"", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.watchCall(c, http.MethodPost, "costs/forget", map[string]string{"source": args[0], "month": args[1], "reason": reason}, func(json.RawMessage) error {
				a.say("What %s said of %s is taken out.", args[0], args[1])
				return nil
			})
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "why, at least 10 bytes; it is recorded (required)")
	_ = c.MarkFlagRequired("reason") // the flag is there
	return c
}

func (a *app) watchBudgetPrices() *cobra.Command {
	return &cobra.Command{
		Use: "prices [FILE]", Short: "Show the list of prices, or put another in its place",
		Long:    "A list of prices has the columns meter,price,per,currency: what so many units of a meter cost. Without a file the list is shown; - is standard input.",
		Example: "  writ watch budget prices\n  writ watch budget prices prices.csv", Args: cobra.MaximumNArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			method, in := http.MethodGet, any(nil)
			if len(args) == 1 {
				b, err := a.readBill(args[0])
				if err != nil {
					return err
				}
				method, in = http.MethodPut, map[string][]byte{"file": b}
			}
			return a.watchCall(c, method, "prices", in, func(raw json.RawMessage) error {
				var out struct {
					Currency string
					Prices   []struct {
						Meter, Price string
						Per          int64
					}
				}
				if err := decode(raw, &out); err != nil {
					return err
				}
				if len(out.Prices) == 0 {
					a.say("There is no list of prices.")
					return nil
				}
				t := newTable(a.out, "METER", "PRICE", "FOR")
				for _, p := range out.Prices {
					t.row(p.Meter, p.Price+" "+out.Currency, strconv.FormatInt(p.Per, 10))
				}
				return t.flush()
			})
		}),
	}
}
