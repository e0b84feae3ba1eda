package bring

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
)

const maxDepth = 64

// keepass reads KeePass 2's XML as a stream. Its decoder knows no entities but the five of
// XML, so that nothing in the file can grow.
type keepass struct {
	d      *xml.Decoder
	groups []string
	rows   []Row
	depth  int
}

func readKeePass(file []byte) ([]Row, error) {
	k := keepass{d: xml.NewDecoder(bytes.NewReader(trimMark(file)))}
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
		k.groups = append(k.groups, "")
	case t.Name.Local == "Name" && len(k.groups) > 0:
		var name string
		k.depth--
		if err := k.d.DecodeElement(&name, &t); err != nil {
			return notKeePass()
		}
		k.groups[len(k.groups)-1] = strings.TrimSpace(name)
	case t.Name.Local == "Entry":
		k.depth--
		var e entry
		if err := k.d.DecodeElement(&e, &t); err != nil {
			return notKeePass()
		}
		if len(k.rows) == MaxRows {
			return tooMany()
		}
		k.rows = append(k.rows, e.row(k.groups))
	}
	return nil
}

// entry leaves out the History of an entry: its tag is none of these.
type entry struct {
	Strings []struct {
		Key   string
		Value struct {
			Text string `xml:",chardata"`
		}
	} `xml:"String"`
	Binaries []struct {
		Key string
	} `xml:"Binary"`
}

func (e entry) row(groups []string) Row {
	var folder []string
	for _, g := range groups[min(1, len(groups)):] { // the first is the database itself
		if g != "" {
			folder = append(folder, g)
		}
	}
	r := Row{Item: Item{Folder: strings.Join(folder, " / ")}}
	if len(folder) > 0 && strings.EqualFold(folder[0], "Recycle Bin") {
		r.Problem = "it is in the recycle bin there"
	}
	seed := map[string]string{}
	for _, s := range e.Strings {
		v := s.Value.Text
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
	if n := len(e.Binaries); n > 0 {
		r.Told = append(r.Told, fmt.Sprintf("%d of its files left out: attach them by hand", n))
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
