package budget

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"writ/internal/fault"
)

// The bounds of a bill.
const (
	mostUnpacked = 256 << 20
	mostLine     = 1 << 20
	mostMonths   = 24
	mostServices = 1000
	mostColumns  = 1000
	mostName     = 100 // bytes of a service or an account
)

// Line is what one service cost on one day.
type Line struct {
	Day     int    `json:"day"` // of the month
	Service string `json:"service"`
	Amount  Amount `json:"amount"`
	Credit  Amount `json:"credit,omitzero"` // what was given back, not above zero
}

// Statement is what a source says of one month.
type Statement struct {
	Source   string // aws/123456789012, focus/account, csv
	Month    string // 2026-11
	Currency string
	Lines    []Line // by day, then service
}

// Whole reports whether the source says all of the month: then a statement takes the place of
// the one before. The own CSV brings lines, and each takes the place of its like.
func (s *Statement) Whole() bool { return s.Source != own }

// Through is the last day that the statement speaks of.
func (s *Statement) Through() int { return s.Lines[len(s.Lines)-1].Day }

// Bill is what was read.
type Bill struct {
	Form       string // AWS CUR 2.0, FOCUS, CSV
	Currency   string
	Rows       int
	Statements []Statement // by source, then month
}

const own = "csv"

// form is how a kind of file names what is needed. Columns that may be missing end in "?".
type form struct {
	name, source                                         string
	day, service, amount, currency, account, month, kind string
}

var forms = []form{
	{name: "AWS CUR 2.0", source: "aws", day: "line_item_usage_start_date", service: "line_item_product_code", amount: "line_item_unblended_cost", currency: "line_item_currency_code",
		account: "bill_payer_account_id", month: "bill_billing_period_start_date", kind: "line_item_line_item_type"},
	{name: "FOCUS", source: "focus", day: "ChargePeriodStart", service: "ServiceName", amount: "BilledCost", currency: "BillingCurrency",
		account: "BillingAccountId", month: "BillingPeriodStart", kind: "ChargeCategory"},
	{name: "CSV", source: own, day: "day", service: "service", amount: "amount", currency: "currency"},
}

// offsets are lines of a bill below zero that take back what another line of the same bill
// charges, because a plan that was paid apart covers it. They are no gift.
var offsets = map[string]bool{"SavingsPlanNegation": true}

// Read reads a bill, packed by gzip or not. Parts of one report may follow each other, each
// with its own line of names. Errors: fault.Invalid.
func Read(r io.Reader) (*Bill, error) { return read(r, mostUnpacked) }

func read(r io.Reader, most int64) (*Bill, error) {
	in := bufio.NewReader(r)
	var text io.Reader = in
	if magic, _ := in.Peek(2); string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, bad("The file begins like one packed by gzip, and is none.", "A CSV file, plain or packed by gzip.")
		}
		text = z
	}
	b := &reading{lines: &lines{from: io.LimitReader(text, most+1), most: most}, cells: map[place]*Line{}, first: map[place]int{}}
	b.csv = csv.NewReader(b.lines)
	b.csv.ReuseRecord = true
	if err := b.names(); err != nil {
		return nil, err
	}
	for {
		row, err := b.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && !slices.Equal(row, b.header) { // the next part begins
			err = b.row(row)
		}
		if err != nil {
			return nil, err
		}
	}
	return b.done()
}

// lines refuses a file that is too large, or a line that has no end.
type lines struct {
	from            io.Reader
	most, all, here int64
}

func (l *lines) Read(p []byte) (int, error) {
	n, err := l.from.Read(p)
	l.all, l.here = l.all+int64(n), l.here+int64(n)
	switch {
	case l.all > l.most:
		return n, bad("The file is too large.", "At most 256 MiB, unpacked. Leave out columns, or bring a month at a time.")
	case l.here > mostLine:
		return n, bad("A line of the file has no end.", "Lines of at most 1 MiB.")
	}
	return n, err //nolint:wrapcheck // io.EOF goes through
}

// place is where a line belongs.
type place struct {
	source, month, service string
	day                    int
	credit                 bool // of the own CSV, where a key stands once
}

type reading struct {
	lines    *lines
	csv      *csv.Reader
	form     form
	header   []string
	at       map[string]int
	rows     int
	currency string
	cells    map[place]*Line
	first    map[place]int // the line where a key of the own CSV stood
	services map[string]bool
	months   map[string]bool
}

