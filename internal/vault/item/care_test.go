package item_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"writ/internal/envelope"
	"writ/internal/keyring"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/item"
)

func TestGenerate(t *testing.T) {
	seen := map[string]bool{}
	count := map[rune]int{}
	for range 300 {
		g, err := item.Generate(item.Recipe{Length: 24})
		good(t, err)
		p := g.Text.Reveal()
		if len(p) != 24 || seen[p] || !strings.ContainsFunc(p, unicode.IsLower) || !strings.ContainsFunc(p, unicode.IsUpper) || !strings.ContainsFunc(p, unicode.IsDigit) || !strings.ContainsAny(p, "!#$%&*+-./:=?@_") || strings.ContainsAny(p, "0O1lI") {
			t.Fatalf("made %q", p)
		}
		seen[p] = true
		for _, r := range p {
			count[r]++
		}
		if g.Bits < 140 || item.Strength(g.Text) < 60 {
			t.Fatalf("%q is worth %.0f bits, measured as %.0f", p, g.Bits, item.Strength(g.Text))
		}
	}
	if len(count) != 25+24+8+15 {
		t.Errorf("%d different characters were drawn", len(count))
	}
	for r, n := range count { // 100 of each are expected
		if n < 40 || n > 200 {
			t.Errorf("%q was drawn %d times", r, n)
		}
	}
	g, err := item.Generate(item.Recipe{Length: 8, Classes: []string{"digit", "digit"}})
	if err != nil || strings.Trim(g.Text.Reveal(), "23456789") != "" || math.Round(g.Bits) != 24 {
		t.Errorf("digits: %q %.1f %v", g.Text.Reveal(), g.Bits, err)
	}
	g, err = item.Generate(item.Recipe{Words: 6, Between: " "})
	if err != nil || len(strings.Fields(g.Text.Reveal())) != 6 || g.Bits != 78 {
		t.Errorf("phrase: %q %.1f %v", g.Text.Reveal(), g.Bits, err)
	}
	for _, r := range []item.Recipe{{Length: 7}, {Length: 129}, {Length: 20, Classes: []string{"emoji"}}, {Words: 3}, {Words: 13}, {Words: 5, Between: "----"}} {
		_, err := item.Generate(r)
		coded(t, err, "generate")
	}
}

func TestStrength(t *testing.T) {
	for p, want := range map[string]string{"": "weak", "aaaaaaaaaaaaaaaaaaaaaaaa": "weak", "abcdefghijklmnopqrstuvwxyz": "weak", "123456789012345678": "weak", "abababababababababab": "weak", "Summer2026!": "weak",
		"correct horse plum 71": "good", "vK7#qPz2mWx9": "good"} {
		got := "good"
		if item.Strength(text(p)) < 60 {
			got = "weak"
		}
		if got != want {
			t.Errorf("%q is %s with %.0f bits", p, got, item.Strength(text(p)))
		}
	}
}

func TestReport(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		put := func(who, title, password string, rotate int) item.Item {
			d := item.Draft{Kind: "login", Title: title, Rotate: rotate, Values: map[string]secret.Text{"password": text(password)}}
			return w.make(who, d)
		}
		strong := "vK7#qPz2mWx9bN4"
		w.share("ana", put("ana", "fine", strong, 730).ID, "team", item.Viewer)
		w.share("ana", put("ana", "weak", "harbour9", 730).ID, "team", item.Viewer)
		w.share("ana", put("ana", "banned", "password1", 730).ID, "team", item.Viewer)
		put("ana", "single", strong+"1", 730)
		w.share("ana", put("ana", "twin one", strong+"2", 730).ID, "team", item.Viewer)
		w.share("dev", put("dev", "twin two", strong+"2", 730).ID, "ben", item.Viewer)
		w.share("ana", put("ana", "due", strong+"3", 30).ID, "team", item.Viewer)
		gone := put("ana", "gone", "password1", 1)
		good(t, w.svc.Delete(t.Context(), w.as("ana"), gone.ID))
		report := func(who string) string {
			found, looked, err := w.svc.Report(t.Context(), w.as(who))
			good(t, err)
			var out []string
			for _, f := range found {
				out = append(out, f.Title+": "+strings.Join(f.What, " "))
			}
			return fmt.Sprint(looked, " ", strings.Join(out, "; "))
		}
		if got := report("eve"); got != "5 weak: weak; banned: banned weak; twin one: reused" {
			t.Errorf("eve reads %s", got)
		}
		kit.Clock.Advance(31 * 24 * time.Hour)
		if got := report("ana"); got != "7 weak: weak; banned: banned weak; single: single-holder; twin one: reused; twin two: reused; due: overdue" {
			t.Errorf("ana reads %s", got)
		}
		kit.Clock.Advance(335 * 24 * time.Hour)
		w.staff.leaves("dev")
		if got := report("ana"); !strings.HasPrefix(got, "7 fine: old; weak: weak old;") || !strings.Contains(got, "twin two: ownerless reused single-holder old") {
			t.Errorf("after a year ana reads %s", got)
		}
		if n := len(kit.Recorded("vault.item-revealed")); n != 0 {
			t.Errorf("a report is no reveal: %d", n)
		}
	}, tables...)
}

