package ssm_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/vault"
)

// Five hundred acts at random, and what each person knows afterwards: exactly the names
// whose value, as it is now, they were given or wrote.
//
// breaks: vault.access-logged
func TestSeenIsExact(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := open(t, kit)
		team := func(id string) actor.Actor {
			return actor.Actor{Kind: actor.Person, ID: id, Team: vault.Home, TeamKind: "staff", Roles: []string{"engineer"}, ACR: 2, FactorAt: kit.Clock.Now()}
		}
		people := []actor.Actor{team("eli"), team("fay"), team("gus")}
		names := []string{"/a", "/b", "/c/d", "/c/e"}
		things := map[string]*known{}
		rnd := rand.New(rand.NewPCG(7, 7))
		next := 0
		for range 500 {
			who, name := people[rnd.IntN(len(people))], names[rnd.IntN(len(names))]
			m := things[name]
			act := rnd.IntN(10)
			if m == nil {
				act = 0
			}
			switch {
			case act < 2:
				next++
				v := fmt.Sprintf("value %d", next)
				if m == nil {
					m = &known{values: []string{""}, knows: map[string]map[string]bool{}}
					things[name] = m
				}
				if _, err := w.vault.Put(t.Context(), who, vault.Put{Name: name, Value: secret.NewText(v), Type: vault.SecureString, Overwrite: true}); err != nil {
					t.Fatal(err)
				}
				m.values = append(m.values, v)
				m.learn(who.String(), v)
			case act == 2:
				v := 1 + rnd.IntN(len(m.values)-1)
				if _, err := w.vault.Rollback(t.Context(), who, name, int64(v)); err != nil {
					t.Fatal(err)
				}
				m.values = append(m.values, m.values[v])
			case act == 3 && rnd.IntN(4) == 0:
				if err := w.vault.Delete(t.Context(), who, name); err != nil {
					t.Fatal(err)
				}
				delete(things, name)
			case act == 4: // without its value
				if _, err := w.vault.Get(t.Context(), who, vault.Selector{Name: name}, vault.Read{}); err != nil {
					t.Fatal(err)
				}
			case act == 5:
				if _, err := w.vault.Everything(t.Context(), who, "/", ""); err != nil {
					t.Fatal(err)
				}
				for _, m := range things {
					m.learn(who.String(), m.values[len(m.values)-1])
				}
			default:
				v := 1 + rnd.IntN(len(m.values)-1)
				if _, err := w.vault.Get(t.Context(), who, vault.Selector{Name: name, Version: int64(v)}, vault.Read{Decrypt: true}); err != nil {
					t.Fatal(err)
				}
				m.learn(who.String(), m.values[v])
			}
		}
		auditor := actor.Actor{Kind: actor.Person, ID: "aud", Team: vault.Home, TeamKind: "staff", Roles: []string{"auditor"}}
		for _, p := range people {
			var want, got []string
			for name, m := range things {
				if m.knows[p.String()][m.values[len(m.values)-1]] {
					want = append(want, name)
				}
			}
			seen, err := w.vault.SeenBy(t.Context(), auditor, p.String())
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range seen {
				got = append(got, v.Name)
			}
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s knows %v, the list says %v", p, want, got)
			}
		}
		if _, err := w.vault.SeenBy(t.Context(), people[0], people[1].String()); !errors.Is(err, fault.Denied) {
			t.Errorf("another's list: %v", err)
		}
		if _, err := w.vault.SeenBy(t.Context(), people[0], people[0].String()); err != nil {
			t.Errorf("one's own list: %v", err)
		}
	}, vault.Schema())
}

// known is a name's values by version, from 1, and who knows which.
type known struct {
	values []string
	knows  map[string]map[string]bool
}

func (k *known) learn(who, value string) {
	if k.knows[who] == nil {
		k.knows[who] = map[string]bool{}
	}
	k.knows[who][value] = true
}

// Whoever leaves leaves with what they know, until it is replaced.
//
// breaks: crypto.key-rotation
func TestLeaversKnow(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := open(t, kit)
		probe := func() clause.Result {
			t.Helper()
			for _, c := range w.vault.Controls() {
				if c.ID == "vault.leavers-know-nothing" {
					r, err := c.Run(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					return r
				}
			}
			t.Fatal("no such control")
			return clause.Result{}
		}
		put := func(v string) {
			t.Helper()
			if _, err := w.vault.Put(t.Context(), operator, vault.Put{Name: "/shop/db", Value: secret.NewText(v), Type: vault.SecureString, Overwrite: true}); err != nil {
				t.Fatal(err)
			}
		}
		put("one")
		eli := w.owners["person/eli"]
		eli.ACR, eli.FactorAt = 2, kit.Clock.Now()
		if _, err := w.vault.Get(t.Context(), eli, vault.Selector{Name: "/shop/db"}, vault.Read{Decrypt: true}); err != nil {
			t.Fatal(err)
		}
		if r := probe(); r.Outcome != clause.Pass || r.Population != 1 {
			t.Errorf("while they are here: %+v", r)
		}
		delete(w.owners, "person/eli")
		if r := probe(); r.Outcome != clause.Fail || !strings.Contains(r.Summary, "1 left and still know 1") {
			t.Errorf("after they left: %+v", r)
		}
		put("two")
		if r := probe(); r.Outcome != clause.Pass {
			t.Errorf("after it was replaced: %+v", r)
		}
	}, vault.Schema())
}

// What is known of who saw what is kept when the table is made anew.
func TestSeenIsKept(t *testing.T) {
	files := fstest.MapFS{}
	all, err := fs.Glob(vault.Schema().FS, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		b, err := fs.ReadFile(vault.Schema().FS, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: b}
	}
	const anew = "00092_known.sql"
	file := files[anew]
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			delete(files, anew)
			kit := ledgertest.With(t, engine, nil, ledger.Schema{Module: "vault", FS: files})
			w := &world{t: t, kit: kit}
			w.exec(`INSERT INTO vault_seen (who, team, thing, version, at, given) VALUES ('person/a', 'staff', 'param/1', 1, 5, 6), ('person/a', 'staff', 'param/1', 2, 7, 0), ('person/b', 'other', 'item/1/x', 1, 8, 9)`)
			read := func() (rows []string) {
				w.must(kit.DB.Each(t.Context(), `SELECT who, team, thing, version, at, given FROM vault_seen ORDER BY who, thing, version`, func(scan ledger.Scan) error {
					var who, team, thing string
					var version, at, given int64
					err := scan(&who, &team, &thing, &version, &at, &given)
					rows = append(rows, fmt.Sprint(who, team, thing, version, at, given))
					return err
				}))
				return rows
			}
			before := read()
			files[anew] = file
			kit.Reopen()
			if after := read(); len(before) != 3 || !slices.Equal(before, after) {
				t.Errorf("before %q, after %q", before, after)
			}
			if err := kit.DB.Quiet(t.Context(), ledger.Expiry, func(tx *ledger.Tx) error {
				_, err := tx.Exec(t.Context(), `INSERT INTO vault_seen (who, team, thing, version, at, given) VALUES ('person/a', 'staff', 'param/1', 1, 5, 6)`)
				return err
			}); !errors.Is(err, fault.Conflict) {
				t.Errorf("the same row a second time: %v", err)
			}
		})
	}
}
