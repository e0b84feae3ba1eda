// Package sample is the application that the demo puts behind Writ: a small
// address book that a software company could sell. It has public pages and static
// files, pages and a JSON API for signed-in customers, a billing page, a stream of
// server-sent events and an OpenAPI document. It knows nothing of passwords: who
// asks, and for which team, it reads from the signed assertion that Writ adds to
// each request, checked against the keys at /-/jwks as any application would do it.
// Its data lies in an SQLite database (store.go), copied every few minutes (backup.go).
//
// For: the newcomer, who sees Writ at work on something real.
package sample

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/mail"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed pages/*.html static openapi.json
var files embed.FS

// Files are what the application is deployed with.
func Files() fs.FS { return files }

// Contact is one person in a team's address book.
type Contact struct {
	ID      int    `json:"id"`
	Name    string `json:"name"`
	Company string `json:"company"`
	Email   string `json:"email"`
}

// Options are what the sample needs.
type Options struct {
	File     string // the database
	Verifier *Verifier
	Now      func() time.Time
}

// App is the sample application.
type App struct {
	o     Options
	mux   *http.ServeMux
	pages *template.Template
	store *Store

	mu    sync.Mutex
	watch map[chan Contact]string
}

// New opens the database and makes the handler. Close the result.
func New(ctx context.Context, o Options) (*App, error) {
	pages, err := template.ParseFS(files, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("sample pages: %w", err)
	}
	a := &App{o: o, mux: http.NewServeMux(), pages: pages, watch: map[chan Contact]string{}}
	if a.store, err = OpenStore(ctx, o.File, o.Now); err != nil {
		return nil, err
	}
	if err := a.store.fromJSON(ctx, jsonOf(o.File)); err != nil {
		return nil, errors.Join(err, a.store.Close())
	}
	static, err := fs.Sub(files, "static")
	if err != nil {
		return nil, err
	}
	plain := http.StripPrefix("/static/", http.FileServerFS(static))
	a.mux.HandleFunc("GET /static/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60, stale-while-revalidate=600, stale-if-error=86400")
		plain.ServeHTTP(w, r)
	})
	a.mux.HandleFunc("GET /{$}", a.page("home.html"))
	a.mux.HandleFunc("GET /pricing", a.page("pricing.html"))
	a.mux.HandleFunc("POST /pricing", a.ask)
	a.mux.HandleFunc("GET /contacts", a.contacts)
	a.mux.HandleFunc("POST /contacts", a.addForm)
	a.mux.HandleFunc("GET /billing", a.page("billing.html"))
	a.mux.HandleFunc("GET /api/contacts", a.list)
	a.mux.HandleFunc("POST /api/contacts", a.add)
	a.mux.HandleFunc("DELETE /api/contacts/{id}", a.remove)
	a.mux.HandleFunc("POST /internal/whose", a.whose)
	a.mux.HandleFunc("GET /api/events", a.events)
	a.mux.HandleFunc("GET /api/whoami", a.whoami)
	a.mux.HandleFunc("GET /api/openapi.json", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "openapi.json")
	})
	return a, nil
}

// ServeHTTP answers.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// view is what every page gets.
type view struct {
	Who      Claims
	SignedIn bool
	Contacts []Contact
	Problem  string
	Thanks   bool
	Form     Contact
}

func (a *App) render(w http.ResponseWriter, status int, name string, v view) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "private, no-store")
	w.WriteHeader(status)
	if err := a.pages.ExecuteTemplate(w, name, v); err != nil {
		fmt.Fprintln(os.Stderr, "sample:", err)
	}
}

func (a *App) page(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, ok := a.who(r)
		a.render(w, http.StatusOK, name, view{Who: who, SignedIn: ok})
	}
}

// ask takes a question of anybody's. It trusts the gate that a person in a browser asks.
func (a *App) ask(w http.ResponseWriter, r *http.Request) {
	who, ok := a.who(r)
	v := view{Who: who, SignedIn: ok, Thanks: true}
	status := http.StatusOK
	if q := strings.TrimSpace(r.FormValue("question")); q == "" || len(q) > 1000 {
		status, v.Thanks, v.Problem = http.StatusUnprocessableEntity, false, "A question has 1 to 1,000 characters."
	}
	a.render(w, status, "pricing.html", v)
}

// who reads the assertion. Without a valid one nobody is signed in.
func (a *App) who(r *http.Request) (Claims, bool) {
	c, err := a.o.Verifier.Check(r.Context(), r.Header.Get("Writ-Assertion"), a.o.Now())
	return c, err == nil && c.For(r)
}

// team answers 401 by itself when nobody is signed in.
func (a *App) team(w http.ResponseWriter, r *http.Request) (Claims, bool) {
	c, ok := a.who(r)
	if !ok {
		http.Error(w, `{"error":"sign in first"}`, http.StatusUnauthorized)
	}
	return c, ok
}

