package bring

import (
	"bytes"
	"compress/gzip"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"

	"writ/internal/kdbx"
	"writ/internal/secret"
)

const (
	maxDepth = 64
	maxBody  = 1 << 20 // of one file
)

// readDatabase opens a database within the limits of a place where others wait.
func readDatabase(file []byte, key kdbx.Key) ([]Row, error) {
	text, err := kdbx.Open(file, key, kdbx.Shared)
	if err != nil {
		return nil, err
	}
	defer text.Wipe()
	return readKeePass(text.Reveal())
}

// keepass reads KeePass 2's XML as a stream. Its decoder knows no entities but the five of
// XML, so that nothing in the file can grow.
type keepass struct {
	d      *xml.Decoder
	bin    string // the id of the recycle bin
	files  map[string]secret.Bytes
	left   int // bytes that files may still unpack to
	groups []group
	rows   []Row
	depth  int
}

type group struct {
	name string
	bin  bool
}

func readKeePass(file []byte) ([]Row, error) {
	k := keepass{d: xml.NewDecoder(bytes.NewReader(trimMark(file))), files: map[string]secret.Bytes{}, left: maxUnpacked}
	k.d.Strict = true
	seen := false
	for {
		t, err := k.d.Token()
		if errors.Is(err, io.EOF) && seen {
			return k.rows, nil
		}
		if err != nil {
			return nil, notKeePass()
		}
		switch t := t.(type) {
		case xml.Directive:
			return nil, bad("The file declares things of its own (DOCTYPE), which an export of KeePass does not.")
		case xml.StartElement:
			if k.depth++; k.depth > maxDepth {
				return nil, bad("The file is nested too deeply.")
			}
			seen = seen || t.Name.Local == "KeePassFile"
			if err := k.begin(t, seen); err != nil {
				return nil, err
			}
		case xml.EndElement:
			k.depth--
			if t.Name.Local == "Group" && len(k.groups) > 0 {
				k.groups = k.groups[:len(k.groups)-1]
			}
		}
	}
}

func notKeePass() error {
	return bad("The file is not the XML of KeePass 2, or is cut off.")
}

func (k *keepass) begin(t xml.StartElement, seen bool) error {
	switch {
	case !seen:
		return notKeePass()
	case t.Name.Local == "Group":
		k.groups = append(k.groups, group{})
	case t.Name.Local == "RecycleBinUUID" || (t.Name.Local == "Name" || t.Name.Local == "UUID") && len(k.groups) > 0:
		var text string
		k.depth--
		if err := k.d.DecodeElement(&text, &t); err != nil {
			return notKeePass()
		}
		text = strings.TrimSpace(text)
		switch t.Name.Local {
		case "RecycleBinUUID":
			k.bin = strings.Trim(text, "A=") // all zeros: there is none
		case "UUID":
			k.groups[len(k.groups)-1].bin = k.bin != "" && strings.Trim(text, "A=") == k.bin
		default:
			k.groups[len(k.groups)-1].name = text
		}
	case t.Name.Local == "Binary":
		var b binary
		k.depth--
		if err := k.d.DecodeElement(&b, &t); err != nil {
			return notKeePass()
		}
		if len(k.files) == maxEntries {
			return bad("The file holds too many files.")
		}
		k.files[b.ID] = b.body(&k.left)
	case t.Name.Local == "Entry":
		k.depth--
		var e entry
		if err := k.d.DecodeElement(&e, &t); err != nil {
			return notKeePass()
		}
		if len(k.rows) == MaxRows {
			return tooMany()
		}
		k.rows = append(k.rows, e.row(k.groups, k.files, &k.left))
	}
	return nil
}

// binary is a file, where it lies for all entries or within one.
type binary struct {
	ID         string `xml:"ID,attr"`
	Ref        string `xml:"Ref,attr"`
	Compressed string `xml:"Compressed,attr"`
	Text       string `xml:",chardata"`
}

// body is what a file holds; nothing, where that is too large or cannot be read. left is what
// all of them may hold together.
func (b binary) body(left *int) secret.Bytes {
	out, err := base64.StdEncoding.DecodeString(strings.TrimSpace(b.Text))
	if err == nil && strings.EqualFold(b.Compressed, "true") {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(out)); err == nil {
			out, err = io.ReadAll(io.LimitReader(z, int64(min(maxBody, *left))+1))
		}
	}
	if err != nil || len(out) > min(maxBody, *left) {
		return secret.Bytes{}
	}
	*left -= len(out)
	return secret.NewBytes(out)
}

// entry leaves out the History of an entry: its tag is none of these.
type entry struct {
	Tags     string
	Strings  fields   `xml:"String"`
	Binaries attached `xml:"Binary"`
}

// fields and attached are read one by one, so that there is never an object for each of too many.
type fields struct {
	all  []field
	much bool
}

type field struct {
	Key   string
	Value struct {
		Text    string `xml:",chardata"`
		NotText string `xml:"NotText,attr"` // of kdbx: XML cannot hold it
	}
}

