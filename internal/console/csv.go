package console

import (
	"net/http"
	"strconv"
	"time"

	"writ/internal/fault"
	"writ/internal/watch/export"
	"writ/internal/web"
)

// asCSV answers with a table of a page, where as=csv asks for it: the first, or that of
// table=2. The page was made as always, so whoever may not see it, and what is recorded about
// seeing it, are no different.
func (c *Console) asCSV(w http.ResponseWriter, r *http.Request, v web.View) error {
	ts := web.Tables(v)
	n := 1
	if s := r.URL.Query().Get("table"); s != "" {
		n, _ = strconv.Atoi(s) // what is no number is no table
	}
	if n < 1 || n > len(ts) {
		return fault.New(fault.NotFound, "no_table", fault.Public{Problem: "This page has no such table.", Next: "Take as=csv and table= out of the address."})
	}
	t := ts[n-1]
	var head []string
	for _, col := range t.Columns {
		head = append(head, col.Name)
	}
	rows := make([][]string, len(t.Rows))
	for i, row := range t.Rows {
		for _, cell := range row.Cells {
			rows[i] = append(rows[i], cellText(cell))
		}
	}
	w.Header().Set("Content-Type", export.CSVType)
	w.Header().Set("Content-Disposition", `attachment; filename="table.csv"`)
	return export.CSV(w, head, rows)
}

// cellText is a cell as people read it, without its shape.
func cellText(c web.Cell) string {
	s := c.Text
	switch {
	case c.Mark != nil:
		s = c.Mark.Text()
	case !c.At.IsZero():
		s = c.At.UTC().Format(time.RFC3339)
	}
	if c.Sub != "" {
		s += " (" + c.Sub + ")"
	}
	return s
}
