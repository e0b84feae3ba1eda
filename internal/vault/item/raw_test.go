package item_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/vault/item"
)

// forms are the ways in which a text could lie on a disk.
func forms(text string) map[string][]byte {
	var le, be []byte
	for _, u := range utf16.Encode([]rune(text)) {
		le, be = append(le, byte(u), byte(u>>8)), append(be, byte(u>>8), byte(u))
	}
	b64 := base64.StdEncoding
	return map[string][]byte{"plain": []byte(text), "hex": []byte(hex.EncodeToString([]byte(text))), "HEX": []byte(strings.ToUpper(hex.EncodeToString([]byte(text)))),
		"base64": []byte(strings.TrimRight(b64.EncodeToString([]byte(text)), "=")), "base64 after one byte": []byte(b64.EncodeToString([]byte("x" + text)))[4:24], "base64 after two bytes": []byte(b64.EncodeToString([]byte("xy" + text)))[4:24],
		"utf-16le": le, "utf-16be": be, "url": []byte(url.QueryEscape(text))}
}

// Nothing that people keep lies anywhere in the clear: not in the database, its log and
// journal, not in a copy of them, not in what the server writes about itself.
//
// breaks: crypto.at-rest
func TestNothingLiesInTheClear(t *testing.T) {
	kit := ledgertest.Open(t, tables...)
	w := with(t, kit)
	var logged bytes.Buffer
	w.svc.Log = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx, ana := t.Context(), w.as("ana")
	planted := map[string]string{}
	plant := func(what string) secret.Text {
		word := strings.Map(func(r rune) rune { // letters alone: digits may look like a card's number
			if r <= '9' {
				return r - '0' + 'g'
			}
			return r
		}, hex.EncodeToString(secret.Random(16).Reveal()))
		planted[what] = "zq" + word + "=&"
		return secret.NewText(planted[what])
	}
	seed := "GEZDGNBVGY3TQOJQMZXW6YTBOJRGC6RR"
	planted["seed"] = seed
	d := item.Draft{Kind: "login", Title: plant("title").Reveal(), Folder: plant("folder").Reveal(), Vendor: plant("vendor").Reveal(),
		Values: map[string]secret.Text{"url": text("https://" + strings.TrimRight(plant("host").Reveal(), "=&") + ".example"), "username": plant("user"), "password": plant("password"), "notes": plant("notes"), "totp": text(seed)},
		Custom: []item.Custom{{Label: plant("label").Reveal(), Secret: true, Value: ptr(plant("custom"))}}}
	planted["host"] = strings.TrimRight(planted["host"], "=&")
	i := w.make("ana", d)
	_, err := w.svc.Reveal(ctx, ana, i.ID, "password", plant("reason").Reveal())
	good(t, err)
	_, err = w.svc.Code(ctx, ana, i.ID, "")
	good(t, err)
	_, err = w.svc.Attach(ctx, ana, i.ID, plant("file name").Reveal(), secret.NewBytes([]byte(plant("file").Reveal())))
	good(t, err)
	_, err = w.svc.CheckOut(ctx, ana, i.ID, plant("check-out").Reveal(), time.Hour)
	good(t, err)
	good(t, w.svc.CheckIn(ctx, ana, i.ID))
	_, address, err := w.svc.MakeLink(ctx, ana, i.ID, []string{"password"}, time.Hour, plant("link").Reveal())
	good(t, err)
	planted["token"] = address[strings.LastIndexByte(address, '/')+1:]
	_, err = w.svc.OpenLink(ctx, ana, secret.NewText(planted["token"]), "2001:db8::77:4242")
	good(t, err)
	planted["opener"] = "2001:db8::77:4242"
	d.Values = map[string]secret.Text{"password": plant("second password")}
	_, err = w.svc.Edit(ctx, ana, i.ID, d)
	good(t, err)
	dumped := w.dump()
	dir := filepath.Dir(strings.TrimPrefix(kit.URL(), "sqlite:"))
	kit.Reopen() // all that was in memory is on disk, and the server stood still once
	files := map[string][]byte{"what the server logged": logged.Bytes(), "the rows within the encrypted pages": dumped}
	good(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files[path], err = os.ReadFile(path)
		return err
	}))
	if len(files) < 2 {
		t.Fatalf("searched only %d files of %s", len(files), dir)
	}
	for what, value := range planted {
		for form, needle := range forms(value) {
			for path, b := range files {
				if n := bytes.Count(b, needle); n > 0 {
					t.Errorf("%s stands %d times in %s as %s", what, n, path, form)
				}
			}
		}
	}
	// The search can find: ids lie in the rows in clear.
	if bytes.Count(dumped, []byte(i.ID)) < 5 {
		t.Error("the search finds nothing")
	}
}

// dump is every value of every table, as whoever has the key of the pages reads them.
func (w *world) dump() []byte {
	w.t.Helper()
	ctx, out := w.t.Context(), []byte{}
	columns := map[string][]string{}
	good(w.t, w.kit.DB.Each(ctx, `SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`, func(scan ledger.Scan) error {
		var t, c string
		err := scan(&t, &c)
		columns[t] = append(columns[t], c)
		return err
	}))
	if len(columns["vault_item"]) < 10 {
		w.t.Fatalf("found only the tables %v", columns)
	}
	for table, cs := range columns {
		good(w.t, w.kit.DB.Each(ctx, `SELECT `+strings.Join(cs, ", ")+` FROM `+table, func(scan ledger.Scan) error {
			row := make([][]byte, len(cs))
			into := make([]any, len(cs))
			for i := range row {
				into[i] = &row[i]
			}
			err := scan(into...)
			out = append(append(out, bytes.Join(row, []byte("\n"))...), '\n')
			return err
		}))
	}
	return out
}
