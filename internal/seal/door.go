package seal

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

//go:embed templates/*.html
var pageFS embed.FS

// Assets are the script of the page, for web.Server.AddAssets with the folder "assets".
//
//go:embed assets/*.js
var Assets embed.FS

// Script is its name.
const Script = "seal.js"

// At is the page.
const At = "/-/unseal"

// Door is the page and the wire on which shares are given.
type Door struct {
	gate func() *Gate // nil while nothing is gathered: the vault is open
	set  *web.Pages
}

// NewDoor makes a Door to whatever gate there is at a moment.
func NewDoor(now func() time.Time, gate func() *Gate) (*Door, error) {
	set, err := web.NewPages(pageFS, web.Funcs{Now: now})
	if err != nil {
		return nil, err
	}
	return &Door{gate: gate, set: set}, nil
}

// Routes are the same on a sealed server and, for drills, on an open one.
func (d *Door) Routes() []web.Route {
	const v1 = "/-/api/v1/unseal"
	errs := []string{"vault_open", "set_over", "share_refused", "share_twice", "too_many_shares"}
	return []web.Route{
		{Pattern: "GET /-/unseal", Who: web.Anyone, Handle: d.page},
		{Pattern: "GET " + v1, Who: web.Anyone, Handle: d.getState, Doc: web.Doc{Summary: "How far the opening of the vault, or a drill, has come", Out: stateOut{}}},
		{Pattern: "POST " + v1, Who: web.Anyone, Handle: d.postGive, Doc: web.Doc{Summary: "Give a share, sealed to the key of the gathering", In: giveIn{}, Out: stateOut{}, Errors: append(errs, "proof_missing")}},
		{Pattern: "POST " + v1 + "/box", Who: web.Anyone, Handle: d.postBox, Doc: web.Doc{Summary: "The share that is sealed to a holder's key file", In: boxIn{}, Out: boxOut{}, Errors: []string{"vault_open", "no_holder"}}},
		{Pattern: "POST " + v1 + "/question", Who: web.Anyone, Handle: d.postQuestion, Doc: web.Doc{Summary: "What to ask the passkeys of the holders", In: struct{}{}, Out: questionOut{}, Errors: []string{"vault_open", "no_passkeys"}}},
		{Pattern: "POST " + v1 + "/proof", Who: web.Anyone, Handle: d.postProof, Doc: web.Doc{Summary: "Answer for a passkey; gives the share that only it opens", In: proofIn{}, Out: boxOut{}, Errors: append(errs, "proof_refused")}},
	}
}

type (
	stateOut struct {
		Phase string    `json:"phase"` // sealed, unsealing, open
		Act   string    `json:"act,omitempty"`
		Short string    `json:"operation,omitempty"`
		Set   string    `json:"set,omitempty"`
		Key   []byte    `json:"key,omitempty"` // of this gathering
		Sum   string    `json:"sum,omitempty"` // of the operation
		Given int       `json:"given"`
		Need  int       `json:"need"`
		Of    int       `json:"of"`
		Until time.Time `json:"until,omitzero"`
	}
	giveIn struct {
		Set    string `json:"set"`
		Holder string `json:"holder"`
		Box    []byte `json:"box"`
	}
	boxIn struct {
		Holder string `json:"holder"`
	}
	boxOut struct {
		Holder  string   `json:"holder"`
		Public  []byte   `json:"public"`
		Box     []byte   `json:"box"`
		Wrapped []byte   `json:"wrapped,omitempty"`
		State   stateOut `json:"state"`
	}
	questionOut struct {
		Options json.RawMessage `json:"options"`
	}
	proofIn struct {
		Credential json.RawMessage `json:"credential"`
	}
)

func wire(s State) stateOut {
	return stateOut{s.Phase, s.Act, s.Short(), s.Set, s.Key, s.Sum(), s.Given, s.Need, s.Of, s.Until}
}

func (d *Door) at() (*Gate, error) {
	if g := d.gate(); g != nil {
		return g, nil
	}
	return nil, fault.New(fault.Conflict, "vault_open", fault.Public{Problem: "The vault is open, and no drill is on: no share is wanted.", Next: "An owner begins a drill with: writ vault holders drill"})
}

func (d *Door) getState(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	g := d.gate()
	if g == nil {
		return web.WriteJSON(w, http.StatusOK, stateOut{Phase: Opened})
	}
	s, err := g.State(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wire(s))
}

func (d *Door) postGive(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	in, err := web.ReadJSON[giveIn](r)
	if err != nil {
		return err
	}
	g, err := d.at()
	if err != nil {
		return err
	}
	s, err := g.Give(r.Context(), Offer(in))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wire(s))
}

func (d *Door) postBox(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	in, err := web.ReadJSON[boxIn](r)
	if err != nil {
		return err
	}
	g, err := d.at()
	if err != nil {
		return err
	}
	x, s, err := g.Box(r.Context(), in.Holder)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, boxOut{Holder: x.ID, Public: x.Public, Box: x.Box, State: wire(s)})
}

