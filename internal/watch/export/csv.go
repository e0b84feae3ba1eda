package export

import (
	"encoding/csv"
	"io"
	"strings"
)

// CSVType is the media type of CSV (RFC 4180).
const CSVType = "text/csv; charset=utf-8; header=present"

// CSV writes rows under a head. A cell that a spreadsheet would take for a formula begins
// with an apostrophe there.
func CSV(w io.Writer, head []string, rows [][]string) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	for _, row := range append([][]string{head}, rows...) {
		safe := make([]string, len(row))
		for i, s := range row {
			if safe[i] = s; formula(s) {
				safe[i] = "'" + s
			}
		}
		if err := out.Write(safe); err != nil {
			return err //nolint:wrapcheck // the reader went away
		}
	}
	out.Flush()
	return out.Error() //nolint:wrapcheck // the reader went away
}

// formula reports whether a spreadsheet may run the cell. A negative number is none.
func formula(s string) bool {
	if s == "" || !strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
		return false
	}
	return s[0] != '-' || strings.Trim(s[1:], "0123456789.") != ""
}