// UnmarshalXML implements xml.Unmarshaler; it is called for each.
func (f *fields) UnmarshalXML(d *xml.Decoder, t xml.StartElement) error {
	if f.much = len(f.all) == maxInner; f.much {
		return d.Skip()
	}
	f.all = append(f.all, field{})
	return d.DecodeElement(&f.all[len(f.all)-1], &t)
}

type attached struct {
	all  []attachment
	much bool
}

type attachment struct {
	Key   string
	Value binary
}

// UnmarshalXML implements xml.Unmarshaler.
func (a *attached) UnmarshalXML(d *xml.Decoder, t xml.StartElement) error {
	if a.much = len(a.all) == maxInner; a.much {
		return d.Skip()
	}
	a.all = append(a.all, attachment{})
	return d.DecodeElement(&a.all[len(a.all)-1], &t)
}

func (e entry) row(groups []group, files map[string]secret.Bytes, left *int) Row {
	var folder []string
	for _, g := range groups[min(1, len(groups)):] { // the first is the database itself
		if g.name != "" {
			folder = append(folder, g.name)
		}
	}
	r := Row{Item: Item{Folder: strings.Join(folder, " / ")}}
	switch {
	case slices.ContainsFunc(groups, func(g group) bool { return g.bin }) || len(folder) > 0 && strings.EqualFold(folder[0], "Recycle Bin"):
		r.Problem = "it is in the recycle bin there"
	case e.Strings.much || e.Binaries.much:
		r.Problem = tooMuch
	}
	seed, refers := map[string]string{}, false
	for _, s := range e.Strings.all {
		v := s.Value.Text
		if s.Value.NotText != "" && r.Problem == "" {
			r.Problem = "a value is not text"
		}
		refers = refers || strings.Contains(v, "{REF:")
		switch s.Key {
		case "Title":
			r.Title = strings.TrimSpace(v)
		case "UserName":
			r.User = v
		case "URL":
			r.URLs = strings.Fields(v)
		case "Password":
			r.put("password", v)
		case "Notes":
			r.put("notes", v)
		case "otp":
			r.put("totp", strings.TrimPrefix(v, "key="))
		default:
			if k := strings.ToLower(s.Key); strings.HasPrefix(k, "timeotp-") || strings.HasPrefix(k, "hmacotp-") || strings.HasPrefix(k, "totp ") {
				seed[k] = strings.TrimSpace(v) // as a field of its own it could be revealed
			} else {
				r.more(s.Key, v, true)
			}
		}
	}
	r.seed(seed)
	r.more("Tags", strings.Join(strings.FieldsFunc(e.Tags, func(c rune) bool { return c == ';' || c == ',' }), ", "), false)
	if refers {
		r.Told = append(r.Told, "a field of it stands for another entry's: write the value into it by hand")
	}
	for _, b := range e.Binaries.all {
		f := File{Name: b.Key, Body: files[b.Value.Ref]}
		if b.Value.Ref == "" {
			f.Body = b.Value.body(left)
		}
		r.Files = append(r.Files, f)
	}
	return r
}

// seed makes an otpauth address of what KeePass and its plugins keep of one-time codes. What
// has no place here is left out, and the row says so.
func (r *Row) seed(kept map[string]string) { // clause: vault.company-creds
	if len(kept) == 0 {
		return
	}
	base32key := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString
	plain := func(s string) ([]byte, error) { return []byte(s), nil }
	key, alg, digits, period := "", strings.TrimPrefix(kept["timeotp-algorithm"], "HMAC-"), kept["timeotp-length"], kept["timeotp-period"]
	for _, f := range []struct {
		name   string
		decode func(string) ([]byte, error)
	}{{"timeotp-secret-hex", hex.DecodeString}, {"timeotp-secret-base64", base64.StdEncoding.DecodeString}, {"timeotp-secret", plain}} {
		if b, err := f.decode(kept[f.name]); err == nil && len(b) > 0 {
			key = base32key(b)
		}
	}
	if k := kept["timeotp-secret-base32"]; k != "" {
		key = k
	}
	if k := kept["totp seed"]; key == "" && k != "" { // of a plugin: "30;6" are its settings
		key = k
		period, digits, _ = strings.Cut(kept["totp settings"], ";")
		digits, _, _ = strings.Cut(digits, ";")
	}
	for name := range kept {
		if key == "" || strings.HasPrefix(name, "hmacotp-") {
			r.Told = append(r.Told, "what its one-time codes are made of is left out: only codes that change with time come over")
			break
		}
	}
	if key == "" {
		return
	}
	uri := "otpauth://totp/x?secret=" + url.QueryEscape(strings.ReplaceAll(key, " ", ""))
	for _, p := range []struct{ name, value string }{{"algorithm", alg}, {"digits", digits}, {"period", period}} {
		if p.value != "" {
			uri += "&" + p.name + "=" + url.QueryEscape(p.value)
		}
	}
	r.put("totp", uri)
}
