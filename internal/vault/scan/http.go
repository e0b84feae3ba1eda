package scan

import (
	"encoding/base64"
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/leak"
	"writ/internal/web"
)

// maxReport bounds a report on the wire.
const maxReport = 8 << 20

// Routes are the doors for scans on other machines, and for their list.
func (s *Service) Routes() []web.Route {
	const v1 = "/-/api/v1/vault/scans"
	on := func(pattern string, limit int64, h web.Handler, d web.Doc) web.Route {
		d.Tag = "vault"
		return web.Route{Pattern: pattern, Who: web.SignedIn, Tokens: true, Limit: limit, Handle: h, Doc: d}
	}
	return []web.Route{
		on("GET "+v1, 0, s.getScans, web.Doc{Summary: "Places that were searched for credentials, and what is open", Out: scansOut{}}),
		on("POST "+v1, maxReport, s.postScan, web.Doc{Summary: "Take the report of a scan into the record", In: reportIn{}, Out: filedOut{}, Status: http.StatusCreated,
			Errors: []string{"scan_host", "scan_path", "scan_hit", "scan_excepted", "scan_places", "comparison_unknown"}}),
		on("POST "+v1+"/comparisons", 0, s.postComparison, web.Doc{Summary: "Begin to compare words with the values of the vault, by marks under a key of this comparison", In: struct{}{}, Out: comparisonOut{}, Status: http.StatusCreated, Errors: []string{"scans_many"}}),
		on("POST "+v1+"/comparisons/{id}", 512<<10, s.postMarks, web.Doc{Summary: "Which of these marks are of a value, by its name", In: marksIn{}, Out: marksOut{}, Errors: []string{"comparison_unknown", "marks_many", "marks_bound"}}),
		on("POST "+v1+"/decisions", 0, s.postDecision, web.Doc{Summary: "Say that a hit is mended, or except it until a day", In: decisionIn{}, Errors: []string{"hit_unknown", "hit_reason", "hit_until"}}),
	}
}

type (
	placeWire struct {
		ID       string    `json:"id,omitempty"`
		Host     string    `json:"host,omitempty"`
		Path     string    `json:"path"`
		Declared bool      `json:"declared"`
		Scanned  time.Time `json:"scanned,omitzero"`
		Tried    time.Time `json:"tried,omitzero"`
		Files    int64     `json:"files"`
		Bytes    int64     `json:"bytes"`
		Unread   int64     `json:"unread"`
		Hits     int64     `json:"hits"`
		Excepted int64     `json:"excepted"`
		Known    bool      `json:"known"`
		Failed   string    `json:"failed,omitempty"`
		By       string    `json:"by,omitempty"`
		Open     []hitWire `json:"open"`
	}
	hitWire struct {
		ID      string    `json:"id"`
		Rule    string    `json:"rule"`
		Says    string    `json:"says"`
		File    string    `json:"file"`
		Line    int64     `json:"line,omitempty"`
		Commit  string    `json:"commit,omitempty"`
		Masked  string    `json:"masked"`
		Name    string    `json:"name,omitempty"`
		State   string    `json:"state"`
		Until   time.Time `json:"until,omitzero"`
		Reason  string    `json:"reason,omitempty"`
		Decided string    `json:"decided,omitempty"`
		Found   time.Time `json:"found"`
		Seen    time.Time `json:"seen"`
	}
	scansOut struct {
		Places []placeWire `json:"places"`
	}
	reportIn struct {
		Host       string      `json:"host"`
		Path       string      `json:"path"`
		Comparison string      `json:"comparison,omitzero"`
		Report     leak.Report `json:"report"`
	}
	filedOut struct {
		Entry string `json:"entry"`
		Open  int64  `json:"open"`
	}
	comparisonOut struct {
		ID  string `json:"id"`
		Key string `json:"key"` // 32 bytes, base64; of this comparison alone
	}
	marksIn struct {
		Marks []string `json:"marks"` // 16 bytes each, base64 without padding
	}
	marksOut struct {
		Names map[string]string `json:"names"` // mark → name
	}
	decisionIn struct {
		Place  string `json:"place"`
		Hit    string `json:"hit"`
		Until  string `json:"until,omitzero"` // a day, of an exception
		Reason string `json:"reason"`
	}
)

func wirePlace(p Place) placeWire {
	out := placeWire{ID: p.ID, Host: p.Host, Path: p.Path, Declared: p.Declared, Scanned: p.Scanned, Tried: p.Tried, Files: p.Files, Bytes: p.Bytes, Unread: p.Unread, Hits: p.Hits, Excepted: p.Excepted,
		Known: p.Known, Failed: p.Failed, By: p.Scanner, Open: []hitWire{}}
	for _, h := range p.Open {
		out.Open = append(out.Open, hitWire(h))
	}
	return out
}

func (s *Service) getScans(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ps, err := s.Scans(r.Context(), who)
	if err != nil {
		return err
	}
	out := scansOut{Places: []placeWire{}}
	for _, p := range ps {
		out.Places = append(out.Places, wirePlace(p))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postScan(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[reportIn](r)
	if err != nil {
		return err
	}
	done, err := s.File(r.Context(), who, Report{Host: in.Host, Path: in.Path, Report: in.Report}, in.Comparison)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, filedOut(done))
}

func (s *Service) postComparison(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	c, err := s.Compare(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, comparisonOut{c.ID, base64.StdEncoding.EncodeToString(c.Key.Reveal())})
}

func (s *Service) postMarks(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[marksIn](r)
	if err != nil {
		return err
	}
	asked := make([]leak.Mark, 0, len(in.Marks))
	for _, text := range in.Marks {
		b, err := base64.RawStdEncoding.DecodeString(text)
		if err != nil || len(b) != len(leak.Mark{}) {
			return fault.New(fault.Invalid, "mark", fault.Public{Problem: "A mark is not 16 bytes in base64."})
		}
		asked = append(asked, leak.Mark(b))
	}
	names, err := s.Which(r.Context(), who, r.PathValue("id"), asked)
	if err != nil {
		return err
	}
	out := marksOut{Names: map[string]string{}}
	for m, name := range names {
		out.Names[base64.RawStdEncoding.EncodeToString(m[:])] = name
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postDecision(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[decisionIn](r)
	if err != nil {
		return err
	}
	d := Decision{Place: in.Place, Hit: in.Hit, Reason: in.Reason}
	if in.Until != "" {
		if d.Until, err = time.Parse(time.DateOnly, in.Until); err != nil {
			return fault.New(fault.Invalid, "hit_until", fault.Public{Problem: "The end of an exception is no day.", Expected: "A day such as 2027-03-31."})
		}
	}
	if err := s.Decide(r.Context(), who, d); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
