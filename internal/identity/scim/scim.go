package scim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/web"
)

// Base is where the endpoints are.
const Base = identity.ProvisionBase

// The limits of a request.
const (
	maxBody       = 64 << 10
	maxPage       = 200
	maxFilter     = 1 << 10
	maxOperations = 100
)

// Connections says whose directory asks, and records what it is refused.
type Connections interface {
	Provisioner(ctx context.Context, who actor.Actor) (identity.Connection, error)
	RefuseProvision(ctx context.Context, who actor.Actor, connection, act string, reason error) error
}

// Seen is what a directory may read.
type Seen interface {
	ProvisionedPeople(ctx context.Context, who actor.Actor, q identity.ProvisionQuery) ([]identity.Provisioned, int64, error)
	ProvisionedPerson(ctx context.Context, who actor.Actor, id string) (identity.Provisioned, error)
}

// People is what a directory may do with people.
type People interface {
	Provision(ctx context.Context, who actor.Actor, f identity.ProvisionForm, begun time.Time) (identity.Provisioned, error)
	ChangeProvisioned(ctx context.Context, who actor.Actor, id, version string, f identity.ProvisionForm, begun time.Time) (identity.Provisioned, error)
	Deprovision(ctx context.Context, who actor.Actor, id, version string, begun time.Time) error
}

// SeenGroups is what a directory may read of groups.
type SeenGroups interface {
	ProvisionedGroups(ctx context.Context, who actor.Actor, q identity.ProvisionQuery) ([]identity.ProvisionedGroup, int64, error)
	ProvisionedGroup(ctx context.Context, who actor.Actor, id string) (identity.ProvisionedGroup, error)
}

// Groups is what a directory may do with groups.
type Groups interface {
	ProvisionGroup(ctx context.Context, who actor.Actor, f identity.GroupForm) (identity.ProvisionedGroup, error)
	ChangeProvisionedGroup(ctx context.Context, who actor.Actor, id, version string, f identity.GroupForm) (identity.ProvisionedGroup, error)
	EndProvisionedGroup(ctx context.Context, who actor.Actor, id, version string) error
}

// Directory is what this package needs of identity.Service.
type Directory interface {
	Connections
	Seen
	People
	SeenGroups
	Groups
}

// Deps are what a Door is made of; all are needed.
type Deps struct {
	Directory Directory
	Origin    string // https://app.example.com
	Now       func() time.Time
}

// Door is the endpoints.
type Door struct{ Deps }

// New makes a Door.
func New(d Deps) (*Door, error) {
	if d.Directory == nil || d.Now == nil || !strings.HasPrefix(d.Origin, "https://") {
		return nil, errors.New("scim: a dependency is missing")
	}
	return &Door{d}, nil
}

// Routes are the endpoints, for tokens alone.
func (d *Door) Routes() []web.Route {
	var out []web.Route
	on := func(pattern string, h handler) {
		method, path, _ := strings.Cut(pattern, " ")
		out = append(out, web.Route{Pattern: method + " " + Base + path, Who: web.SignedIn, Tokens: true, Limit: maxBody,
			Handle: d.handle(method+" "+strings.TrimPrefix(path, "/"), h), Refusal: refusal})
	}
	on("GET /ServiceProviderConfig", d.config)
	on("GET /ResourceTypes", d.types)
	on("GET /ResourceTypes/{id}", d.oneType)
	on("GET /Schemas", d.schemas)
	on("GET /Schemas/{id}", d.oneSchema)
	on("GET /Users", d.listUsers)
	on("POST /Users", d.makeUser)
	on("GET /Users/{id}", d.getUser)
	on("PUT /Users/{id}", d.putUser)
	on("PATCH /Users/{id}", d.patchUser)
	on("DELETE /Users/{id}", d.deleteUser)
	on("GET /Groups", d.listGroups)
	on("POST /Groups", d.makeGroup)
	on("GET /Groups/{id}", d.getGroup)
	on("PUT /Groups/{id}", d.putGroup)
	on("PATCH /Groups/{id}", d.patchGroup)
	on("DELETE /Groups/{id}", d.deleteGroup)
	return out
}

// call is one request of a connection.
type call struct {
	*http.Request
	who   actor.Actor
	begun time.Time
}

// answer is what it is answered with.
type answer struct {
	status  int
	body    map[string]any // nil: none
	version string         // of the resource, for the ETag
	at      string         // of the resource
}

type handler func(c call) (answer, error)

// handle finds the connection, asks the handler, records refusals, answers.
func (d *Door) handle(act string, h handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
		c := call{r, who, d.Now()}
		conn, err := d.Directory.Provisioner(r.Context(), who)
		if err != nil {
			return err
		}
		a, err := h(c)
		if err != nil {
			return d.refused(c, conn.ID, act, err)
		}
		if a.version != "" {
			w.Header().Set("ETag", etag(a.version))
		}
		if a.at != "" && a.status == http.StatusCreated {
			w.Header().Set("Location", a.at)
		}
		return write(w, a.status, a.body)
	}
}

// refused records what the client did wrong. What broke inside is no refusal.
func (d *Door) refused(c call, connection, act string, err error) error {
	switch fault.KindOf(err) {
	case fault.Internal, fault.Unavailable, fault.Sealed:
		return err
	}
	return d.Directory.RefuseProvision(c.Context(), c.who, connection, act, err)
}

const media = "application/scim+json"

func write(w http.ResponseWriter, status int, body map[string]any) error {
	if body == nil {
		w.WriteHeader(status)
		return nil
	}
	var b bytes.Buffer
	if err := json.MarshalWrite(&b, body, json.Deterministic(true)); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	_, err := w.Write(b.Bytes())
	return err
}

// etag is the weak tag of a version (RFC 7644 §3.14).
func etag(version string) string { return `W/"` + version + `"` }

// tagged reports whether a header of tags names the version.
func tagged(header, version string) bool {
	for t := range strings.SplitSeq(header, ",") {
		t = strings.TrimSpace(t)
		if t == "*" || strings.TrimPrefix(t, "W/") == `"`+version+`"` {
			return true
		}
	}
	return false
}

// matches refuses a change of a version that the client did not mean.
func (c call) matches(version string) error {
	if h := c.Header.Get("If-Match"); h != "" && !tagged(h, version) {
		return errChanged
	}
	return nil
}

// again runs a change that reads first, and again where somebody else was faster; a
// client that named the version it means is told instead.
func (c call) again(act func() (answer, error)) (a answer, err error) {
	for range 5 {
		a, err = act()
		if code, _ := fault.PublicOf(err); err == nil || code != "scim_moved" {
			return a, err
		}
		if c.Header.Get("If-Match") != "" {
			return a, errChanged
		}
	}
	return a, err
}

// unchanged answers a read of what the client has (RFC 7644 §3.14).
func (c call) unchanged(a answer) answer {
	if h := c.Header.Get("If-None-Match"); h != "" && tagged(h, a.version) {
		return answer{status: http.StatusNotModified, version: a.version}
	}
	return a
}
