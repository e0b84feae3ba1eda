package engine

import (
	"fmt"
	"html"
	"strings"
)

const (
	boxW, boxH = 150, 34
	gapY       = 26
	left, top  = 10, 10
	laneW      = 16
)

// Draw is the table as SVG: the states below one another, each step a line with its word.
// The state at which a region stands is filled; "" fills none. Colours are those of the page.
func (m Machine) Draw(at string) string {
	var b strings.Builder
	place := map[string]int{}
	for i, s := range m.States {
		place[s.ID] = i
	}
	lines, width := "", left+boxW
	lane := 0
	for _, s := range m.Steps {
		from, to := place[s.From], place[s.To]
		y1, y2 := middle(from), middle(to)
		if to == from+1 {
			x := left + boxW/2
			lines += fmt.Sprintf(`<path d="M%d %dV%d" marker-end="url(#a)"/><text x="%d" y="%d">%s</text>`, x, y1+boxH/2, y2-boxH/2, x+6, (y1+y2)/2+4, html.EscapeString(s.Event))
			continue
		}
		lane++
		x := left + boxW + 20 + lane*laneW
		mid := (y1 + y2) / 2
		if s.From == s.To {
			y1, y2, mid = y1-6, y2+6, y1
		}
		lines += fmt.Sprintf(`<path d="M%d %dH%dV%dH%d" marker-end="url(#a)"/><text x="%d" y="%d" transform="rotate(90 %d %d)">%s</text>`,
			left+boxW, y1, x, y2, left+boxW, x+3, mid-len(s.Event)*3, x+3, mid-len(s.Event)*3, html.EscapeString(s.Event))
		width = max(width, x+laneW)
	}
	height := top + len(m.States)*(boxH+gapY)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s" font-family="inherit" font-size="11" fill="none" stroke="currentColor">`, width+left, height, (width+left)*5/4, height*5/4, html.EscapeString(m.Name+": its states and the steps between them"))
	b.WriteString(`<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="currentColor" stroke="none"/></marker></defs>`)
	b.WriteString(`<g stroke-opacity="0.55">` + strings.ReplaceAll(lines, "<text ", `<text stroke="none" fill="currentColor" `) + `</g>`)
	for i, s := range m.States {
		dash, width := "", 1
		if s.Rest {
			dash = ` rx="17"`
		}
		if s.ID == at {
			width = 3
		}
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d"%s stroke-width="%d"/><text x="%d" y="%d" stroke="none" fill="currentColor"%s>%s %s</text>`,
			left, middle(i)-boxH/2, boxW, boxH, dash, width, left+10, middle(i)+4, strong(s.ID == at), html.EscapeString(s.ID), html.EscapeString(s.Name))
	}
	b.WriteString(`</svg>`)
	return b.String()
}

func middle(i int) int { return top + i*(boxH+gapY) + boxH/2 }

func strong(on bool) string {
	if on {
		return ` font-weight="bold"`
	}
	return ""
}
