package console

import (
	"fmt"
	"strings"

	"writ/internal/watch/spend"
)

// curve is a month as a drawing: what was used adds up to a line, the forecast goes on from it,
// and the plan lies across. Places are in the drawing's own units, from the top left.
type curve struct {
	Title, Desc string
	Used        string // points of the line, with the ground closed under it
	Line        string
	Ahead       string // points of the forecast
	Low, High   int    // of its interval, at the end
	Plan        int
	PlanAt      int // where words stand
	PlanText    string
	UsedX       int
	UsedY       int
	UsedLeft    bool // of their place
	UsedText    string
	AheadY      int
	AheadText   string
	First, Last string // days of the axis
}

// The size of the drawing, and what its top leaves free.
const (
	curveWide, curveHigh = 480, 200
	curveTop             = 24
)

// draw makes the drawing of a month.
func draw(m *spend.Month) *curve {
	top, used := m.Plan.Float(), m.Actual.Float()
	if !m.Forecast.Learning {
		top = max(top, m.Forecast.High)
	}
	if top = max(top, used); top <= 0 {
		top = 1
	}
	x := func(day float64) int { return int(day * curveWide / float64(m.Length)) }
	y := func(v float64) int { return curveHigh - int(min(max(v, 0), top)*(curveHigh-curveTop)/top) }
	c := &curve{Title: "Budget " + m.Name + " in " + m.Month, Desc: fmt.Sprintf("%s of %s %s are used after %d of %d days.", m.Show(m.Actual), m.Show(m.Plan), m.Unit, len(m.Days), m.Length),
		Plan: y(m.Plan.Float()), PlanText: "plan " + thousands(m.Show(m.Plan)), First: m.Month + "-01", Last: fmt.Sprintf("%s-%02d", m.Month, m.Length)}
	line := []string{fmt.Sprintf("0,%d", curveHigh)}
	sum, last := 0.0, 0.0
	for i, d := range m.Days {
		sum, last = sum+d.Amount.Float(), float64(i+1)
		line = append(line, fmt.Sprintf("%d,%d", x(last), y(sum)))
	}
	today := x(last)
	c.Line = strings.Join(line, " ")
	c.Used = c.Line + fmt.Sprintf(" %d,%d", today, curveHigh)
	if c.UsedX, c.UsedY = today+8, min(y(sum)+16, curveHigh-8); today > curveWide/2 {
		c.UsedX, c.UsedY, c.UsedLeft = today-8, max(y(sum)-8, 12), true
	}
	if c.PlanAt = c.Plan - 6; c.UsedLeft && y(sum) < c.Plan+24 { // two words are not written over each other
		c.PlanAt = c.Plan + 16
	}
	c.UsedText = "used " + thousands(m.Show(m.Actual))
	if m.Forecast.Learning || len(m.Forecast.Path) == 0 {
		return c
	}
	next := []string{fmt.Sprintf("%d,%d", today, y(sum))}
	if len(m.Days) > 0 { // the first is the day that goes on, of which a part is used
		sum -= m.Days[len(m.Days)-1].Amount.Float()
		last--
	}
	for _, v := range m.Forecast.Path {
		sum, last = sum+v, last+1
		next = append(next, fmt.Sprintf("%d,%d", x(last), y(sum)))
	}
	c.Ahead, c.Low, c.High, c.AheadY = strings.Join(next, " "), y(m.Forecast.Low), y(m.Forecast.High), min(y(m.Forecast.Mean)+26, curveHigh-8)
	c.AheadText = "likely " + thousands(m.Show(m.Mean))
	c.Desc += fmt.Sprintf(" At the end of the month %s are likely, and in four of five such months between %s and %s.", m.Show(m.Mean), m.Show(m.Low), m.Show(m.High))
	return c
}
