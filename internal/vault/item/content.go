package item

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"writ/internal/fault"
	"writ/internal/pan"
	"writ/internal/secret"
)

// The limits of an item.
const (
	maxTitle   = 200      // characters; of a folder and a vendor too
	maxPlain   = 4 << 10  // bytes of a field that is no secret
	maxSecret  = 16 << 10 // bytes of one that is
	maxCustom  = 30
	maxURLs    = 20
	MaxFile    = 1 << 20 // bytes of one attached file
	maxFiles   = 10
	maxRotate  = 3650 // days
	usualDays  = 365  // between replacements, where nobody says otherwise
	maxVersion = 20   // how many are kept
	maxItems   = 10000
)

// Spec is a field that a kind has of itself.
type Spec struct {
	ID, Label string
	Secret    bool
	Lines     bool // may have several
}

// Kind is what an item is.
type Kind struct {
	ID, Name string
	Fields   []Spec
	main     string // the secret whose change counts as a replacement
}

var (
	urls  = Spec{ID: "url", Label: "Addresses", Lines: true}
	user  = Spec{ID: "username", Label: "User"}
	notes = Spec{ID: "notes", Label: "Notes", Secret: true, Lines: true}
)

// seedField is the one field that never leaves.
const seedField = "totp"

// Kinds are all, the most used first.
var Kinds = []Kind{
	{"login", "Login", []Spec{urls, user, {ID: "password", Label: "Password", Secret: true}, {ID: seedField, Label: "One-time codes", Secret: true}, notes}, "password"},
	{"api-key", "API key", []Spec{urls, {ID: "key-id", Label: "Key id"}, {ID: "key", Label: "Key", Secret: true}, notes}, "key"},
	{"ssh-key", "SSH key", []Spec{urls, user, {ID: "public", Label: "Public key", Lines: true}, {ID: "private", Label: "Private key", Secret: true, Lines: true}, {ID: "passphrase", Label: "Passphrase", Secret: true}, notes}, "private"},
	{"certificate", "Certificate", []Spec{urls, {ID: "certificate", Label: "Certificate", Lines: true}, {ID: "private", Label: "Private key", Secret: true, Lines: true}, {ID: "passphrase", Label: "Passphrase", Secret: true}, notes}, "private"},
	{"note", "Note", []Spec{{ID: "text", Label: "Text", Secret: true, Lines: true}}, "text"},
	{"document", "Document", []Spec{notes}, ""},
}

// replaced reports whether such items have a secret that is replaced from time to time.
func (k Kind) replaced() bool { return k.main != "" && k.ID != "note" }

// has reports whether a field is one that the kind has of itself.
func (k Kind) has(id string) bool {
	return slices.ContainsFunc(k.Fields, func(f Spec) bool { return f.ID == id })
}

// KindOf finds one.
func KindOf(id string) (Kind, bool) {
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.ID == id })
	if i < 0 {
		return Kind{}, false
	}
	return Kinds[i], true
}

// Field is a field of an item, without its value where that is secret.
type Field struct {
	ID     string `json:"id"`
	Label  string `json:"label"`
	Secret bool   `json:"secret,omitempty"`
	Value  string `json:"value,omitempty"`
}

// Custom is a field that somebody added. A nil Value keeps the one there is.
type Custom struct {
	ID     string // "" = a new one
	Label  string
	Secret bool
	Value  *secret.Text
}

// Draft is the wish for an item, or for a new version of one.
type Draft struct {
	Kind                  string // of a new item
	Title, Folder, Vendor string
	Values                map[string]secret.Text // by field; what is not there stays as it is, "" takes it out
	Custom                []Custom               // all of them
	Critical, Sensitive   bool
	Rotate                int   // days; 0 = a year, and never where there is nothing to replace
	Version               int64 // that it is a change of; 0 = whichever there is
}

// head is what a version is, beside its secrets.
type head struct {
	Title  string  `json:"title"`
	Folder string  `json:"folder,omitempty"`
	Vendor string  `json:"vendor,omitempty"`
	Fields []Field `json:"fields"`
}

// content is a head and the secrets that belong to it.
type content struct {
	head
	secrets map[string]secret.Text
}

func (c content) value(id string) string {
	for _, f := range c.Fields {
		if f.ID == id && !f.Secret {
			return f.Value
		}
	}
	return c.secrets[id].Reveal()
}

