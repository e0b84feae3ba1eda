package incident

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/journal"
	"writ/internal/ledger"
)

// mostLetters of a breach are in a bundle.
const mostLetters = 50_000

// bundled is what a bundle says of an incident, beside the entries of the journal about it.
type bundled struct {
	Incident viewOut    `json:"incident"`
	Timeline []lineOut  `json:"timeline"`
	Letters  []stoodOut `json:"letters"` // of a breach: how each stands, and no names
}

type stoodOut struct {
	ID      string    `json:"id"`
	Version int64     `json:"version"`
	State   string    `json:"state"`
	Code    string    `json:"code,omitempty"`
	Body    string    `json:"body_sha256,omitempty"`
	At      time.Time `json:"at"`
}

// Bundle writes all of an incident for somebody outside: what is known of it as JSON and as a page,
// and every entry of the journal about it with its proof and the signed checkpoint. The sums of
// the former are an entry too, so that writ verify holds one against the other. Files are in it
// by their hashes, and of reports who wrote them is not. What of it is hidden in the journal
// stays closed.
func (s *Service) Bundle(ctx context.Context, who actor.Actor, ref string, w io.Writer) error {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return err
	}
	v, err := s.Show(ctx, who, ref)
	if err != nil {
		return err
	}
	lines, err := s.Timeline(ctx, who, v.ID)
	if err != nil {
		return err
	}
	for i := range v.Reports {
		v.Reports[i].Email, v.Reports[i].Person = "", ""
	}
	b := bundled{Incident: wireView(v), Timeline: wireLines(lines), Letters: []stoodOut{}}
	if err := s.DB.Each(ctx, lettersOfCase, func(scan ledger.Scan) error {
		var x stoodOut
		var sent int64
		err := scan(&x.ID, &x.Version, &x.State, &x.Code, &x.Body, &sent)
		x.At = at(sent)
		b.Letters = append(b.Letters, x)
		return err
	}, v.ID, mostLetters); err != nil {
		return fmt.Errorf("read letters: %w", err)
	}
	raw, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return fmt.Errorf("encode a bundle: %w", err)
	}
	var page bytes.Buffer
	if err := bundlePage.Execute(&page, map[string]any{"Company": s.Company(), "View": v, "Lines": lines}); err != nil {
		return fmt.Errorf("make the page of a bundle: %w", err)
	}
	files := map[string][]byte{"incident.json": raw, "index.html": page.Bytes()}
	ev, beside := Bundled{Incident: v.ID}, map[string][]byte{}
	for _, name := range []string{"incident.json", "index.html"} {
		beside["incident/"+name] = files[name]
		ev.Files = append(ev.Files, fmt.Sprintf("%x  %s", sha256.Sum256(files[name]), name))
	}
	r, err := s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) { return ev, nil })
	if err != nil {
		return fmt.Errorf("record a bundle: %w", err)
	}
	wait, stop := context.WithTimeout(ctx, 15*time.Second)
	defer stop()
	if _, err := s.Record.Wait(wait, r.ID); err != nil {
		return fmt.Errorf("record a bundle: %w", err)
	}
	return s.Record.Export(ctx, who, journal.Evidence{Query: journal.Query{Object: thing(v.ID)}, Reason: "the bundle of " + v.Ref(), Closed: true, Beside: beside}, w)
}

var bundlePage = template.Must(template.New("bundle").Funcs(template.FuncMap{"stamp": stamp}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{{.View.Ref}} {{.View.Title}}</title></head>
<body><h1>{{.View.Ref}} {{.View.Title}}</h1>
<p>{{.Company}}. Declared {{stamp .View.Declared}}; {{.View.State}}.</p>
{{with .View.Learned.Text}}<h2>What was learned</h2>
<p>{{.}}</p>
{{end}}<h2>Timeline</h2>
<ol>
{{range .Lines}}<li><time>{{stamp .At}}</time> {{.Who}}: {{.What}}{{with .Detail}}<br>{{.}}{{end}}</li>
{{end}}</ol>
{{with .View.Files}}<h2>Files</h2>
<ul>
{{range .}}<li>{{.Name}}, {{.Size}} bytes, SHA-256 {{.Hash}}</li>
{{end}}</ul>
{{end}}</body></html>
`))

// Bundled is an incident that was written down for somebody outside, with the sums of what it says.
type Bundled struct {
	Incident string   `class:"public"`
	Files    []string `class:"public"` // SHA-256, two spaces, name
}

// About implements ledger.Event.
func (e Bundled) About() ledger.About {
	return ledger.About{Name: "incident.bundled", Clause: "inc.process", Object: thing(e.Incident)}
}

const lettersOfCase = `SELECT id, version, state, code, body, at FROM incident_letter WHERE case_id = $1 ORDER BY id LIMIT $2`
