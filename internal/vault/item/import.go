package item

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/kdbx"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/item/bring"
	"writ/internal/web"
)

// MaxImport is the greatest size of a file that is brought over.
const MaxImport = bring.MaxFile

// Import is the wish to bring items over.
type Import struct {
	Source string // "" = seen from the file
	File   secret.Bytes
	Key    kdbx.Key // of a database of KeePass
	Owners []string
	Pass   string // of a try of the same file; "" = this is the try
	Some   bool   // bring over what is good, and leave the rest out
}

// Brought is what became of one row.
type Brought struct {
	N       int
	Title   string
	Kind    string
	Problem string   // why it is left out; "" = it is good
	Told    []string // what of it does not come over
	ID      string   // of the item, once it is made
}

// Result is what an import did, or would do.
type Result struct {
	Source string
	Rows   []Brought
	Good   int
	Pass   string // of a try: what the import wants
	Done   bool
}

// Bring tries an import, or does it: all good rows come to count in one change, or none.
func (s *Service) Bring(ctx context.Context, who actor.Actor, in Import) (Result, error) { // clause: vault.company-creds
	if err := s.Access.Allow(ctx, who, access.VaultItems, ""); err != nil {
		return Result{}, err
	}
	if !s.brings.TryLock() {
		return Result{}, fault.New(fault.Limited, "import_busy", fault.Public{Problem: "Another import is being read.", Expected: "One at a time.", Next: "Try it again in a minute."})
	}
	defer s.brings.Unlock()
	source, rows, err := bring.Read(in.Source, in.File.Reveal(), in.Key)
	if err != nil {
		return Result{}, err
	}
	have, err := s.List(ctx, who, Query{})
	if err != nil {
		return Result{}, err
	}
	twice := map[string]bool{}
	for _, i := range have {
		f, _ := i.Field("username")
		twice[likeness(i.Kind, i.Title, f.Value)] = true
	}
	out, room := Result{Source: source}, filesRoom{maxImportFiles, maxImportBytes}
	var made []prepared
	for _, r := range rows {
		b := Brought{N: r.N, Title: r.Title, Kind: r.Kind, Problem: r.Problem, Told: r.Told}
		if r.Kind != "login" && !r.Secrets[seedField].IsZero() {
			b.Told = append(b.Told, "its one-time codes are left out: only a login has them")
		}
		mark := likeness(r.Kind, r.Title, r.User)
		if b.Problem == "" && twice[mark] {
			b.Problem = "there is one of this title and user already"
		}
		if b.Problem == "" {
			p, err := s.prepare(ctx, who, NewItem{Draft: draftOf(r.Item), Owners: in.Owners})
			switch _, pub := fault.PublicOf(err); {
			case err == nil:
				var told []string
				p.files, told = room.take(r.Files)
				b.Told = append(b.Told, told...)
				b.ID, twice[mark], made = p.id, true, append(made, p)
			case fault.KindOf(err) == fault.Invalid && !slices.ContainsFunc(pub.Fields, func(f fault.Field) bool { return f.Name == "owners" || f.Name == "with" }):
				b.Problem = pub.Problem
			default:
				return Result{}, err
			}
		}
		out.Rows = append(out.Rows, b)
	}
	out.Good = len(made)
	pass, err := s.pass(ctx, who, in)
	if err != nil {
		return Result{}, err
	}
	if in.Pass == "" {
		for i := range out.Rows {
			out.Rows[i].ID = ""
		}
		out.Pass = pass
		return out, nil
	}
	return s.bring(ctx, who, in, out, made, pass)
}

func (s *Service) bring(ctx context.Context, who actor.Actor, in Import, out Result, made []prepared, pass string) (Result, error) {
	if !secret.NewText(in.Pass).Equal(secret.NewText(pass)) {
		return Result{}, fault.New(fault.Conflict, "import_pass", fault.Public{Problem: "This is not the file that was tried.", Expected: "The pass of a try of the same file, by the same person.", Next: "Try it first."})
	}
	if len(made) == 0 || len(made) < len(out.Rows) && !in.Some {
		return Result{}, fault.New(fault.Conflict, "import_rows", fault.Public{Problem: fmt.Sprintf("%d of %d rows cannot come over, so none did.", len(out.Rows)-len(made), len(out.Rows)), Next: "Mend them, or ask for the good ones only."})
	}
	roster, err := s.People.Roster(ctx, vault.TeamOf(who))
	if err != nil {
		return Result{}, err
	}
	if err := s.room(ctx, vault.TeamOf(who), len(made)); err != nil {
		return Result{}, err
	}
	id := s.DB.ID()
	err = s.stage(ctx, who, id, made, roster)
	if err == nil {
		err = s.stageFiles(ctx, who, id, made)
	}
	if err != nil {
		return Result{}, fmt.Errorf("bring items over: %w", err) // what was staged is erased by Tend
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(ctx, `DELETE FROM vault_item_import WHERE at <= $1`, us(tx.Now().Add(-stageTime))); err != nil {
			return nil, err
		}
		n, err := tx.Exec(ctx, `INSERT INTO vault_item_import (pass, at) VALUES ($1, $2) ON CONFLICT (pass) DO NOTHING`, pass, us(tx.Now()))
		if err == nil && n != 1 {
			err = fault.New(fault.Conflict, "import_used", fault.Public{Problem: "This file was brought over a moment ago.", Next: "Look at the list of items."})
		}
		if err != nil {
			return nil, err
		}
		n, err = tx.Exec(ctx, `UPDATE vault_item SET team = $2 WHERE team = $1`, stagedTeam+id, vault.TeamOf(who))
		if err == nil && n != int64(len(made)) {
			err = fault.Newf(fault.Conflict, "import_cut", "The import took too long and was taken back. Try it again.")
		}
		return ItemsImported{Import: id, Source: out.Source, Count: int64(len(made)), LeftOut: int64(len(out.Rows) - len(made))}, err
	})
	if err != nil {
		return Result{}, fmt.Errorf("bring items over: %w", err)
	}
	out.Done = true
	return out, nil
}