// apply makes the next content of what was there, and names the fields that changed. taken are
// the ids of fields that the item has or had.
func (d Draft) apply(k Kind, was content, taken map[string]bool) (content, []string, error) {
	next := content{head: head{Title: tidy(d.Title), Folder: tidy(d.Folder), Vendor: tidy(d.Vendor)}, secrets: map[string]secret.Text{}}
	var changed []string
	mark := func(id string, differs bool) {
		if differs {
			changed = append(changed, id)
		}
	}
	mark("title", next.Title != was.Title)
	mark("folder", next.Folder != was.Folder)
	mark("vendor", next.Vendor != was.Vendor)
	for id := range d.Values {
		if !k.has(id) {
			return content{}, nil, invalid("fields", "field_unknown", fmt.Sprintf("A %s has no field %q.", strings.ToLower(k.Name), id))
		}
	}
	for _, f := range k.Fields {
		old := was.value(f.ID)
		v, given := d.Values[f.ID]
		if !given {
			v = secret.NewText(old)
		}
		text, err := normal(f, v)
		if err != nil {
			return content{}, nil, err
		}
		next.put(Field{ID: f.ID, Label: f.Label, Secret: f.Secret}, text)
		mark(f.ID, text.Reveal() != old)
	}
	if err := d.custom(was, &next, taken, mark); err != nil {
		return content{}, nil, err
	}
	return next, changed, next.check(k)
}

// custom takes over the fields that somebody added. An id of a former field is never another's:
// a link that waits would show the new one.
func (d Draft) custom(was content, next *content, taken map[string]bool, mark func(string, bool)) error {
	if len(d.Custom) > maxCustom {
		return invalid("custom", "custom_many", fmt.Sprintf("An item has at most %d fields of its own.", maxCustom))
	}
	former := map[string]Field{}
	for _, f := range was.Fields {
		former[f.ID] = f
	}
	kept := map[string]bool{}
	for _, c := range d.Custom {
		c.Label = tidy(c.Label)
		if c.Label == "" {
			continue // an empty label takes the field out
		}
		f, there := former[c.ID]
		if !there || !strings.HasPrefix(c.ID, ownField) || kept[c.ID] {
			c.ID, f, there = "", Field{}, false // no id is the client's to choose
			for n := 1; c.ID == "" || taken[c.ID] || kept[c.ID]; n++ {
				c.ID = fmt.Sprintf("%s%d", ownField, n)
			}
		}
		kept[c.ID] = true
		old := was.value(c.ID)
		v := secret.NewText(old)
		if c.Value != nil {
			v = *c.Value
		} else if f.Secret && !c.Secret { // clause: vault.access-logged (it would be read without a reveal)
			return invalid("custom", "field_hidden", c.Label+" is hidden, and stays so unless it is given a new value.")
		}
		text, err := normal(Spec{ID: c.ID, Label: c.Label, Secret: c.Secret, Lines: true}, v)
		if err != nil {
			return err
		}
		next.put(Field{ID: c.ID, Label: c.Label, Secret: c.Secret}, text)
		mark(c.ID, text.Reveal() != old || !there || f.Label != c.Label || f.Secret != c.Secret)
	}
	for _, f := range was.Fields {
		mark(f.ID, strings.HasPrefix(f.ID, ownField) && !kept[f.ID])
	}
	return nil
}

// ownField begins the ids of fields that somebody added.
const ownField = "own-"

// hide makes secrets of plain fields.
func (c *content) hide(ids map[string]bool) {
	for n := range c.Fields {
		if f := &c.Fields[n]; !f.Secret && ids[f.ID] {
			c.secrets[f.ID] = secret.NewText(f.Value)
			f.Secret, f.Value = true, ""
		}
	}
}

func (c *content) put(f Field, v secret.Text) {
	if v.IsZero() && !strings.HasPrefix(f.ID, ownField) {
		return
	}
	if f.Secret {
		c.secrets[f.ID] = v
	} else {
		f.Value = v.Reveal()
	}
	c.Fields = append(c.Fields, f)
}

