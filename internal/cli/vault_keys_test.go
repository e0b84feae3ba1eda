package cli_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/cli"
)

func TestVaultKeys(t *testing.T) {
	f := serve(t)
	f.on("POST encryption/backups", `{"epoch":"e1","file":"/srv/backups/keys/e1-1.keys","made":"2026-11-02T06:00:00Z","ends":"2026-12-01T06:00:00Z","bytes":4097}`)
	f.on("GET encryption/backups", `{"backups":[{"epoch":"e1","file":"/srv/backups/keys/e1-1.keys","made":"2026-11-02T06:00:00Z","ends":"2026-12-01T06:00:00Z","bytes":4097}]}`)
	f.must(0, []string{"vault", "keys", "backup"}, "/srv/backups/keys/e1-1.keys", "It opens until")
	f.must(0, []string{"vault", "keys", "backups"}, "e1-1.keys", "5 kB")
	f.must(0, []string{"vault", "keys", "backups", "--format", "json"}, `"ends"`)
	var got cli.RestoreKeysOptions
	answer := cli.RestoreKeysResult{Made: time.Date(2026, 11, 2, 6, 0, 0, 0, time.UTC)}
	s := cli.Server{RestoreKeys: func(_ context.Context, o cli.RestoreKeysOptions) (cli.RestoreKeysResult, error) {
		got = o
		return answer, nil
	}}
	file := filepath.Join(f.dir, "a.keys")
	status, out, errs := f.say("", s, "vault", "keys", "restore", file)
	if status != 0 || got.File != file || got.Dir != f.dir {
		t.Errorf("restore: %d %s %s %+v", status, out, errs, got)
	}
	answer.Wait = true
	if status, out, errs := f.say("", s, "vault", "keys", "restore", file, "--format", "json"); status != 0 || !strings.Contains(strings.ReplaceAll(out, " ", ""), `"wait":true`) {
		t.Errorf("restore: %d %s %s", status, out, errs)
	}
	if status, _, _ := f.say("", s, "vault", "keys", "restore"); status != 2 {
		t.Errorf("without a file: %d", status)
	}
}
