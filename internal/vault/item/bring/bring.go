package bring

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"writ/internal/fault"
	"writ/internal/kdbx"
	"writ/internal/secret"
)

// The limits of a file.
const (
	MaxFile = 10 << 20 // bytes
	MaxRows = 2000
)

// Row is one thing of another keeper.
type Row struct {
	N       int    // its place, from 1
	Problem string // why it cannot come over; "" = it can
	Told    []string
	Item
}

// Item is what a row holds.
type Item struct {
	Kind, Title, Folder string
	URLs                []string
	User                string
	Secrets             map[string]secret.Text // by field: password, totp, notes, key, private, text
	More                []More
	Files               []File
}

// File is one that is attached. Of one that is too large the body is empty.
type File struct {
	Name string
	Body secret.Bytes
}

// More is a field of the other keeper that has no place of its own here.
type More struct {
	Label  string
	Secret bool
	Value  secret.Text
}

// Sources are what can be read.
var Sources = []struct{ ID, Name string }{
	{"1password-1pux", "1Password (1PUX)"}, {"1password-csv", "1Password (CSV)"}, {"bitwarden-json", "Bitwarden (JSON)"}, {"bitwarden-csv", "Bitwarden (CSV)"}, {"keepass-kdbx", "KeePass (KDBX)"}, {"keepass-xml", "KeePass (XML)"}, {"browser-csv", "A browser (CSV)"},
}

// Read reads an export. An empty source is seen from the file's beginning; the key is of a database.
func Read(source string, file []byte, key kdbx.Key) (string, []Row, error) {
	if len(file) == 0 || len(file) > MaxFile {
		return "", nil, bad("The file is empty, or larger than 10 MiB.")
	}
	if source == "" {
		source = guess(file)
	}
	readers := map[string]func([]byte) ([]Row, error){"1password-1pux": readPUX, "1password-csv": readTable, "bitwarden-json": readBitwarden, "bitwarden-csv": readTable, "keepass-kdbx": func(file []byte) ([]Row, error) { return readDatabase(file, key) }, "keepass-xml": readKeePass, "browser-csv": readTable}
	read, ok := readers[source]
	if !ok {
		return "", nil, bad("The kind of file is not known: it is none of 1Password, Bitwarden, KeePass and browsers.")
	}
	rows, err := read(file)
	if err != nil {
		return "", nil, err
	}
	if len(rows) == 0 {
		return "", nil, bad("The file holds nothing that could come over.")
	}
	for i := range rows {
		rows[i].N = i + 1
		rows[i].settle()
	}
	return source, rows, nil
}

// guess sees what a file is from its beginning.
func guess(file []byte) string {
	head := strings.ToLower(string(bytes.TrimLeft(trimMark(file)[:min(len(trimMark(file)), 512)], " \t\r\n")))
	switch {
	case strings.HasPrefix(head, "pk\x03\x04"):
		return "1password-1pux"
	case kdbx.Is(file):
		return "keepass-kdbx"
	case strings.HasPrefix(head, "{"):
		return "bitwarden-json"
	case strings.HasPrefix(head, "<"):
		return "keepass-xml"
	case strings.Contains(head, "login_uri") || strings.Contains(head, "login_password"):
		return "bitwarden-csv"
	case strings.Contains(head, "otpauth") || strings.Contains(head, "favorite,archived"):
		return "1password-csv"
	}
	return "browser-csv"
}

func trimMark(file []byte) []byte { return bytes.TrimPrefix(file, []byte("\xef\xbb\xbf")) }

// settle says what is wrong with a row, or makes it whole.
func (r *Row) settle() {
	if r.Title == "" && len(r.URLs) > 0 {
		r.Title = strings.TrimPrefix(strings.TrimPrefix(r.URLs[0], "https://"), "http://")
		r.Title, _, _ = strings.Cut(r.Title, "/")
	}
	if r.Title == "" {
		r.Title = r.User
	}
	if r.Kind == "" {
		r.Kind = "login"
	}
	for _, t := range r.Secrets {
		if !utf8.ValidString(t.Reveal()) && r.Problem == "" {
			r.Problem = "a value is not text"
		}
	}
	if r.Title == "" && r.Problem == "" {
		r.Problem = "it has no title, no address and no user"
	}
}

// put keeps a secret that is not empty.
func (i *Item) put(field, value string) {
	if value == "" {
		return
	}
	if i.Secrets == nil {
		i.Secrets = map[string]secret.Text{}
	}
	i.Secrets[field] = secret.NewText(value)
}

func (i *Item) more(label, value string, hidden bool) {
	if value != "" {
		i.More = append(i.More, More{label, hidden, secret.NewText(value)})
	}
}

func bad(problem string) error {
	return fault.New(fault.Invalid, "import_file", fault.Public{Problem: problem, Expected: "An export of 1Password (1PUX, CSV), Bitwarden (JSON, CSV, not encrypted), KeePass 2 (KDBX, XML) or a browser (CSV).",
		Fields: []fault.Field{{Name: "file", Code: "import_file", Problem: problem}}})
}

func tooMany() error { return bad("The file holds more than 2,000 things. Export it in parts.") }