// normal is a value in the form in which it is kept.
func normal(f Spec, v secret.Text) (secret.Text, error) {
	text := strings.ReplaceAll(v.Reveal(), "\r\n", "\n")
	if !f.Secret || f.ID == seedField {
		text = strings.TrimSpace(text)
	}
	most := maxPlain
	if f.Secret || f.Lines {
		most = maxSecret
	}
	switch {
	case len(text) > most:
		return secret.Text{}, invalid(f.ID, "field_long", fmt.Sprintf("%s: at most %d bytes.", f.Label, most))
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !(f.Lines && (r == '\n' || r == '\t')) }):
		return secret.Text{}, invalid(f.ID, "field_text", f.Label+": only printable text, on one line where the field has one.")
	case f.ID == "url" && text != "":
		list := strings.Fields(text)
		if len(list) > maxURLs {
			return secret.Text{}, invalid(f.ID, "field_long", fmt.Sprintf("At most %d addresses.", maxURLs))
		}
		return secret.NewText(strings.Join(list, "\n")), nil
	case f.ID == seedField && text != "":
		s, err := parseSeed(secret.NewText(text))
		if err != nil {
			return secret.Text{}, err
		}
		return s.uri(), nil
	}
	return secret.NewText(text), nil
}

// check refuses what no item may have.
func (c content) check(k Kind) error {
	for _, f := range []struct{ id, name, text string }{{"title", "title", c.Title}, {"folder", "folder", c.Folder}, {"vendor", "vendor", c.Vendor}} {
		if n := utf8.RuneCountInString(f.text); n > maxTitle || !utf8.ValidString(f.text) || strings.ContainsFunc(f.text, unicode.IsControl) || f.id == "title" && n == 0 {
			return invalid(f.id, "field_text", fmt.Sprintf("The %s has 1 to %d printable characters.", f.name, maxTitle))
		}
		if err := noCard(f.id, f.text); err != nil {
			return err
		}
	}
	for _, f := range c.Fields {
		if utf8.RuneCountInString(f.Label) > maxTitle || strings.ContainsFunc(f.Label, unicode.IsControl) {
			return invalid("custom", "field_text", "A field's name is too long, or is not printable.")
		}
		if f.ID == seedField && k.has(seedField) {
			continue // letters and digits that a machine made
		}
		for _, text := range []string{f.Label, c.value(f.ID)} {
			if strings.Contains(strings.ToLower(text), "otpauth:") { // from another field it would be handed out
				return invalid(f.ID, "seed_elsewhere", "The seed of one-time codes belongs into the field of that name, which never shows it again.")
			}
			if err := noCard(f.ID, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// noCard refuses text that holds the number of a payment card.
func noCard(field, text string) error { // clause: data.no-card
	if _, found := pan.Find(text); found {
		return fault.New(fault.Invalid, "card_number", fault.Public{Problem: "The item holds the number of a payment card.", Expected: "No card data is kept, not even in a note or a file.",
			Next: "Take it out. The card's bank keeps the number.", Fields: []fault.Field{{Name: field, Code: "card_number", Problem: "This holds the number of a payment card."}}})
	}
	return nil
}

// hosts are the names in a login's addresses, each once.
func (c content) hosts() (out []string) {
	for _, line := range strings.Fields(c.value("url")) {
		if h := hostOf(line); h != "" && !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

// hostOf is the host of an address as people write them.
func hostOf(text string) string {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(strings.ToLower(u.Hostname()), "www.")
}

func (h head) bytes() []byte {
	b, err := json.Marshal(h)
	if err != nil {
		panic(err) // texts only
	}
	return b
}

// pad hides the length: a mark and zeros up to one of a few sizes.
func pad(b []byte) []byte { // clause: crypto.at-rest (lengths do not show)
	n := len(b) + 1
	size := (n + 4095) / 4096 * 4096
	for _, step := range []int{16, 64, 256, 1024, 4096} {
		if n <= step {
			size = step
			break
		}
	}
	out := make([]byte, size)
	copy(out, b)
	out[len(b)] = 0x80
	return out
}

// unpad takes off what pad added.
func unpad(b secret.Bytes) (secret.Bytes, error) {
	plain := b.Reveal()
	i := bytes.LastIndexByte(plain, 0x80)
	if i < 0 || len(bytes.Trim(plain[i+1:], "\x00")) > 0 {
		return secret.Bytes{}, fault.Wrap(fault.Internal, "padding", fmt.Errorf("a sealed value of %d bytes has no end", len(plain)))
	}
	defer b.Wipe()
	return secret.NewBytes(plain[:i]), nil
}

func tidy(text string) string { return strings.Join(strings.Fields(text), " ") }
func hexed(b []byte) string   { return hex.EncodeToString(b) }