// Items of an import lie in a team of their own until all are there: then one statement makes
// them count. One change for all would hold the writer, which is everybody's, too long.
const (
	stagedTeam = "staged/"
	stageSize  = 8
	stageTime  = 15 * time.Minute // after which what does not count is erased
)

// stage stores items a few at a time, fewer where the writer is busy.
func (s *Service) stage(ctx context.Context, who actor.Actor, id string, made []prepared, roster []Member) error {
	size := stageSize
	for len(made) > 0 {
		part := made[:min(size, len(made))]
		_, err := s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
			for _, p := range part {
				ev, err := s.insert(ctx, tx, who, p, stagedTeam+id, roster)
				if err != nil {
					return nil, err
				}
				tx.Also(ev)
			}
			return ItemsStaged{Import: id, Count: int64(len(part))}, nil
		})
		if code, _ := fault.PublicOf(err); code == "cut_off" && size > 1 {
			size /= 2
			continue
		}
		if err != nil {
			return err
		}
		made = made[len(part):]
	}
	return nil
}

// pass is what shows that somebody tried a file: it fits this file, person and owners alone.
func (s *Service) pass(ctx context.Context, who actor.Actor, in Import) (string, error) {
	k, err := s.Keys.Ensure(ctx, indexKey(vault.TeamOf(who)))
	if err != nil {
		return "", fmt.Errorf("key of indexes: %w", err)
	}
	m := k.MAC("writ/vault/item-import/1", who.String(), in.Source, string(in.File.Reveal()), joined(in.Owners))
	return hexed(m[:16]), nil
}

func likeness(kind, title, user string) string {
	return kind + "\x00" + strings.ToLower(title) + "\x00" + strings.ToLower(user)
}

func draftOf(i bring.Item) Draft {
	d := Draft{Kind: i.Kind, Title: i.Title, Folder: i.Folder, Values: map[string]secret.Text{}}
	k, _ := KindOf(i.Kind)
	more := i.More
	place := func(id, label string, hidden bool, v secret.Text) {
		if v.IsZero() {
			return
		}
		if k.has(id) {
			d.Values[id] = v
		} else {
			more = append(more, bring.More{Label: label, Secret: hidden, Value: v})
		}
	}
	place("url", "Addresses", false, secret.NewText(strings.Join(i.URLs, "\n")))
	place("username", "User", false, secret.NewText(i.User))
	for _, f := range []struct{ id, label string }{{"password", "Password"}, {"notes", "Notes"}, {"key", "Key"}, {"private", "Private key"}, {"text", "Text"}} {
		place(f.id, f.label, true, i.Secrets[f.id])
	}
	if k.has(seedField) && !i.Secrets[seedField].IsZero() {
		d.Values[seedField] = i.Secrets[seedField] // elsewhere it could be revealed
	}
	for _, m := range more {
		v := m.Value
		if m.Label == "" {
			m.Label = "Field"
		}
		d.Custom = append(d.Custom, Custom{Label: m.Label, Secret: m.Secret, Value: &v})
	}
	return d
}

type (
	importIn struct {
		Source   string      `json:"source,omitzero"`   // 1password-1pux, 1password-csv, bitwarden-json, bitwarden-csv, keepass-kdbx, keepass-xml, browser-csv
		File     secret.Text `json:"file"`              // base64
		Password secret.Text `json:"password,omitzero"` // of a database of KeePass
		KeyFile  secret.Text `json:"key_file,omitzero"` // base64; where it has one
		Owners   []string    `json:"owners,omitzero"`
		Pass     string      `json:"pass,omitzero"` // left out: try it
		Some     bool        `json:"some,omitzero"` // leave out what cannot come over
	}
	broughtWire struct {
		N       int      `json:"row"`
		Title   string   `json:"title"`
		Kind    string   `json:"kind"`
		Problem string   `json:"problem,omitempty"`
		Told    []string `json:"told,omitempty"`
		ID      string   `json:"id,omitempty"`
	}
	importOut struct {
		Source string        `json:"source"`
		Rows   []broughtWire `json:"rows"`
		Good   int           `json:"good"`
		Pass   string        `json:"pass,omitempty"`
		Done   bool          `json:"done"`
	}
)

// unbase64 reads a file inside JSON.
func unbase64(field string, t secret.Text) (secret.Bytes, error) {
	b, err := base64.StdEncoding.DecodeString(t.Reveal())
	if err != nil {
		return secret.Bytes{}, invalid(field, "file_base64", "The file is not written in base64.")
	}
	return secret.NewBytes(b), nil
}

func (s *Service) postImport(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[importIn](r)
	if err != nil {
		return err
	}
	file, err := unbase64("file", in.File)
	if err != nil {
		return err
	}
	key, err := unbase64("key_file", in.KeyFile)
	if err != nil {
		return err
	}
	res, err := s.Bring(r.Context(), who, Import{Source: in.Source, File: file, Key: kdbx.Key{Password: in.Password, File: key}, Owners: in.Owners, Pass: in.Pass, Some: in.Some})
	if err != nil {
		return err
	}
	out := importOut{Source: res.Source, Rows: []broughtWire{}, Good: res.Good, Pass: res.Pass, Done: res.Done}
	for _, b := range res.Rows {
		out.Rows = append(out.Rows, broughtWire(b))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}
