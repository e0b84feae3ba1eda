package transfer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/vault"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// Row is one value of a file.
type Row struct {
	Key     string // as the file has it, or its line
	Name    string // of the parameter
	Value   secret.Text
	Type    vault.Type // "" = as is asked for
	Problem string     // why it cannot be taken
}

// The bounds of a file.
const (
	maxFile = 2 << 20
	maxRows = 10_000
	maxDeep = 15
)

// Forms are the forms that Read knows.
var Forms = []string{"dotenv", "json", "yaml", "chamber", "aws"}

// Read finds the values in a file. A row that cannot be taken says why; a file that cannot
// be read at all is refused.
func Read(form, path string, text secret.Text) ([]Row, error) {
	bad := func(problem string) error {
		return fault.New(fault.Invalid, "import_file", fault.Public{Problem: "The file is no " + form + ": " + problem + ".", Expected: "One of the forms " + strings.Join(Forms, ", ") + "."})
	}
	if text.Len() > maxFile {
		return nil, bad("it is larger than 2 MiB")
	}
	r := reader{path: strings.TrimSuffix(path, "/")}
	var err error
	switch form {
	case "dotenv":
		err = r.dotenv(text.Reveal())
	case "json", "chamber":
		err = r.json(text.Reveal())
	case "yaml":
		err = r.yaml(text.Reveal())
	case "aws":
		err = r.aws(text.Reveal())
	default:
		return nil, fault.Newf(fault.Invalid, "import_form", "The form is not one of %s.", strings.Join(Forms, ", "))
	}
	if err == nil && len(r.rows) == 0 {
		err = errors.New("there is no value in it")
	}
	if err != nil {
		return nil, bad(err.Error())
	}
	return r.rows, nil
}

type reader struct {
	path string
	rows []Row
	seen int // values and levels of a tree
}

var errMany = errors.New("it has more than 10,000 values")

func (r *reader) add(row Row) error {
	if len(r.rows) >= maxRows {
		return errMany
	}
	r.rows = append(r.rows, row)
	return nil
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// dotenv reads KEY=value, with quotes, comments and values of several lines. The name is
// the one that gives the variable back to a program: DB_URL is /shop/db-url.
func (r *reader) dotenv(text string) error {
	for n := 1; text != ""; {
		line, rest, _ := strings.Cut(text, "\n")
		lines := 1
		trimmed := strings.TrimSpace(strings.TrimSuffix(line, "\r"))
		if trimmed != "" && trimmed[0] != '#' {
			key, value, ok := strings.Cut(strings.TrimPrefix(trimmed, "export "), "=")
			row := Row{Key: "line " + strconv.Itoa(n)}
			if key = strings.TrimSpace(key); !ok || !variable.MatchString(key) {
				row.Problem = "It is not KEY=value."
			} else {
				row.Key, row.Name = key, r.path+"/"+strings.ToLower(strings.ReplaceAll(key, "_", "-"))
				value = strings.TrimLeft(value, " \t")
				if value != "" && (value[0] == '"' || value[0] == '\'') {
					at := strings.Index(text, "=") + 1 // the value begins in the text, and may go on over lines
					at += strings.IndexByte(text[at:], value[0])
					got, used, ok := quoted(text[at:])
					if !ok {
						row.Problem, value = "The quote does not end.", ""
					} else {
						value = got
						lines = 1 + strings.Count(text[:at+used], "\n")
						_, rest, _ = strings.Cut(text[at+used:], "\n")
					}
				} else if i := strings.Index(value, " #"); i >= 0 {
					value = strings.TrimSpace(value[:i])
				}
				row.Value = secret.NewText(value)
			}
			if err := r.add(row); err != nil {
				return err
			}
		}
		text, n = rest, n+lines
	}
	return nil
}

// quoted reads a text that begins with a quote, and says how long it is with both.
func quoted(s string) (value string, used int, ok bool) {
	q := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == q:
			return b.String(), i + 1, true
		case c == '\\' && q == '"' && i+1 < len(s):
			i++
			if e, known := map[byte]byte{'n': '\n', 't': '\t', 'r': '\r'}[s[i]]; known {
				b.WriteByte(e)
			} else {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, false
}

func (r *reader) json(text string) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return errors.New("it is no JSON") // an error may quote a value
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows its end")
	}
	return r.tree("", v, 0)
}

func (r *reader) yaml(text string) error {
	for _, t := range lexer.Tokenize(text) { // a few of them would name more values than there is room for
		if t.Type == token.AnchorType || t.Type == token.AliasType {
			return errors.New("it has anchors or aliases; write each value out")
		}
	}
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		return errors.New("it is no YAML") // as in json
	}
	return r.tree("", v, 0)
}

// tree walks an object: each level is a level of the name.
func (r *reader) tree(key string, v any, deep int) error {
	if r.seen++; r.seen > maxRows*maxDeep {
		return errMany
	}
	if deep > maxDeep {
		return errors.New("it has more than 15 levels")
	}
	row := Row{Key: strings.TrimPrefix(key, "/"), Name: r.path + key}
	switch v := v.(type) {
	case map[string]any:
		if len(v) > maxRows {
			return errMany
		}
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			if err := r.tree(key+"/"+k, v[k], deep+1); err != nil {
				return err
			}
		}
		return nil
	case string:
		row.Value = secret.NewText(v)
	case json.Number:
		row.Value = secret.NewText(v.String())
	case bool, uint64, int64, int, float64, *big.Int:
		row.Value = secret.NewText(fmt.Sprint(v))
	case nil:
		row.Problem = "It has no value."
	default:
		row.Problem = "A list is no value. Write it as one text."
	}
	if key == "" {
		return errors.New("it is no object")
	}
	return r.add(row)
}

// aws reads what `aws ssm get-parameters-by-path` prints.
func (r *reader) aws(text string) error {
	var in struct {
		Parameters []struct{ Name, Type, Value string }
	}
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return errors.New("it is no JSON of parameters")
	}
	for _, p := range in.Parameters {
		row := Row{Key: p.Name, Name: p.Name, Value: secret.NewText(p.Value), Type: vault.Type(p.Type)}
		if r.path != "" && !strings.HasPrefix(p.Name, r.path+"/") {
			row.Problem = "It does not lie under " + r.path + "."
		}
		if err := r.add(row); err != nil {
			return err
		}
	}
	return nil
}
