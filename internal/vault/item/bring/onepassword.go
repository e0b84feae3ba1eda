package bring

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"writ/internal/secret"
)

// The limits of an archive.
const (
	maxEntries  = 10000
	maxUnpacked = 64 << 20
)

type puxItem struct {
	State    string `json:"state"` // active, archived
	Category string `json:"categoryUuid"`
	Overview struct {
		Title string `json:"title"`
		URL   string `json:"url"`
		URLs  []struct {
			URL string `json:"url"`
		} `json:"urls"`
	} `json:"overview"`
	Details struct {
		LoginFields []struct {
			Value       string `json:"value"`
			Name        string `json:"name"`
			Designation string `json:"designation"`
		} `json:"loginFields"`
		Notes    string          `json:"notesPlain"`
		Password string          `json:"password"`
		Document json.RawMessage `json:"documentAttributes"`
		Sections []struct {
			Title  string `json:"title"`
			Fields []struct {
				Title string                     `json:"title"`
				Value map[string]json.RawMessage `json:"value"`
			} `json:"fields"`
		} `json:"sections"`
	} `json:"details"`
}

// readPUX reads the one file of the archive that holds the items; it writes none.
func readPUX(file []byte) ([]Row, error) {
	raw, files, err := unpack(file)
	if err != nil {
		return nil, err
	}
	p := puxReader{s: newStream(raw), files: files, read: map[string]secret.Bytes{}, left: maxUnpacked}
	err = p.s.whole(func(key string) error {
		if key != "accounts" {
			return p.s.skip()
		}
		return p.s.each('[', func(string) error { return p.s.each('{', p.account) })
	})
	if err != nil {
		return nil, told(err, "The archive's export.data is not the JSON of 1Password.")
	}
	return p.rows, nil
}

type puxReader struct {
	s     *stream
	rows  []Row
	files map[string]*zip.File    // by the id of the document
	read  map[string]secret.Bytes // those that were
	left  int                     // bytes that files may still unpack to
}

// puxFile names a file of the archive.
type puxFile struct {
	Name string `json:"fileName"`
	ID   string `json:"documentId"`
}

// file is one of the archive; its body is empty where it is not there, or too large.
func (p *puxReader) file(f puxFile) File { // clause: vault.company-creds
	out := File{Name: f.Name, Body: p.read[f.ID]}
	z := p.files[f.ID]
	if _, was := p.read[f.ID]; was || z == nil {
		return out
	}
	if r, err := z.Open(); err == nil {
		most := min(maxBody, p.left)
		b, err := io.ReadAll(io.LimitReader(r, int64(most)+1)) // its head may have told less
		if err == nil && len(b) <= most {
			p.left -= len(b)
			out.Body = secret.NewBytes(b)
		}
		_ = r.Close() // it was only read
	}
	p.read[f.ID] = out.Body
	return out
}

func (p *puxReader) account(key string) error {
	if key != "vaults" {
		return p.s.skip()
	}
	return p.s.each('[', func(string) error {
		first := len(p.rows)
		var attrs struct {
			Name string `json:"name"`
		}
		err := p.s.each('{', func(key string) error {
			switch key {
			case "attrs":
				return p.s.one(&attrs)
			case "items":
				return p.s.each('[', p.item)
			}
			return p.s.skip()
		})
		for n := range p.rows[first:] {
			p.rows[first+n].Folder = strings.TrimSpace(attrs.Name)
		}
		return err
	})
}

func (p *puxReader) item(string) error {
	if len(p.rows) == MaxRows {
		return errMany
	}
	var i puxItem
	if err := p.s.one(&i); err != nil {
		return err
	}
	r := i.row()
	if r.Problem == "" {
		for _, f := range i.files() {
			r.Files = append(r.Files, p.file(f))
		}
	}
	p.rows = append(p.rows, r)
	return nil
}