func (d *Door) postQuestion(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	if _, err := web.ReadJSON[struct{}](r); err != nil {
		return err
	}
	g, err := d.at()
	if err != nil {
		return err
	}
	q, err := g.Question(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, questionOut{q})
}

func (d *Door) postProof(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	in, err := web.ReadJSON[proofIn](r)
	if err != nil {
		return err
	}
	g, err := d.at()
	if err != nil {
		return err
	}
	x, err := g.Prove(r.Context(), in.Credential)
	if err != nil {
		return err
	}
	s, err := g.State(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, boxOut{Holder: x.ID, Public: x.Public, Box: x.Box, Wrapped: x.Passkey.Wrapped, State: wire(s)})
}

// pageData is the page of a gathering.
type pageData struct {
	State
	Drill    bool
	Passkeys bool
	Command  web.Code
}

func (d *Door) page(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	g := d.gate()
	if g == nil {
		return d.set.Render(w, r, http.StatusOK, "open", web.View{Title: "The vault is open", Frame: web.Plain, Lead: "Nothing is asked of you here.", Scripts: []string{Script}})
	}
	return d.show(w, r, g, http.StatusOK)
}

func (d *Door) show(w http.ResponseWriter, r *http.Request, g *Gate, status int) error {
	s, err := g.State(r.Context())
	if err != nil {
		return err
	}
	p := pageData{State: s, Drill: g.Act == Drill, Passkeys: g.hasPasskeys(r.Context()), Command: web.Code{Label: "On the server, or elsewhere with --url", Text: "writ vault unseal --holder FILE"}}
	v := web.View{Title: "The vault is sealed", Frame: web.Plain, Data: p, Scripts: []string{Script}, Lead: fmt.Sprintf("It opens when %d of %d holders give their share. Nothing is lost meanwhile.", s.Need, s.Of)}
	if p.Drill {
		v.Title, v.Lead = "A drill of the vault's holders", "It shows that the shares are at hand and fit. The vault is open and stays so."
	}
	if s.Phase == Opened {
		v.Title, v.Lead = "The vault opens", "Enough shares were given. The server starts; this takes a few seconds."
		if p.Drill {
			v.Title, v.Lead = "The shares fit", "The drill is recorded, and the owners are told."
		}
	}
	return d.set.Render(w, r, status, "unseal", v)
}

func (g *Gate) hasPasskeys(ctx context.Context) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	set, err := g.begin(ctx)
	if err != nil || g.Passkeys == nil {
		return false
	}
	_, of := set.passkeys()
	return len(of) > 0
}

// retryAfter is when a client that met a sealed server should come back, in seconds.
const retryAfter = "30"

// errSealed is what everybody else is told.
var errSealed = &fault.Error{Kind: fault.Sealed, Code: "sealed", RetryAfter: 30 * time.Second, Public: fault.Public{
	Problem: "This site is closed for a moment: its server waits to be opened by those who hold its keys.", Next: "Come back in a few minutes."}}

// Serving is all that a sealed server answers: the page and its wire, livez and readyz, and
// to everybody else that it is sealed, in the form that they read.
func Serving(site *web.Server, door web.Door, d *Door) (http.Handler, error) { // clause: people.no-sole-holder
	say := func(status int, text string) web.Handler {
		return func(w http.ResponseWriter, _ *http.Request, _ actor.Actor) error {
			return web.WriteJSON(w, status, map[string]string{"status": text})
		}
	}
	if err := errors.Join(site.AddAssets(Assets, "assets"), site.Mount(append(d.Routes(),
		web.Route{Pattern: "GET /-/livez", Who: web.Anyone, Handle: say(http.StatusOK, "ok")},
		web.Route{Pattern: "GET /-/readyz", Who: web.Anyone, Handle: say(http.StatusServiceUnavailable, Sealed)})...)); err != nil {
		return nil, err
	}
	served := site.Handler(door)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.Path
		switch {
		case p == At, p == "/-/livez", p == "/-/readyz", p == "/-/api/v1/unseal", strings.HasPrefix(p, "/-/api/v1/unseal/"), strings.HasPrefix(p, "/-/assets/"):
			served.ServeHTTP(w, r)
		case strings.HasPrefix(p, "/-/aws/"):
			sealedAWS(w)
		default:
			w.Header().Set("Retry-After", retryAfter)
			site.Fail(w, r, errSealed)
		}
	}), nil
}

// sealedAWS speaks as the clients of the parameter store and of keys read it: they wait and
// try again.
func sealedAWS(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-1.1")
	h.Set("Retry-After", retryAfter)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`{"__type":"ServiceUnavailable","message":"The server is sealed: its keys are not present. Try again later."}`)) // the client is gone, or reads it
}
