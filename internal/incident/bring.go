package incident

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/web"
)

// What becomes of a line of an import.
const (
	BroughtNew   = "new"
	BroughtKnown = "known" // it came before
	BroughtOver  = "over"  // it is not open any more where it comes from
)

// Brought is a line of an import.
type Brought struct {
	Line  int
	Key   string
	Title string
	State string
	Ref   string // "" where there is no incident
}

// Bring makes incidents of those that are open in another tool, from its CSV file: all or none of
// them, and each once however often it comes. With dry it only says what it would do. They begin
// as signals: whoever takes one decides here what it is. Errors: fault.Invalid with each line.
func (s *Service) Bring(ctx context.Context, who actor.Actor, file []byte, dry bool) ([]Brought, error) { // clause: inc.process
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return nil, err
	}
	rows, err := readSheet(file, s.kinds(), s.Now())
	if err != nil {
		return nil, err
	}
	out := make([]Brought, len(rows))
	var fresh []*newcomer
	for i, x := range rows {
		out[i] = Brought{Line: x.Line, Key: x.Key, Title: x.Title, State: BroughtOver}
		if !x.Open {
			continue
		}
		var of string
		err := ledger.One(ctx, s.DB, signalRow, []any{&of}, importOf(x.Key))
		switch {
		case err == nil:
			c, err := s.find(ctx, s.DB, of)
			if err != nil {
				return nil, err
			}
			out[i].State, out[i].Ref = BroughtKnown, c.Ref()
			continue
		case !errors.Is(err, fault.NotFound):
			return nil, fmt.Errorf("read signals: %w", err)
		}
		out[i].State = BroughtNew
		if dry {
			continue
		}
		n, err := s.newcomer(ctx, x)
		if err != nil {
			return nil, err
		}
		n.out, fresh = &out[i], append(fresh, n)
	}
	if len(fresh) == 0 {
		return out, nil
	}
	return out, s.bring(ctx, who, fresh, file)
}

// importOf is by what an incident of another tool is known again. Signals are public, what another
// tool calls its own may not be.
func importOf(key string) string { return "import/" + digest(key)[:16] }

// newcomer is an incident that is ready to be written.
type newcomer struct {
	sheetRow
	id, note    string
	title, text []byte
	out         *Brought
}

func (s *Service) newcomer(ctx context.Context, x sheetRow) (*newcomer, error) {
	n := &newcomer{sheetRow: x, id: s.DB.ID(), note: s.DB.ID()}
	n.Onset = s.since(x.Onset)
	if n.Kind == "" {
		n.Kind = "other"
	}
	var err error
	if n.title, err = s.seal(ctx, n.id, "incident_case.title", n.id, x.Title); err == nil {
		n.text, err = s.seal(ctx, n.id, "incident_note.box", n.note, x.Note)
	}
	return n, err
}

// bring writes all of them in one change.
func (s *Service) bring(ctx context.Context, who actor.Actor, all []*newcomer, file []byte) error {
	letters, err := s.letters(ctx, nil, broughtLetter(s, len(all)))
	if err != nil {
		return err
	}
	h := sha256.Sum256(file)
	s.point("before")
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		var number int64
		if err := ledger.One(ctx, tx, lastCase, []any{&number}, false); err != nil {
			return nil, err
		}
		for _, n := range all {
			number++
			n.out.Ref = Case{Number: number}.Ref()
			if err := s.bringOne(ctx, tx, who, n, number); err != nil {
				return nil, err
			}
		}
		return CasesImported{Incidents: int64(len(all)), SHA256: hex.EncodeToString(h[:])}, s.enqueue(ctx, tx, letters)
	})
	s.point("after")
	if err != nil {
		return fmt.Errorf("import incidents: %w", err)
	}
	return nil
}

func (s *Service) bringOne(ctx context.Context, tx *ledger.Tx, who actor.Actor, n *newcomer, number int64) error {
	if _, err := tx.Exec(ctx, insertCase, n.id, number, false, n.title, "import", "", by(who), us(n.Onset), us(tx.Now())); err != nil {
		return err
	}
	c := Case{ID: n.id, Round: 1, States: map[engine.Region]string{engine.L: "L0"}}
	if err := s.start(ctx, tx, c, engine.L, s.Rules.Get().Acknowledge, "inc.categorise/ack"); err != nil {
		return err
	}
	seen, err := s.add(ctx, tx, n.id, []Told{{ID: importOf(n.Key), Kind: n.Kind, Says: "It was open in another tool", At: n.Onset}})
	if err != nil {
		return err
	}
	hash := digest(n.Note)
	if _, err := tx.Exec(ctx, insertNote, n.note, n.id, "", by(who), us(tx.Now()), hash, n.text); err != nil {
		return err
	}
	tx.Also(Declared{Incident: n.id, Number: number, Source: "import", Onset: n.Onset, Title: n.Title})
	tx.Also(seen)
	tx.Also(Noted{Incident: n.id, Note: n.note, TextHash: hash})
	return nil
}

func broughtLetter(s *Service, n int) letter {
	return letter{kind: "incident.declared", Letter: mail.Letter{
		Title: "Incidents were brought here: " + web.Count(int64(n), "incident"),
		Lines: []string{"They were open in another tool, and nobody has taken them here yet.", "Each must be taken within " + web.Duration(s.Rules.Get().Acknowledge) + "."},
		Link:  &mail.Link{Text: "Look, and take them", URL: s.Origin + "/-/console/incidents"},
		Foot:  []string{"Imported on " + stamp(s.Now()) + "."}}}
}

// CasesImported are incidents of another tool that go on here.
type CasesImported struct {
	Incidents int64  `class:"public"`
	SHA256    string `class:"public"` // of the file
}

// About implements ledger.Event.
func (e CasesImported) About() ledger.About {
	return ledger.About{Name: "incident.cases-imported", Clause: "inc.process"}
}

type (
	bringIn struct {
		CSV string `json:"csv"`
		Dry bool   `json:"dry_run,omitempty"`
	}
	broughtOut struct {
		Line  int    `json:"line"`
		ID    string `json:"id"`
		Title string `json:"title"`
		State string `json:"state"` // new, known, over
		Ref   string `json:"ref,omitempty"`
	}
	bringOut struct {
		Dry  bool         `json:"dry_run"`
		Rows []broughtOut `json:"rows"`
	}
)

func (s *Service) postImport(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[bringIn](r)
	if err != nil {
		return err
	}
	all, err := s.Bring(r.Context(), who, []byte(in.CSV), in.Dry)
	if err != nil {
		return err
	}
	out := bringOut{Dry: in.Dry, Rows: []broughtOut{}}
	for _, x := range all {
		out.Rows = append(out.Rows, broughtOut{x.Line, x.Key, x.Title, x.State, x.Ref})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}