func (b *reading) next() ([]string, error) {
	row, err := b.csv.Read()
	b.lines.here = 0
	if p, ok := errors.AsType[*csv.ParseError](err); ok {
		if fault.KindOf(p.Err) == fault.Invalid {
			return nil, p.Err //nolint:wrapcheck // says what is wrong
		}
		return nil, bad(fmt.Sprintf("Line %d, column %d: %s.", p.Line, p.Column, strings.TrimPrefix(p.Err.Error(), "csv: ")), fmt.Sprintf("CSV with a comma between fields, and as many of them in each line as in the first (%d).", len(b.header)))
	}
	if err != nil && !errors.Is(err, io.EOF) && fault.KindOf(err) != fault.Invalid {
		err = bad("The file cannot be unpacked: "+err.Error()+".", "A CSV file, plain or packed by gzip, that is whole.")
	}
	return row, err //nolint:wrapcheck // says what is wrong
}

// names reads the first line, and finds out what kind of file it is.
func (b *reading) names() error {
	row, err := b.next()
	if errors.Is(err, io.EOF) {
		return bad("The file is empty.", "A first line with the names of the columns, and a line for each cost.")
	}
	if err != nil {
		return err
	}
	if len(row) > mostColumns {
		return bad("The first line names too many columns.", "At most 1,000.")
	}
	b.header = slices.Clone(row)
	b.at = map[string]int{}
	for i, name := range b.header {
		name = strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))
		if _, twice := b.at[name]; twice && name != "" {
			return bad(fmt.Sprintf("Line 1, column %d: %q stands twice.", i+1, cut(name)), "Each column once.")
		}
		b.at[name] = i
	}
	i := slices.IndexFunc(forms, func(f form) bool { _, ok := b.at[f.amount]; return ok })
	if i < 0 {
		want := "A column " + forms[0].amount + " (AWS CUR 2.0), " + forms[1].amount + " (FOCUS 1.x), or the columns day, service, amount and currency."
		if _, old := b.at["lineItem/UnblendedCost"]; old {
			return bad("Line 1: this is a Cost and Usage Report of the older kind.", "An export of the kind CUR 2.0.")
		}
		return bad("Line 1: no column is named as a cost.", want)
	}
	b.form, b.services, b.months = forms[i], map[string]bool{}, map[string]bool{}
	for _, need := range []string{b.form.day, b.form.service, b.form.currency} {
		if _, ok := b.at[need]; !ok {
			return bad(fmt.Sprintf("Line 1: the column %s is missing.", need), "With "+b.form.name+": "+strings.Join([]string{b.form.day, b.form.service, b.form.amount, b.form.currency}, ", ")+".")
		}
	}
	return nil
}

// value gives a field by the name of its column; "" where there is none.
func (b *reading) value(row []string, name string) string {
	if i, ok := b.at[name]; ok && name != "" {
		return strings.TrimSpace(row[i])
	}
	return ""
}

// wrong says where something else stands than was expected.
func (b *reading) wrong(name, got, want string) error {
	i := b.at[name]
	line, _ := b.csv.FieldPos(i)
	return bad(fmt.Sprintf("Line %d, column %d (%s): %q.", line, i+1, name, cut(got)), want)
}

func (b *reading) row(row []string) error {
	f := &b.form
	b.rows++
	day, ok := date(b.value(row, f.day))
	if !ok {
		return b.wrong(f.day, b.value(row, f.day), "A day such as 2026-11-30, between 2000 and 2100.")
	}
	amount, err := Parse(b.value(row, f.amount))
	if err != nil {
		return b.wrong(f.amount, b.value(row, f.amount), "A number with a point and nothing between thousands, such as 1234.50.")
	}
	service := b.value(row, f.service)
	if service == "" || len(service) > mostName || !utf8.ValidString(service) || strings.ContainsFunc(service, func(r rune) bool { return r < ' ' }) {
		return b.wrong(f.service, service, "The name of a service, at most 100 bytes.")
	}
	cur := b.value(row, f.currency)
	if !Currency(cur) {
		return b.wrong(f.currency, cur, "A currency of three capital letters, such as EUR.")
	}
	if b.currency == "" {
		b.currency = cur
	}
	if cur != b.currency {
		return b.wrong(f.currency, cur, "The same currency in every line: the lines before are in "+b.currency+". Amounts of two currencies are not added.")
	}
	p := place{source: f.source, month: day.Format(month), day: day.Day(), service: service}
	if p.source != own {
		if err := b.period(row, day, &p); err != nil {
			return err
		}
	}
	return b.add(row, p, amount)
}

