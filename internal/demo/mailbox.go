package demo

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"writ/internal/listen"
)

//go:embed mailbox.html
var mailboxFS embed.FS

var mailboxPages = template.Must(template.New("").Funcs(template.FuncMap{"linked": linked}).ParseFS(mailboxFS, "mailbox.html"))

// maxLetter is the largest letter the mailbox reads.
const maxLetter = 1 << 20

// mailbox shows the .eml files of a folder, newest first.
type mailbox struct {
	dir string
	mux *http.ServeMux
}

func newMailbox(dir string) http.Handler { return newMailboxAt(dir, time.Now) }

func newMailboxAt(dir string, now func() time.Time) http.Handler {
	m := &mailbox{dir: dir, mux: http.NewServeMux()}
	c := &codes{now: now}
	m.mux.HandleFunc("GET /codes", func(w http.ResponseWriter, _ *http.Request) { c.show(m, w, false) })
	m.mux.HandleFunc("POST /codes", func(w http.ResponseWriter, r *http.Request) { c.add(m, w, r) })
	m.mux.HandleFunc("GET /{$}", m.list)
	m.mux.HandleFunc("GET /letter/{name}", m.letter)
	return here(m.mux)
}

// here refuses names that are not this machine's: a site in the same browser that points
// its own name at 127.0.0.1 could read the letters and their links.
func here(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if !listen.Loopback(host) {
			http.Error(w, "Open the mailbox at http://127.0.0.1.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// letter is one message as shown.
type letter struct {
	Name, From, To, Subject string
	At                      time.Time
	Text                    string
}

func (m *mailbox) list(w http.ResponseWriter, _ *http.Request) {
	names, err := filepath.Glob(filepath.Join(m.dir, "*.eml"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	slices.Sort(names)
	slices.Reverse(names)
	var ls []letter
	names = slices.DeleteFunc(names, func(n string) bool { return filepath.Base(n)[0] == '.' }) // being written
	for _, n := range names[:min(len(names), 200)] {
		if l, err := readLetter(m.dir, filepath.Base(n)); err == nil {
			ls = append(ls, l)
		}
	}
	m.show(w, "list", ls)
}

func (m *mailbox) letter(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if name != filepath.Base(name) || !strings.HasSuffix(name, ".eml") {
		http.NotFound(w, r)
		return
	}
	l, err := readLetter(m.dir, name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	m.show(w, "one", l)
}

func (m *mailbox) show(w http.ResponseWriter, name string, data any) {
	var b bytes.Buffer
	if err := mailboxPages.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.Write(b.Bytes())
}

func readLetter(dir, name string) (letter, error) {
	f, err := os.OpenInRoot(dir, name) // nothing outside of the folder, by no name and no link
	if err != nil {
		return letter{}, err
	}
	defer f.Close()
	msg, err := mail.ReadMessage(io.LimitReader(f, maxLetter))
	if err != nil {
		return letter{}, fmt.Errorf("read letter: %w", err)
	}
	var dec mime.WordDecoder
	head := func(k string) string {
		s, err := dec.DecodeHeader(msg.Header.Get(k))
		if err != nil {
			return msg.Header.Get(k)
		}
		return s
	}
	l := letter{Name: name, From: head("From"), To: head("To"), Subject: head("Subject")}
	if at, err := msg.Header.Date(); err == nil {
		l.At = at
	}
	l.Text, err = plainPart(msg.Header.Get("Content-Type"), msg.Header.Get("Content-Transfer-Encoding"), msg.Body)
	return l, err
}

// plainPart finds the text part: what a person reads without a mail program.
func plainPart(contentType, encoding string, body io.Reader) (string, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(kind, "multipart/") {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err != nil {
				return "", err
			}
			if strings.HasPrefix(p.Header.Get("Content-Type"), "text/plain") {
				return plainPart(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p)
			}
		}
	}
	if strings.EqualFold(encoding, "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	b, err := io.ReadAll(body)
	return strings.ReplaceAll(string(b), "\r\n", "\n"), err
}

var webAddress = regexp.MustCompile(`https://[^\s<>"]+`)

// linked is text with its addresses as links.
func linked(text string) template.HTML {
	var b strings.Builder
	last := 0
	for _, at := range webAddress.FindAllStringIndex(text, -1) {
		b.WriteString(template.HTMLEscapeString(text[last:at[0]]))
		u := template.HTMLEscapeString(text[at[0]:at[1]])
		b.WriteString(`<a href="` + u + `">` + u + `</a>`)
		last = at[1]
	}
	b.WriteString(template.HTMLEscapeString(text[last:]))
	return template.HTML(b.String()) //nolint:gosec // every piece is escaped above
}
