package transfer_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/transfer"
)

var operator = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}

type world struct {
	kit   *ledgertest.Kit
	vault *vault.Service
	svc   *transfer.Service
}

// as is a member of staff who has shown a factor just now.
func (w *world) as(id, role string) actor.Actor {
	return actor.Actor{Kind: actor.Person, ID: id, Team: vault.Home, TeamKind: "staff", Roles: []string{role}, Session: "s-" + id, ACR: 2, FactorAt: w.kit.Clock.Now(), Via: "https"}
}

type nobody struct{}

func (nobody) OwnerOf(context.Context, string) (actor.Actor, error) {
	return actor.Actor{}, fault.Newf(fault.Denied, "owner_gone", "The owner is not there.")
}

func each(t *testing.T, fn func(t *testing.T, w *world)) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		rules := clause.NewLive[vault.Rules](kit.Clock.Now)
		if err := rules.Set([]clause.Period{{Values: policytest.Values()}}); err != nil {
			t.Fatal(err)
		}
		acc := policytest.Access(kit.DB, kit.Clock.Now)
		v, err := vault.New(vault.Deps{DB: kit.DB, Keys: kit.Ring, Access: acc, Owners: nobody{}, Rules: rules, Now: kit.Clock.Now, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		s, err := transfer.New(transfer.Deps{DB: kit.DB, Values: v, Access: acc, Now: kit.Clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		fn(t, &world{kit, v, s})
	}, vault.Schema())
}

func code(err error) string { c, _ := fault.PublicOf(err); return c }

func text(rows []transfer.Row) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%s=%q%s ", r.Name, r.Value.Reveal(), r.Problem)
	}
	return strings.TrimSpace(b.String())
}

// Each form, and what is wrong in it.
func TestRead(t *testing.T) {
	for _, c := range []struct{ form, in, want string }{
		{"dotenv", "# c\n\nDB_URL=postgres://x?a=b\nexport A = \"two\\nlines # no\" # yes\r\nB='it''s'\nC=x # c\nE=", `/s/db-url="postgres://x?a=b" /s/a="two\nlines # no" /s/b="it" /s/c="x" /s/e=""`},
		{"dotenv", "K=\"one\ntwo\"\nL=3\nbad line\nQ=\"open", `/s/k="one\ntwo" /s/l="3" =""It is not KEY=value. /s/q=""The quote does not end.`},
		{"json", `{"db":{"password":"p","port":5432,"on":true},"list":[1],"none":null}`, `/s/db/on="true" /s/db/password="p" /s/db/port="5432" /s/list=""A list is no value. Write it as one text. /s/none=""It has no value.`},
		{"chamber", `{"db_url":"x","n":12345678901234567890}`, `/s/db_url="x" /s/n="12345678901234567890"`},
		{"yaml", "db:\n  password: p\n  port: 5432\nx: |\n  a\n  b\n", `/s/db/password="p" /s/db/port="5432" /s/x="a\nb\n"`},
		{"aws", `{"Parameters":[{"Name":"/s/a","Type":"String","Value":"1","Version":3},{"Name":"/else/b","Type":"SecureString","Value":"2"}]}`, `/s/a="1" /else/b="2"It does not lie under /s.`},
	} {
		rows, err := transfer.Read(c.form, "/s/", secret.NewText(c.in))
		if got := text(rows); err != nil || got != c.want {
			t.Errorf("%s %q:\n%s\nwant\n%s\n%v", c.form, c.in, got, c.want, err)
		}
	}
	for _, c := range [][2]string{{"json", "{"}, {"json", "[1]x"}, {"json", `"a"`}, {"json", `{}`}, {"json", `{"a":1} {"b":2}`}, {"yaml", "a: [\n"}, {"yaml", "just text"}, {"yaml", "a: &a x\nb: *a\n"}, {"yaml", "a: &a {x: 1}\nb:\n  <<: *a\n"}, {"aws", `{}`}, {"dotenv", "# nothing\n"}, {"json", strings.Repeat(`{"a":`, 30) + "1" + strings.Repeat("}", 30)}} {
		if _, err := transfer.Read(c[0], "/s", secret.NewText(c[1])); code(err) != "import_file" || strings.Contains(err.Error(), "just text") {
			t.Errorf("%s %q: %v", c[0], c[1], err)
		}
	}
	if _, err := transfer.Read("xml", "/s", secret.NewText("<a/>")); code(err) != "import_form" {
		t.Errorf("%v", err)
	}
}