// period says in which statement a line of a cloud's bill stands. What was used outside of the
// month that it is billed in counts on the nearest day of that month, once.
func (b *reading) period(row []string, day time.Time, p *place) error {
	f := &b.form
	account := b.value(row, f.account)
	if len(account) > mostName || !utf8.ValidString(account) || strings.ContainsFunc(account, func(r rune) bool { return r < ' ' }) {
		return b.wrong(f.account, account, "The number of an account.")
	}
	p.source += "/" + account
	if start := b.value(row, f.month); start != "" {
		billed, ok := date(start)
		if !ok {
			return b.wrong(f.month, start, "The day at which the billed month begins, such as 2026-11-01.")
		}
		if p.month = billed.Format(month); p.month < day.Format(month) {
			p.day = Days(p.month)
		} else if p.month > day.Format(month) {
			p.day = 1
		}
	}
	return nil
}

func (b *reading) add(row []string, p place, amount Amount) error {
	b.services[p.service], b.months[p.month] = true, true
	if len(b.services) > mostServices {
		return b.wrong(b.form.service, p.service, "At most 1,000 services in a file.")
	}
	if len(b.months) > mostMonths {
		return b.wrong(b.form.day, b.value(row, b.form.day), "At most 24 months in a file.")
	}
	credit := amount.Sign() < 0 && !offsets[b.value(row, b.form.kind)]
	if p.source == own {
		k := p
		k.credit = credit
		if line := b.first[k]; line > 0 {
			return b.wrong(b.form.service, p.service, fmt.Sprintf("Each service once a day: line %d has this one already.", line))
		}
		b.first[k], _ = b.csv.FieldPos(0)
	}
	l := b.cells[p]
	if l == nil {
		l = &Line{Day: p.day, Service: p.service}
		b.cells[p] = l
	}
	if credit {
		l.Credit = l.Credit.Add(amount)
	} else {
		l.Amount = l.Amount.Add(amount)
	}
	return nil
}

func (b *reading) done() (*Bill, error) {
	if len(b.cells) == 0 {
		return nil, bad("The file has no costs in it.", "A line for each cost, below the names of the columns.")
	}
	type key struct{ source, month string }
	found := map[key]*Statement{}
	for p, l := range b.cells {
		k := key{p.source, p.month}
		if found[k] == nil {
			found[k] = &Statement{Source: p.source, Month: p.month, Currency: b.currency}
		}
		found[k].Lines = append(found[k].Lines, *l)
	}
	out := &Bill{Form: b.form.name, Currency: b.currency, Rows: b.rows}
	for _, k := range slices.SortedFunc(maps.Keys(found), func(x, y key) int { return cmp.Or(cmp.Compare(x.source, y.source), cmp.Compare(x.month, y.month)) }) {
		sortLines(found[k].Lines)
		out.Statements = append(out.Statements, *found[k])
	}
	return out, nil
}

func sortLines(ls []Line) {
	slices.SortFunc(ls, func(x, y Line) int { return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.Service, y.Service)) })
}

// Replace gives the lines that hold after a statement came: those of the statement where it is
// whole, else those of before with each that the statement brings in its place.
func Replace(before []Line, s *Statement) []Line {
	if s.Whole() {
		return s.Lines
	}
	out := slices.DeleteFunc(slices.Clone(before), func(l Line) bool {
		return slices.ContainsFunc(s.Lines, func(n Line) bool { return n.Day == l.Day && n.Service == l.Service })
	})
	out = append(out, s.Lines...)
	sortLines(out)
	return out
}

// Totals adds up lines by day of the month, of one service or of all ("").
func Totals(ls []Line, service string) (charged, credits map[int]Amount) {
	charged, credits = map[int]Amount{}, map[int]Amount{}
	for _, l := range ls {
		if service == "" || l.Service == service {
			charged[l.Day] = charged[l.Day].Add(l.Amount)
			credits[l.Day] = credits[l.Day].Add(l.Credit)
		}
	}
	return charged, credits
}

const month = "2006-01"

// Days is how many days a month has.
func Days(m string) int {
	t, err := time.Parse(month, m)
	if err != nil {
		return 0
	}
	return t.AddDate(0, 1, -1).Day()
}

// date reads the day of a time as the clouds write it.
func date(s string) (time.Time, bool) {
	if len(s) > 10 && (s[10] == 'T' || s[10] == ' ') {
		s = s[:10]
	}
	t, err := time.Parse(time.DateOnly, s)
	return t, err == nil && t.Year() >= 2000 && t.Year() < 2100
}

// Currency reports whether it is written like a currency: three capital letters.
func Currency(s string) bool {
	return len(s) == 3 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

func cut(s string) string {
	if len(s) > mostText {
		s = strings.ToValidUTF8(s[:mostText], "") + "…"
	}
	return s
}

func bad(problem, want string) error {
	return fault.New(fault.Invalid, "budget_file", fault.Public{Problem: problem, Expected: want, Fields: []fault.Field{{Name: "file", Code: "budget_file", Problem: problem + " " + want}}})
}
