package chart

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
	"time"
)

// Point is one step of a series.
type Point struct {
	At        time.Time
	Value     float64
	Low, High float64 // of the band; equal: there is none
	Gap       bool    // nobody knows
}

func (p *Point) gap() bool { return p.Gap || math.IsNaN(p.Value) || math.IsInf(p.Value, 0) }

// Column is a part of the span, as a link that narrows the chart to it.
type Column struct {
	From, Until time.Time
	Href        string
	Name        string // 3 May, 14:00 to 16:00
}

// Chart is what is drawn.
type Chart struct {
	ID          string // what its parts are called on the page; letters
	Title       string
	Desc        string // what is seen in it, in a sentence
	From, Until time.Time
	Step        time.Duration // of the points
	Points      []Point
	Usual       []Point // a quiet area behind them: what is usual
	Bars        bool    // counts are bars, levels are lines
	Columns     []Column
	Small       bool                 // without axes, to stand in a list
	Format      func(float64) string // of labels; nil = short numbers
}

// The room, in units of the picture.
const (
	width, height   = 720, 200
	left, right     = 46, 6
	top, bottom     = 10, 24
	smallHeight     = 48
	mostDrawn       = width * 2
	unobservedLabel = 90 // a gap as wide as this says what it is
	tickRoom        = 34 // a time along the axis needs so much
)

// drawing is a chart while it is written.
type drawing struct {
	*Chart
	b       strings.Builder
	x0, x1  float64
	y0, y1  float64 // y0 is the axis, below y1
	highest float64
}

// SVG writes the chart.
func (c *Chart) SVG() string {
	d := &drawing{Chart: c, x0: left, x1: width - right, y0: height - bottom, y1: top}
	h := height
	if c.Small {
		h = smallHeight
		d.x0, d.x1, d.y0, d.y1 = 0, width, smallHeight-1, 3
	}
	role := "img"
	if len(c.Columns) > 0 { // what holds links is no picture
		role = "group"
	}
	fmt.Fprintf(&d.b, `<svg viewBox="0 0 %d %d" role="%s" aria-labelledby="%s-t %s-d"><title id="%s-t">%s</title><desc id="%s-d">%s</desc>`,
		width, h, role, c.ID, c.ID, c.ID, html.EscapeString(c.Title), c.ID, html.EscapeString(c.Desc))
	points := reduce(c.Points, mostDrawn)
	usual := thin(c.Usual)
	d.highest = nice(max(highestOf(points), usualRoom(points, usual)))
	if !c.Small {
		d.axes()
	}
	d.gaps(points)
	d.usual(usual)
	if c.Bars {
		d.bars(points)
	} else {
		d.lines(points)
	}
	d.columns()
	d.b.WriteString("</svg>")
	return d.b.String()
}

// Axes begin at zero.
func (d *drawing) axes() {
	for i := range 3 {
		v := d.highest * float64(i) / 2
		y := num(d.y(v))
		fmt.Fprintf(&d.b, `<path class="grid" d="M%s %sH%s"/><text x="%d" y="%s">%s</text>`, num(d.x0), y, num(d.x1), left-6, num(d.y(v)+4), html.EscapeString(d.format(v)))
	}
	every := (len(d.Columns) + 5) / 6
	for i, c := range d.Columns {
		if i%every != 0 || d.x(c.From) > d.x1-tickRoom {
			continue
		}
		class := "at"
		if i%(2*every) != 0 {
			class = "at odd"
		}
		fmt.Fprintf(&d.b, `<text class="%s" x="%s" y="%d">%s</text>`, class, num(max(d.x(c.From), d.x0)), height-7, html.EscapeString(d.tick(c.From)))
	}
}

func (d *drawing) format(v float64) string {
	if d.Format == nil {
		return Short(v)
	}
	return d.Format(v)
}

// tick writes a time along the axis.
func (d *drawing) tick(at time.Time) string {
	if d.Until.Sub(d.From) <= 36*time.Hour {
		return at.UTC().Format("15:04")
	}
	return at.UTC().Format("2 Jan")
}

func (d *drawing) x(at time.Time) float64 {
	span := d.Until.Sub(d.From)
	if span <= 0 {
		return d.x0
	}
	return d.x0 + (d.x1-d.x0)*float64(at.Sub(d.From))/float64(span)
}

func (d *drawing) y(v float64) float64 {
	return d.y0 - (d.y0-d.y1)*min(max(v, 0), d.highest)/d.highest
}

// within cuts a place to the room.
func (d *drawing) within(x float64) float64 { return min(max(x, d.x0), d.x1) }