// unpack finds export.data, and refuses an archive that could do harm.
func unpack(file []byte) (data []byte, files map[string]*zip.File, err error) {
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, nil, bad("The file is no archive of 1Password.")
	}
	if len(z.File) > maxEntries {
		return nil, nil, bad("The archive holds too many files.")
	}
	var total uint64
	files = map[string]*zip.File{}
	for _, f := range z.File {
		if f.Name == "" || strings.ContainsAny(f.Name, "\\\x00") || strings.HasPrefix(f.Name, "/") || strings.Contains("/"+f.Name+"/", "/../") {
			return nil, nil, bad("The archive holds a path that leads out of it.")
		}
		if total += f.UncompressedSize64; total > maxUnpacked || f.UncompressedSize64 > maxUnpacked {
			return nil, nil, bad("The archive grows too large when it is unpacked.")
		}
		if name, in := strings.CutPrefix(f.Name, "files/"); in {
			id, _, _ := strings.Cut(name, "__") // then its name
			files[id] = f
		}
	}
	for _, f := range z.File {
		if f.Name != "export.data" {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, nil, bad("The archive's export.data cannot be read.")
		}
		b, err := io.ReadAll(io.LimitReader(r, maxUnpacked+1)) // its head may have told less
		if err != nil || len(b) > maxUnpacked {
			return nil, nil, bad("The archive's export.data cannot be read, or grows too large.")
		}
		return b, files, r.Close()
	}
	return nil, nil, bad("The archive holds no export.data.")
}

// files are those of an item: of a document its own, and those in fields.
func (p puxItem) files() (out []puxFile) {
	take := func(raw json.RawMessage) {
		var f puxFile
		if json.Unmarshal(raw, &f) == nil && f.ID != "" {
			out = append(out, f)
		}
	}
	take(p.Details.Document)
	for _, s := range p.Details.Sections {
		for _, f := range s.Fields {
			take(f.Value["file"])
		}
	}
	return out
}

// puxKinds are 1Password's categories that have a place of their own here.
var puxKinds = map[string]string{"001": "login", "003": "note", "005": "login", "006": "document", "112": "api-key", "114": "ssh-key"}

func (p puxItem) row() Row {
	r := Row{Item: Item{Kind: puxKinds[p.Category], Title: strings.TrimSpace(p.Overview.Title)}}
	inner := len(p.Overview.URLs) + len(p.Details.LoginFields) + len(p.Details.Sections)
	for _, s := range p.Details.Sections {
		for _, f := range s.Fields {
			inner += 1 + len(f.Value)
		}
	}
	switch {
	case p.Category == "002":
		r.Problem = "it is a payment card, and no card data is kept"
		return r
	case p.State == "archived":
		r.Problem = "it is archived there"
		return r
	case inner > maxInner:
		r.Problem = tooMuch
		return r
	}
	if p.Overview.URL != "" {
		r.URLs = append(r.URLs, p.Overview.URL)
	}
	for _, u := range p.Overview.URLs {
		if u.URL != "" && u.URL != p.Overview.URL {
			r.URLs = append(r.URLs, u.URL)
		}
	}
	r.put("notes", p.Details.Notes)
	r.put("password", p.Details.Password)
	for _, f := range p.Details.LoginFields {
		switch f.Designation {
		case "username":
			r.User = f.Value
		case "password":
			r.put("password", f.Value)
		default:
			r.more(f.Name, f.Value, true)
		}
	}
	for _, s := range p.Details.Sections {
		for _, f := range s.Fields {
			r.section(s.Title, f.Title, f.Value)
		}
	}
	r.asNote()
	r.main()
	return r
}

// section takes over a field of a section.
func (r *Row) section(section, title string, value map[string]json.RawMessage) {
	label := strings.TrimSpace(strings.Trim(section+": "+title, ": "))
	for kind, raw := range value {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			var key struct {
				PrivateKey string `json:"privateKey"`
			}
			if kind == "sshKey" && json.Unmarshal(raw, &key) == nil && key.PrivateKey != "" {
				r.put("private", key.PrivateKey)
				continue
			}
			if s := string(raw); kind != "file" && s != "null" && s != "{}" && s != "[]" {
				r.Told = append(r.Told, fmt.Sprintf("%q is left out: it is no text", label))
			}
			continue
		}
		switch {
		case kind == "totp":
			r.put("totp", text)
		case kind == "creditCardNumber" || kind == "creditCardType":
			if text != "" {
				r.Problem = "it holds a payment card, and no card data is kept"
			}
		default:
			r.more(label, text, kind == "concealed")
		}
	}
}

// main puts the one secret of a key where its kind has it.
func (r *Row) main() {
	if r.Kind != "api-key" && r.Kind != "" {
		return
	}
	if p, ok := r.Secrets["password"]; ok && r.Kind == "api-key" {
		delete(r.Secrets, "password")
		r.Secrets["key"] = p
	}
	for n, m := range r.More {
		if r.Kind == "api-key" && m.Secret && r.Secrets["key"].IsZero() {
			r.put("key", m.Value.Reveal())
			r.More = append(r.More[:n:n], r.More[n+1:]...)
			return
		}
	}
}