func (a *App) contacts(w http.ResponseWriter, r *http.Request) {
	if c, ok := a.team(w, r); ok {
		cs := a.of(r.Context(), c.Team)
		w.Header().Set("Writ-Record", named(cs))
		a.render(w, http.StatusOK, "contacts.html", view{Who: c, SignedIn: true, Contacts: cs})
	}
}

func (a *App) addForm(w http.ResponseWriter, r *http.Request) {
	c, ok := a.team(w, r)
	if !ok {
		return
	}
	in := Contact{Name: r.FormValue("name"), Company: r.FormValue("company"), Email: r.FormValue("email")}
	if _, problem := a.keep(r, c, in); problem != "" {
		a.render(w, http.StatusUnprocessableEntity, "contacts.html",
			view{Who: c, SignedIn: true, Contacts: a.of(r.Context(), c.Team), Problem: problem, Form: in})
		return
	}
	http.Redirect(w, r, "/contacts", http.StatusSeeOther)
}

func (a *App) list(w http.ResponseWriter, r *http.Request) {
	if c, ok := a.team(w, r); ok {
		cs := a.of(r.Context(), c.Team)
		w.Header().Set("Writ-Record", named(cs))
		reply(w, http.StatusOK, map[string]any{"contacts": cs})
	}
}

func (a *App) add(w http.ResponseWriter, r *http.Request) {
	c, ok := a.team(w, r)
	if !ok {
		return
	}
	var in Contact
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<10)).Decode(&in); err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"error": "send a JSON object with name, company and email"})
		return
	}
	made, problem := a.keep(r, c, in)
	if problem != "" {
		reply(w, http.StatusUnprocessableEntity, map[string]string{"error": problem})
		return
	}
	w.Header().Set("Location", "/api/contacts/"+strconv.Itoa(made.ID))
	reply(w, http.StatusCreated, made)
}

func (a *App) whoami(w http.ResponseWriter, r *http.Request) {
	if c, ok := a.team(w, r); ok {
		reply(w, http.StatusOK, c)
	}
}

// events streams each contact that the team adds.
func (a *App) events(w http.ResponseWriter, r *http.Request) {
	c, ok := a.team(w, r)
	if !ok {
		return
	}
	ch := make(chan Contact, 16)
	a.mu.Lock()
	a.watch[ch] = c.Team
	a.mu.Unlock()
	defer func() { a.mu.Lock(); delete(a.watch, ch); a.mu.Unlock() }()
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	fmt.Fprint(w, ": hello\n\n")
	if rc.Flush() != nil {
		return
	}
	for {
		select {
		case x := <-ch:
			b, err := json.Marshal(x)
			if err != nil {
				return
			}
			fmt.Fprintf(w, "event: contact\ndata: %s\n\n", b)
			if rc.Flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// of are the contacts of a team; what cannot be read is an empty page, and a line in the log.
func (a *App) of(ctx context.Context, team string) []Contact {
	cs, err := a.store.Contacts(ctx, team)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sample:", err)
	}
	return cs
}

// keep checks and keeps a contact; the second result says what was wrong.
func (a *App) keep(r *http.Request, by Claims, in Contact) (Contact, string) {
	in.Name, in.Email = strings.TrimSpace(in.Name), strings.TrimSpace(in.Email)
	if in.Name == "" || len(in.Name) > 100 || len(in.Company) > 100 {
		return in, "A contact needs a name of at most 100 characters."
	}
	if _, err := mail.ParseAddress(in.Email); err != nil {
		return in, "The e-mail address is not complete."
	}
	made, err := a.store.Add(r.Context(), By{Team: by.Team, Person: by.Subject, Route: r.Pattern}, in)
	if err != nil {
		return in, "The contact could not be kept. Try again."
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for ch, t := range a.watch {
		if t == by.Team {
			select {
			case ch <- made:
			default: // a slow reader misses one
			}
		}
	}
	return made, ""
}

func (a *App) remove(w http.ResponseWriter, r *http.Request) {
	c, ok := a.team(w, r)
	if !ok {
		return
	}
	id, err := strconv.Atoi(r.PathValue("id"))
	if err == nil {
		err = a.store.Remove(r.Context(), By{Team: c.Team, Person: c.Subject, Route: r.Pattern}, id)
	}
	if err != nil {
		reply(w, http.StatusNotFound, map[string]string{"error": "there is no such contact, or it could not be erased"})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// Seed gives a team its first contacts, once.
func (a *App) Seed(ctx context.Context, team string, cs []Contact) error {
	if has, err := a.store.Contacts(ctx, team); err != nil || len(has) > 0 {
		return err
	}
	for _, c := range cs {
		if _, err := a.store.Add(ctx, By{Team: team, Route: "seed"}, c); err != nil {
			return err
		}
	}
	return nil
}

// Store is its database.
func (a *App) Store() *Store { return a.store }

// Close closes its database.
func (a *App) Close() error { return a.store.Close() }

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "private, no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		fmt.Fprintln(os.Stderr, "sample:", err)
	}
}
