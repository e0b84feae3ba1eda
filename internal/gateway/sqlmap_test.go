package gateway_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// injectable is an application that puts what it is sent into a statement, on purpose.
func injectable(t *testing.T) http.Handler {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:injectable?mode=memory&cache=shared")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	if _, err := db.Exec(`CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, name TEXT); INSERT OR IGNORE INTO item VALUES (1, 'a lamp'), (2, 'a chair')`); err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rows, err := db.Query(`SELECT name FROM item WHERE id = ` + r.URL.Query().Get("id"))
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err == nil {
				fmt.Fprintln(w, name)
			}
		}
	})
}

// sqlmap finds the hole of such an application without the rules, and none with them.
//
//	scripts/sqlmap.sh
func TestSQLMap(t *testing.T) {
	tool, err := exec.LookPath("sqlmap")
	if os.Getenv("WRIT_SQLMAP") == "" || err != nil {
		t.Skip("only for scripts/sqlmap.sh, which installs sqlmap")
	}
	for _, mode := range []string{"off", "block"} {
		o := options{upstream: injectable(t)}
		o.waf.Mode = mode
		k := open(t, o)
		cmd := exec.CommandContext(t.Context(), tool, "-u", k.base+"/open/item?id=1", "--batch", "--flush-session", "--technique=BEU", "--disable-coloring", "--output-dir", t.TempDir(), "--threads=2")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		found := strings.Contains(string(out), "identified the following injection point")
		if found != (mode == "off") {
			t.Errorf("mode %s: found is %v:\n%s", mode, found, out)
		}
	}
}