const table = "name,url,username,password,note\nElm,https://elm.example,treasury,plum 71 horse,\nPost,https://post.example,mail,plum 72 horse,\nShop,https://shop.example,card,4111111111111111,\n"

// breaks: vault.company-creds
func TestImport(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx, ana := t.Context(), w.as("ana")
		in := item.Import{File: secret.NewBytes([]byte(table))}
		try, err := w.svc.Bring(ctx, ana, in)
		good(t, err)
		if try.Done || try.Good != 2 || len(try.Rows) != 3 || try.Source != "browser-csv" || try.Pass == "" || !strings.Contains(try.Rows[2].Problem, "payment card") {
			t.Errorf("tried: %+v", try)
		}
		count := func() int {
			l, err := w.svc.List(ctx, ana, item.Query{})
			good(t, err)
			return len(l)
		}
		if n := count(); n != 0 || len(kit.Recorded()) != 0 {
			t.Errorf("a try made %d items", n)
		}
		for name, c := range map[string]struct {
			change func(*item.Import)
			code   string
		}{
			"not whole": {func(*item.Import) {}, "import_rows"},
			"another file": {func(i *item.Import) {
				i.Some, i.File = true, secret.NewBytes([]byte(table+"x,https://x.example,y,z z z z,\n"))
			}, "import_pass"},
			"made up": {func(i *item.Import) { i.Some, i.Pass = true, strings.Repeat("0", 32) }, "import_pass"},
		} {
			in := in
			in.Pass = try.Pass
			c.change(&in)
			if _, err := w.svc.Bring(ctx, ana, in); err == nil || count() != 0 {
				t.Errorf("%s: %v with %d items", name, err, count())
			} else {
				coded(t, err, c.code)
			}
		}
		in.Pass, in.Some = try.Pass, true
		_, err = w.svc.Bring(ctx, w.as("ben"), in)
		coded(t, err, "import_pass") // of another person
		done, err := w.svc.Bring(ctx, ana, in)
		good(t, err)
		if !done.Done || count() != 2 {
			t.Errorf("done: %+v", done)
		}
		if v, err := w.svc.Reveal(ctx, ana, done.Rows[1].ID, "password", ""); err != nil || v.Text.Reveal() != "plum 72 horse" {
			t.Errorf("brought over: %v", err)
		}
		if n := len(kit.Recorded("vault.item-created", "vault.items-staged", "vault.items-imported")); n != 4 {
			t.Errorf("%d entries", n)
		}
		// What an import left behind counts nowhere, and is erased.
		w.exec(`UPDATE vault_item SET team = 'staged/x' WHERE id = $1`, done.Rows[0].ID)
		w.tend()
		if seen, err := w.vault.SeenBy(ctx, ana, "person/ana"); err != nil || count() != 1 || len(seen) != 1 || len(kit.Recorded("vault.item-owner-left", "vault.item-erased")) != 0 {
			t.Errorf("a staged item counts: %d items, seen %v %v", count(), seen, err)
		}
		if r := w.run("vault.items-owned"); r.Population != 1 {
			t.Errorf("the probe counts %d", r.Population)
		}
		kit.Clock.Advance(16 * time.Minute)
		w.tend()
		if n := len(kit.Recorded("vault.item-erased")); n != 1 || count() != 1 {
			t.Errorf("%d erased, %d left", n, count())
		}
		again, err := w.svc.Bring(ctx, ana, item.Import{File: in.File})
		if err != nil || again.Good != 1 || !strings.Contains(again.Rows[1].Problem, "already") {
			t.Errorf("again: %+v %v", again, err)
		}
		_, err = w.svc.Bring(ctx, operator, item.Import{File: secret.NewBytes([]byte("url,password\nhttps://x.example,y z y z\n"))})
		coded(t, err, "owner_needed")
	}, tables...)
}

