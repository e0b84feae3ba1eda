package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"writ/internal/fault"
)

// ReadJSON decodes the body into a T: media type application/json, exactly one value,
// no unknown and no repeated member, names in their exact case. Errors: Media,
// Malformed, TooLarge. A type that has a method Check() error is asked at the end.
func ReadJSON[T any](r *http.Request) (T, error) {
	var v T
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if charset := params["charset"]; err != nil || kind != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return v, fault.New(fault.Media, "not_json", fault.Public{Problem: "The body is not JSON.", Expected: "Content-Type: application/json."})
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return v, fmt.Errorf("read body: %w", err)
	}
	if err := json.Unmarshal(b, &v, json.RejectUnknownMembers(true)); err != nil {
		var zero T
		return zero, malformed(err)
	}
	if c, ok := any(&v).(interface{ Check() error }); ok {
		return v, c.Check()
	}
	return v, nil
}

// malformed says where the document is wrong. The decoder's own text may quote the
// value, which may be a password, so only the place is told.
func malformed(err error) error {
	pub := fault.Public{Problem: "The body is not the JSON that was expected.", Next: "See /-/api/v1/openapi.json."}
	var at string
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		at = string(e.JSONPointer)
		if errors.Is(err, json.ErrUnknownName) {
			pub.Problem = "The body has a member that is not known."
		}
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at = string(e.JSONPointer)
		pub.Problem = fmt.Sprintf("The body is not well-formed JSON at byte %d.", e.ByteOffset)
	}
	if at != "" && len(at) < 200 {
		pub.Fields = []fault.Field{{Name: at, Code: "malformed", Problem: "Not as described."}}
	}
	f := fault.New(fault.Malformed, "malformed_json", pub)
	f.Err = errors.New("decode body at " + at)
	return f
}

// WriteJSON answers with v. It encodes before it sends, so that a value that cannot be
// encoded becomes a 500 and not half a document. A nil v sends no body.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	if v == nil {
		w.WriteHeader(status)
		return nil
	}
	return writeJSON(w, "application/json", status, v)
}

func writeJSON(w http.ResponseWriter, kind string, status int, v any) error {
	var b bytes.Buffer
	if err := json.MarshalWrite(&b, v, json.Deterministic(true)); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	b.WriteByte('\n')
	return buffered(w, kind, status, &b)
}

// ReadForm parses the form fields of the body alone, never those of the address.
// Errors: Media, Malformed, TooLarge.
func ReadForm(r *http.Request) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, fault.New(fault.Media, "not_form", fault.Public{Problem: "The body is not a form.", Expected: "Content-Type: application/x-www-form-urlencoded."})
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read form: %w", err)
	}
	v, err := url.ParseQuery(string(b))
	if err != nil {
		return nil, fault.New(fault.Malformed, "malformed_form", fault.Public{Problem: "The form could not be read."})
	}
	return v, nil
}

// Upload is a file that came with a form.
type Upload struct {
	Name string
	Body []byte
}

// ReadUpload parses a form with files: at most 100 parts, all in memory, within the route's
// limit of bytes. Errors: Media, Malformed, TooLarge.
func ReadUpload(r *http.Request) (url.Values, map[string]Upload, error) {
	m, err := r.MultipartReader()
	if err != nil {
		return nil, nil, fault.New(fault.Media, "not_upload", fault.Public{Problem: "The body is not a form with files.", Expected: "Content-Type: multipart/form-data."})
	}
	values, files := url.Values{}, map[string]Upload{}
	for range 100 {
		p, err := m.NextRawPart()
		if errors.Is(err, io.EOF) {
			return values, files, nil
		}
		var b []byte
		if err == nil {
			b, err = io.ReadAll(p)
		}
		if big := (*http.MaxBytesError)(nil); errors.As(err, &big) {
			return nil, nil, fmt.Errorf("read form: %w", err)
		}
		if err != nil {
			break
		}
		if name := p.FileName(); name != "" {
			files[p.FormName()] = Upload{name, b}
		} else {
			values.Add(p.FormName(), string(b))
		}
	}
	return nil, nil, fault.New(fault.Malformed, "malformed_form", fault.Public{Problem: "The form could not be read."})
}

// Redirect answers 303 to a path of this site; anything else is an error, because a
// redirect that leaves the site carries the reader's trust with it.
func Redirect(w http.ResponseWriter, _ *http.Request, to string) error {
	if !local(to) {
		return fmt.Errorf("redirect: not a path of this site")
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// ReturnPath is s if it is a path of this site, else "/". Give it every address that
// came with a request.
func ReturnPath(s string) string {
	if !local(s) {
		return "/"
	}
	return s
}

// local reports whether s is an absolute path that every browser keeps on this site:
// printable ASCII, no backslash, no empty segment that could be read as a host.
func local(s string) bool {
	if len(s) == 0 || len(s) > 2048 || s[0] != '/' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return false
		}
	}
	u, err := url.Parse(s)
	if err != nil || strings.Contains(u.Path, "//") || strings.Contains(u.EscapedPath(), "//") || strings.ContainsRune(u.Path, '\\') {
		return false
	}
	return u.Scheme == "" && u.Host == "" && u.User == nil && u.Opaque == ""
}