// A file is written whole or not at all; a dry run says the same and writes nothing.
func TestImport(t *testing.T) { // breaks: vault.secret-home
	each(t, func(t *testing.T, w *world) {
		in := transfer.Import{Form: "dotenv", Path: "/shop", Text: secret.NewText("DB_URL=planted-one\nKEY=planted-two\n")}
		try := func(in transfer.Import) string {
			t.Helper()
			rows, done, err := w.svc.Import(t.Context(), operator, in)
			if err != nil {
				t.Fatal(err)
			}
			out := fmt.Sprint(done)
			for _, r := range rows {
				out += fmt.Sprintf(" %s:%s%d%s", r.Name, r.Does, r.Version, r.Problem)
			}
			return out
		}
		count := func() int {
			t.Helper()
			vs, err := w.vault.Everything(t.Context(), operator, "/shop", "")
			if err != nil {
				t.Fatal(err)
			}
			return len(vs)
		}
		dry := in
		dry.Dry = true
		if got := try(dry); got != "false /shop/db-url:new1 /shop/key:new1" || count() != 0 {
			t.Errorf("dry: %s, and %d are there", got, count())
		}
		bad := in
		bad.Text = secret.NewText("OK=1\nAB=\nAB=x\n")
		if got := try(bad); !strings.Contains(got, "/shop/ok:new1") || !strings.Contains(got, "/shop/ab:refused0A value has at least one character.") || !strings.Contains(got, "stands twice") || count() != 0 {
			t.Errorf("a bad row: %s, and %d are there", got, count())
		}
		if got := try(in); got != "true /shop/db-url:new1 /shop/key:new1" || count() != 2 {
			t.Errorf("%s", got)
		}
		if got := try(in); !strings.Contains(got, "refused0It is there already.") {
			t.Errorf("again: %s", got)
		}
		in.Overwrite = true
		if got := try(in); got != "true /shop/db-url:version2 /shop/key:version2" {
			t.Errorf("over: %s", got)
		}
		puts, acts := w.kit.Recorded("vault.param-put"), w.kit.Recorded("vault.params-put")
		if len(puts) != 4 || len(acts) != 2 || fmt.Sprint(acts[1].Fields["count"]) != "2" {
			t.Errorf("%d puts in %d acts", len(puts), len(acts))
		}
		for _, e := range append(puts, acts...) {
			if strings.Contains(e.Body, "planted") {
				t.Errorf("%s holds a value", e.Name)
			}
		}
		v, err := w.vault.Get(t.Context(), operator, vault.Selector{Name: "/shop/key"}, vault.Read{})
		if err != nil || v.Type != vault.SecureString || !v.Sealed {
			t.Errorf("%+v %v", v, err)
		}
		many := transfer.Import{Form: "dotenv", Path: "/shop", Text: secret.NewText(strings.Repeat("A=1\n", 101))}
		if _, _, err := w.svc.Import(t.Context(), operator, many); code(err) != "import_many" {
			t.Errorf("%v", err)
		}
		if _, _, err := w.svc.Import(t.Context(), w.as("aud", "auditor"), in); fault.KindOf(err) != fault.Denied {
			t.Errorf("an auditor: %v", err)
		}
	})
}

// A hundred values are one act on either engine.
func TestImportIsOneAct(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var b strings.Builder
		for i := range vault.MaxMany {
			fmt.Fprintf(&b, "KEY_%d=value %d\n", i, i)
		}
		if _, done, err := w.svc.Import(t.Context(), operator, transfer.Import{Form: "dotenv", Path: "/many", Text: secret.NewText(b.String())}); err != nil || !done {
			t.Errorf("%v %v", done, err)
		}
	})
}

// An export needs a reason and another person, is taken once within its time by whoever
// asked, and each name is in an entry.
func TestExport(t *testing.T) { // breaks: vault.access-logged
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		if _, _, err := w.svc.Import(ctx, operator, transfer.Import{Form: "dotenv", Path: "/shop", Text: secret.NewText("A=planted\nB=2\n")}); err != nil {
			t.Fatal(err)
		}
		eli := func() actor.Actor { return w.as("eli", "engineer") }
		ana := func() actor.Actor { return w.as("ana", "owner") }
		both := func() actor.Actor { a := eli(); a.Roles = []string{"engineer", "owner"}; return a }
		if _, err := w.svc.Ask(ctx, eli(), "/shop", "short"); code(err) != "export_reason" {
			t.Errorf("%v", err)
		}
		if _, err := w.svc.Ask(ctx, w.as("aud", "auditor"), "/shop", "a move elsewhere"); fault.KindOf(err) != fault.Denied {
			t.Errorf("%v", err)
		}
		ask := func() string {
			t.Helper()
			e, err := w.svc.Ask(ctx, eli(), "/shop", "a move elsewhere")
			if err != nil {
				t.Fatal(err)
			}
			return e.ID
		}
		id := ask()
		refused := func(what, want string, err error) {
			t.Helper()
			if code(err) != want {
				t.Errorf("%s: %v, want %s", what, err, want)
			}
		}
		_, err := w.svc.Take(ctx, eli(), id)
		refused("before the agreement", "not_agreed", err)
		refused("one's own", "own_export", w.svc.Agree(ctx, both(), id))
		refused("the operator's word", "person_needed", w.svc.Agree(ctx, operator, id))
		if err := w.svc.Agree(ctx, w.as("dev", "engineer"), id); fault.KindOf(err) != fault.Denied {
			t.Errorf("an engineer agrees: %v", err)
		}
		if err := w.svc.Agree(ctx, ana(), id); err != nil {
			t.Fatal(err)
		}
		refused("twice", "export_over", w.svc.Agree(ctx, ana(), id))
		_, err = w.svc.Take(ctx, w.as("dev", "engineer"), id)
		refused("somebody else takes it", "others_export", err)
		vs, err := w.svc.Take(ctx, eli(), id)
		if err != nil || len(vs) != 2 || vs[0].Value.Reveal() != "planted" {
			t.Fatalf("%v %v", vs, err)
		}
		_, err = w.svc.Take(ctx, eli(), id)
		refused("twice", "export_over", err)
		reads := w.kit.Recorded("vault.param-read")
		if e := reads[len(reads)-1]; !strings.Contains(fmt.Sprint(e.Fields["names"]), "/shop/a:1") || !strings.Contains(fmt.Sprint(e.Fields["names"]), "/shop/b:1") || !strings.Contains(fmt.Sprint(e.Fields["why"]), id) {
			t.Errorf("%+v", e)
		}
		if es, err := w.svc.Exports(ctx, ana()); err != nil || len(es) != 1 || es[0].Approver != "person/ana" || es[0].Taken.IsZero() {
			t.Errorf("%+v %v", es, err)
		}
		id = ask()
		w.kit.Clock.Advance(24 * time.Hour)
		refused("a day later", "export_over", w.svc.Agree(ctx, ana(), id))
		if id = ask(); w.svc.Agree(ctx, ana(), id) != nil {
			t.Fatal("not agreed")
		}
		w.kit.Clock.Advance(time.Hour)
		was := len(w.kit.Recorded("vault.param-read"))
		_, err = w.svc.Take(ctx, eli(), id)
		refused("an hour after the agreement", "export_over", err)
		if n := len(w.kit.Recorded("vault.param-read")); n != was {
			t.Errorf("values that nobody gets are read: %d entries", n-was)
		}
		refused("one that is not there", "export_unknown", w.svc.Agree(ctx, ana(), "none"))
	})
}