// finding calls a function when somebody is looked up.
type finding struct {
	item.People
	then func()
}

func (f finding) Find(ctx context.Context, team, ref string) (item.Member, error) {
	f.then()
	return f.People.Find(ctx, team, ref)
}

// Files of an export come along, up to what an item and an import may hold; the others are told.
func TestImportFiles(t *testing.T) { // breaks: vault.company-creds
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx, ana := t.Context(), w.as("ana")
		entry := func(title string, files ...string) string {
			out := `<Entry><String><Key>Title</Key><Value>` + title + `</Value></String><String><Key>Password</Key><Value>plum ` + title + ` horse</Value></String>`
			for i := 0; i < len(files); i += 2 {
				out += `<Binary><Key>` + files[i] + `</Key><Value Ref="` + files[i+1] + `"/></Binary>`
			}
			return out + `</Entry>`
		}
		binary := func(id, text string) string {
			return `<Binary ID="` + id + `">` + base64.StdEncoding.EncodeToString([]byte(text)) + `</Binary>`
		}
		many, big := []string{}, ""
		for n := range 11 {
			many = append(many, fmt.Sprintf("f%d", n), "0")
		}
		for n := range 3 {
			all := []string{}
			for f := range 10 {
				all = append(all, fmt.Sprint("b", f), "2")
			}
			big += entry(fmt.Sprint("Big ", n), all...)
		}
		in := item.Import{Some: true, File: secret.NewBytes([]byte(`<KeePassFile><Meta><Binaries>` + binary("0", "hello") + binary("1", "card 4111111111111111") + binary("2", strings.Repeat("x", 1<<20)) + `</Binaries></Meta><Root><Group>` +
			entry("Elm", `C:\papers\c.txt`, "0", "card.txt", "1", "none", "9") + entry("Many", many...) + big + entry("Last", "b", "2", "c", "2") + `</Group></Root></KeePassFile>`))}
		try, err := w.svc.Bring(ctx, ana, in)
		good(t, err)
		told := func(row int) string { return strings.Join(try.Rows[row].Told, "; ") }
		if try.Good != 6 || !strings.Contains(told(0), `"card.txt" is left out: `) || !strings.Contains(told(0), `"none" is left out: a file has 1 byte`) || told(1) != `its file "f10" is left out: an item has at most 10` || told(4) != "" || told(5) != `its file "c" is left out: an import brings at most 500 files and 32 MiB of them` {
			t.Errorf("%d good: %s / %s / %s / %s", try.Good, told(0), told(1), told(4), told(5))
		}
		in.Pass = try.Pass
		done, err := w.svc.Bring(ctx, ana, in)
		good(t, err)
		it, err := w.svc.Show(ctx, ana, done.Rows[0].ID)
		good(t, err)
		if len(it.Files) != 1 || it.Files[0].Name != "c.txt" {
			t.Fatalf("%+v", it.Files)
		}
		if _, body, err := w.svc.Download(ctx, ana, it.ID, it.Files[0].ID, ""); err != nil || string(body.Reveal()) != "hello" {
			t.Errorf("%s %v", body.Reveal(), err)
		}
		if n := len(kit.Recorded("vault.file-attached")); n != 1+10+30+1 {
			t.Errorf("%d files are recorded", n)
		}
		if seen, err := w.vault.SeenBy(ctx, ana, "person/ana"); err != nil || !slices.ContainsFunc(seen, func(s vault.Seen) bool { return strings.HasSuffix(s.Thing, "/"+it.Files[0].ID) }) {
			t.Errorf("nobody knows the file: %+v %v", seen, err)
		}
	}, tables...)
}