// gaps draws what nobody knows, once for each stretch of it.
func (d *drawing) gaps(points []Point) {
	draw := func(a, b time.Time) {
		x0, x1 := d.within(d.x(a)), d.within(d.x(b))
		if x1 <= x0 {
			return
		}
		fmt.Fprintf(&d.b, `<rect class="gap" x="%s" y="%s" width="%s" height="%s"/>`, num(x0), num(d.y1), num(x1-x0), num(d.y0-d.y1))
		if x1-x0 >= unobservedLabel && !d.Small {
			fmt.Fprintf(&d.b, `<text class="none" x="%s" y="%s">not observed</text>`, num((x0+x1)/2), num((d.y0+d.y1)/2))
		}
	}
	if len(points) == 0 {
		draw(d.From, d.Until)
	}
	for i := 0; i < len(points); {
		j := i
		for j < len(points) && points[j].gap() {
			j++
		}
		if j > i {
			draw(points[i].At, points[j-1].At.Add(d.Step))
		}
		i = max(j, i+1)
	}
}

func (d *drawing) bars(points []Point) {
	d.b.WriteString(`<path class="bar" d="`)
	for i := range points {
		p := &points[i]
		if p.gap() || p.Value <= 0 {
			continue
		}
		x0, x1 := d.within(d.x(p.At)), d.within(d.x(p.At.Add(d.Step)))
		if room := (x1 - x0) * 0.12; x1-x0 > 3 {
			x0, x1 = x0+room, x1-room
		}
		fmt.Fprintf(&d.b, "M%s %sV%sH%sV%sz", num(x0), num(d.y0), num(min(d.y(p.Value), d.y0-0.5)), num(max(x1, x0+0.5)), num(d.y0))
	}
	d.b.WriteString(`"/>`)
}

// usual draws what is usual, and the middle of it.
func (d *drawing) usual(points []Point) {
	var area, middle strings.Builder
	for i := 0; i < len(points); i++ {
		j := i
		for j < len(points) && !points[j].gap() {
			j++
		}
		if run := points[i:j]; len(run) > 1 {
			d.band(&area, run)
			for k := range run {
				fmt.Fprintf(&middle, "%c%s %s", "ML"[min(k, 1)], num(d.middle(&run[k])), num(d.y(run[k].Value)))
			}
		}
		i = j
	}
	if middle.Len() > 0 {
		d.b.WriteString(`<path class="usual" d="` + area.String() + `"/><path class="middle" d="` + middle.String() + `"/>`)
	}
}

// lines draws one line for each stretch that was observed, with its band behind it; a point
// that stands alone is a dot.
func (d *drawing) lines(points []Point) {
	var band, line, dots strings.Builder
	for i := 0; i < len(points); {
		j := i
		for j < len(points) && !points[j].gap() {
			j++
		}
		run := points[i:j]
		i = max(j, i+1)
		switch len(run) {
		case 0:
			continue
		case 1:
			fmt.Fprintf(&dots, `<circle class="dot" cx="%s" cy="%s" r="2.5"/>`, num(d.middle(&run[0])), num(d.y(run[0].Value)))
			continue
		}
		for k := range run {
			fmt.Fprintf(&line, "%c%s %s", "ML"[min(k, 1)], num(d.middle(&run[k])), num(d.y(run[k].Value)))
		}
		d.band(&band, run)
	}
	if band.Len() > 0 {
		d.b.WriteString(`<path class="band" d="` + band.String() + `"/>`)
	}
	d.b.WriteString(`<path class="line" d="` + line.String() + `"/>` + dots.String())
}

func (d *drawing) band(b *strings.Builder, run []Point) {
	has := false
	for k := range run {
		has = has || run[k].High > run[k].Low
	}
	if !has {
		return
	}
	for k := range run {
		fmt.Fprintf(b, "%c%s %s", "ML"[min(k, 1)], num(d.middle(&run[k])), num(d.y(run[k].High)))
	}
	for k := len(run) - 1; k >= 0; k-- {
		fmt.Fprintf(b, "L%s %s", num(d.middle(&run[k])), num(d.y(run[k].Low)))
	}
	b.WriteString("z")
}

// middle is where a point stands: in the middle of its step.
func (d *drawing) middle(p *Point) float64 { return d.within(d.x(p.At.Add(d.Step / 2))) }

func (d *drawing) columns() {
	for _, c := range d.Columns {
		x0, x1 := d.within(d.x(c.From)), d.within(d.x(c.Until))
		name := html.EscapeString(c.Name)
		fmt.Fprintf(&d.b, `<a href="%s" aria-label="%s"><rect class="pick" x="%s" y="%s" width="%s" height="%s"/></a>`, html.EscapeString(c.Href), name, num(x0), num(d.y1), num(x1-x0), num(d.y0-d.y1))
	}
}

// num writes a place to a tenth.
func num(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}