// reading calls a function before values are read.
type reading struct {
	transfer.Values
	then func() error
}

func (r reading) Everything(ctx context.Context, who actor.Actor, path, reason string) ([]vault.Named, error) {
	if err := r.then(); err != nil {
		return nil, err
	}
	return r.Values.Everything(ctx, who, path, reason)
}

// A fault while values are read spends no export, and of two who take one at once one does.
func TestExportOnce(t *testing.T) { // breaks: vault.access-logged
	each(t, func(t *testing.T, w *world) {
		ctx, eli := t.Context(), w.as("eli", "engineer")
		if _, _, err := w.svc.Import(ctx, operator, transfer.Import{Form: "dotenv", Path: "/shop", Text: secret.NewText("A=planted\n")}); err != nil {
			t.Fatal(err)
		}
		e, err := w.svc.Ask(ctx, eli, "/shop", "a move elsewhere")
		if err == nil {
			err = w.svc.Agree(ctx, w.as("ana", "owner"), e.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		w.svc.Values = reading{w.vault, func() error { return fault.Newf(fault.Unavailable, "down", "Down.") }}
		if _, err := w.svc.Take(ctx, eli, e.ID); code(err) != "down" {
			t.Fatal(err)
		}
		var first []vault.Named
		w.svc.Values = reading{w.vault, func() (err error) {
			w.svc.Values = w.vault
			first, err = w.svc.Take(ctx, eli, e.ID)
			return err
		}}
		if vs, err := w.svc.Take(ctx, eli, e.ID); code(err) != "export_over" || vs != nil || len(first) != 1 {
			t.Errorf("the second takes %v %v, the first %v", vs, err, first)
		}
	})
}

// A tree of many levels and few values has an end too.
func TestManyLevels(t *testing.T) {
	var b strings.Builder
	for n := range 40 {
		fmt.Fprintf(&b, `,"%d":{"x":0`, n)
		for m := range 5000 {
			fmt.Fprintf(&b, `,"%d":{}`, m)
		}
		b.WriteString("}")
	}
	_, err := transfer.Read("json", "/s", secret.NewText("{"+b.String()[1:]+"}"))
	if code(err) != "import_file" || !strings.Contains(fmt.Sprint(fault.PublicOf(err)), "10,000") {
		t.Errorf("%v", err)
	}
}

// Whatever file comes, rows have a name or a problem, and lie under the path.
func FuzzRead(f *testing.F) {
	for i, s := range []string{"A=1\nB=\"x\ny\"\n", `{"a":{"b":1}}`, "a:\n  b: c\n", `{"a":"b"}`, `{"Parameters":[{"Name":"/s/a","Type":"String","Value":"1"}]}`} {
		f.Add(i, s)
	}
	f.Fuzz(func(t *testing.T, form int, in string) {
		if form < 0 {
			return
		}
		rows, err := transfer.Read(transfer.Forms[form%len(transfer.Forms)], "/s", secret.NewText(in))
		if err != nil {
			return
		}
		for _, r := range rows {
			if r.Problem == "" && !strings.HasPrefix(r.Name, "/s/") {
				t.Errorf("%q is outside the path", r.Name)
			}
		}
	})
}