// ensuring does something between the items of an import and their files.
type ensuring struct {
	item.Keys
	then func()
}

func (e ensuring) Ensure(ctx context.Context, s keyring.Subject) (envelope.Key, error) {
	e.then()
	return e.Keys.Ensure(ctx, s)
}

// Files of items that were taken back meanwhile are not stored: nothing would erase them.
func TestImportFilesCut(t *testing.T) {
	w := open(t)
	in := item.Import{File: secret.NewBytes([]byte(`<KeePassFile><Root><Group><Entry><String><Key>Title</Key><Value>Elm</Value></String><Binary><Key>a.txt</Key><Value>aGVsbG8=</Value></Binary></Entry></Group></Root></KeePassFile>`))}
	try, err := w.svc.Bring(t.Context(), w.as("ana"), in)
	good(t, err)
	in.Pass = try.Pass
	w.svc.Keys = ensuring{w.svc.Keys, func() {
		if len(w.kit.Recorded("vault.items-staged")) > 0 {
			for _, of := range []string{"vault_item_field", "vault_item_version", "vault_item_holder", "vault_item"} {
				w.exec(`DELETE FROM ` + of)
			}
		}
	}}
	_, err = w.svc.Bring(t.Context(), w.as("ana"), in)
	coded(t, err, "import_cut")
	if n := len(w.kit.Recorded("vault.file-attached")); n != 0 {
		t.Errorf("%d files of nothing", n)
	}
}

// One import is read at a time, and two nodes do not do one twice.
func TestImportOnce(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		one, two := with(t, kit), with(t, kit)
		ctx, ana := t.Context(), one.as("ana")
		in := item.Import{File: secret.NewBytes([]byte("name,url,username,password\nElm,https://elm.example,treasury,plum 71 horse\n")), Owners: []string{"ana"}}
		try, err := one.svc.Bring(ctx, ana, in)
		good(t, err)
		in.Pass = try.Pass
		one.svc.People = finding{one.svc.People, func() {
			_, err := one.svc.Bring(ctx, ana, in)
			coded(t, err, "import_busy")
			_, err = two.svc.Bring(ctx, ana, in)
			good(t, err)
		}}
		_, err = one.svc.Bring(ctx, ana, in)
		coded(t, err, "import_used")
		if l, err := one.svc.List(ctx, ana, item.Query{}); err != nil || len(l) != 1 {
			t.Errorf("%d items: %v", len(l), err)
		}
	}, tables...)
}

// A large import holds the writer for a few items at a time, and comes to count at once.
func TestLargeImport(t *testing.T) {
	w := open(t)
	var b strings.Builder
	b.WriteString("name,url,username,password\n")
	for n := range 300 {
		fmt.Fprintf(&b, "Site %d,https://s%d.example,user,plum %d horse\n", n, n, n)
	}
	in := item.Import{File: secret.NewBytes([]byte(b.String()))}
	try, err := w.svc.Bring(t.Context(), w.as("ana"), in)
	good(t, err)
	in.Pass = try.Pass
	done, err := w.svc.Bring(t.Context(), w.as("ana"), in)
	good(t, err)
	l, err := w.svc.List(t.Context(), w.as("ana"), item.Query{})
	if err != nil || !done.Done || len(l) != 300 {
		t.Errorf("%d items: %v", len(l), err)
	}
	if n := len(w.kit.Recorded("vault.items-staged")); n < 300/8 {
		t.Errorf("staged in %d changes", n)
	}
	if v, err := w.svc.Reveal(t.Context(), w.as("ana"), done.Rows[299].ID, "password", ""); err != nil || v.Text.Reveal() != "plum 299 horse" {
		t.Errorf("the last one: %v", err)
	}
}
