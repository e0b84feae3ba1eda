// Package chart draws a series as SVG, on the server: a line with its band, or bars, over a
// span of time. It is pure: points in, text out.
//
//	max ┤      ╭╮   ░░░░░░░        line, or bars; the band behind it
//	    │ ╭────╯╰╮  ░░░░░░░ ╭──    ░ nobody knows what went on: a gap, never zero
//	  0 └─┴──────┴──┴──────┴──     each column is a link that narrows the span to it
//	    06:00  08:00
//
// A chart has a title and a description for those who do not see it, and whoever shows it
// puts the table of Columns beside it. Axes begin at zero; labels stand where they belong,
// without a legend. Colours are classes of a style sheet (light, dark, print), and there is
// neither style nor script inside.
//
// Promises: a point that was not observed, or that is no number, is drawn as a gap. As many
// points as there are come out as at most two a pixel, the highest and the lowest of it, so
// that no peak is lost and the text stays small.
//
// Refuses: markup in what it is given; every text and address is escaped.
//
// For: engineer, owner, in the console. Read chart.go, then scale.go.
package chart
