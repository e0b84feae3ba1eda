package pgtest_test

import (
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/pgtest"
)

func TestEachCallIsAnOwnDatabase(t *testing.T) {
	one, two := open(t, pgtest.URL(t)), open(t, pgtest.URL(t))
	if _, err := one.Exec("CREATE TABLE a (n BIGINT)"); err != nil {
		t.Fatal(err)
	}
	var n int
	const tables = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'a'"
	if err := one.QueryRow(tables).Scan(&n); err != nil || n != 1 {
		t.Fatalf("first database: %d tables, %v; want 1", n, err)
	}
	if err := two.QueryRow(tables).Scan(&n); err != nil || n != 0 {
		t.Fatalf("second database: %d tables, %v; want 0", n, err)
	}
}

// The server and its folder are gone soon after the process that asked for them.
func TestClusterEndsWithTheProcess(t *testing.T) {
	if os.Getenv("PGTEST_CHILD") != "" {
		db := open(t, pgtest.URL(t))
		var folder string
		if err := db.QueryRow("SHOW data_directory").Scan(&folder); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("folder " + folder + "\n")
		os.Exit(3) // no clean-up of any kind runs
	}
	if !pgtest.Available() {
		t.Skip("not tested on PostgreSQL: no binaries")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestClusterEndsWithTheProcess$")
	cmd.Env = append(os.Environ(), "PGTEST_CHILD=1")
	out, _ := cmd.CombinedOutput()
	_, rest, found := strings.Cut(string(out), "folder ")
	if !found {
		t.Fatalf("the child said %q", out)
	}
	folder, _, _ := strings.Cut(rest, "\n")
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(filepath.Dir(folder)); os.IsNotExist(err) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s is still there", filepath.Dir(folder))
		}
	}
}

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
