package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/sigv4"
	"writ/internal/web"
)

// Base is where the clients' endpoint address points.
const Base = "/-/aws/"

// Media is the form of calls and answers.
const Media = "application/x-amz-json-1.1"

const (
	form    = "application/x-www-form-urlencoded"
	maxBody = 1 << 20
)

// Keys finds who stands behind an access key (vault.Service).
type Keys interface {
	Caller(ctx context.Context, id string, session secret.Text) (actor.Actor, secret.Text, error)
	Used(ctx context.Context, id string) error
	RefuseCall(ctx context.Context, who actor.Actor, key, code string, reason error) error
}

// Service is what is found at the address, beside others.
type Service struct {
	Name       string // what signatures are for: ssm
	Prefix     string // of X-Amz-Target, with its dot
	Operations map[string]Operation

	// Code is the clients' name of a refusal of ours, by its code and kind; "" = as for all.
	Code func(code string, kind fault.Kind) string
}

// Operation answers one call with a value that is written as JSON; nil is {}.
type Operation func(*Call) (any, error)

// Call is one request whose signature was found good.
type Call struct {
	Who     actor.Actor
	Account string // 12 digits that stand for the team
	Region  string
	Once    string // names the call where the client may repeat it; "" = it does not
	Body    []byte
	ctx     context.Context
	entry   string
}

// Context ends with the request.
func (c *Call) Context() context.Context { return c.ctx }

// Note takes the id of the entry that a call made: it is the id of the answer.
func (c *Call) Note(entry string) { c.entry = entry }

// Deps are what a Door is made of.
type Deps struct {
	Keys     Keys
	Now      func() time.Time
	Services []Service
}

// Door is the endpoint.
type Door struct {
	Deps
	byName   map[string]Service
	verifier sigv4.Verifier
}

// New makes a Door.
func New(d Deps) (*Door, error) {
	if d.Keys == nil || d.Now == nil || len(d.Services) == 0 {
		return nil, errors.New("aws: a dependency is missing")
	}
	door := &Door{Deps: d, byName: map[string]Service{sts: {Name: sts}}}
	for _, s := range d.Services {
		if _, twice := door.byName[s.Name]; twice || s.Name == "" || s.Prefix == "" {
			return nil, fmt.Errorf("aws: the service %q is there twice or has no prefix", s.Name)
		}
		door.byName[s.Name] = s
	}
	return door, nil
}

// Routes is the endpoint. It judges the Authorization header by itself.
func (d *Door) Routes() []web.Route {
	return []web.Route{{Pattern: "POST " + Base + "{$}", Who: web.Anyone, Bearer: true, Limit: maxBody, Handle: d.serve, Refusal: refusal, Foreign: true}}
}

func (d *Door) serve(w http.ResponseWriter, r *http.Request, stranger actor.Actor) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read call: %w", err)
	}
	s, op := d.asked(r)
	c, err := d.admit(r, stranger, body, s.Name)
	if s.Name == sts {
		return c.identify(w, err)
	}
	if err != nil {
		return answer(w, "", s, err)
	}
	run := s.Operations[op]
	if run == nil {
		return answer(w, "", s, &Error{"UnknownOperationException", "The operation is not known here."})
	}
	out, err := run(c)
	if err != nil {
		return answer(w, c.entry, s, err)
	}
	return write(w, http.StatusOK, c.entry, out)
}

// asked is the service and the operation that a request is for. What names none counts to
// the service it was signed for.
func (d *Door) asked(r *http.Request) (s Service, op string) {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind == form {
		return d.byName[sts], ""
	}
	target := r.Header.Get("X-Amz-Target")
	for _, s := range d.Services {
		if op, ok := strings.CutPrefix(target, s.Prefix); ok {
			return s, op
		}
	}
	signed, err := sigv4.Parse(r.Header.Get("Authorization"))
	if s, ok := d.byName[signed.Service]; err == nil && ok && s.Name != sts {
		return s, ""
	}
	return d.Services[0], ""
}

// admit proves who calls. A call that is not let in is recorded.
func (d *Door) admit(r *http.Request, stranger actor.Actor, body []byte, service string) (*Call, error) { // clause: vault.access-logged
	signed, err := sigv4.Parse(r.Header.Get("Authorization"))
	if err != nil {
		return nil, d.refuse(r.Context(), stranger, "", err)
	}
	who, key, err := d.Keys.Caller(r.Context(), signed.KeyID, secret.NewText(r.Header.Get("X-Amz-Security-Token")))
	unknown := errors.Is(err, fault.Unauthenticated)
	if err != nil && !unknown {
		return nil, err
	}
	if unknown { // the same work as for a key that is there
		key = secret.RandomText(30)
	}
	sum := sha256.Sum256(body)
	wrong := d.verifier.Verify(signed, r, sum, service, key, d.Now())
	switch {
	case unknown:
		return nil, d.refuse(r.Context(), stranger, signed.KeyID, err)
	case wrong != nil:
		return nil, d.refuse(r.Context(), stranger, signed.KeyID, wrong)
	}
	if err := d.Keys.Used(r.Context(), signed.KeyID); err != nil {
		return nil, err
	}
	c := &Call{ctx: r.Context(), Who: who, Account: Account(vault.TeamOf(who)), Region: signed.Region, Body: body}
	if id := r.Header.Get("Amz-Sdk-Invocation-Id"); id != "" && len(id) <= 100 {
		h := sha256.Sum256([]byte(signed.KeyID + "\x00" + id + "\x00" + string(sum[:])))
		c.Once = hex.EncodeToString(h[:])
	}
	return c, nil
}

func (d *Door) refuse(ctx context.Context, who actor.Actor, key string, reason error) error {
	code, _ := fault.PublicOf(reason)
	if e, ok := errors.AsType[*sigv4.Error](reason); ok {
		code = e.Code
	}
	return d.Keys.RefuseCall(ctx, who, key, code, reason)
}

// Read takes the input of a call. Members that are not known are passed over.
func Read[T any](c *Call) (T, error) {
	var in T
	if err := json.Unmarshal(c.Body, &in); err != nil {
		return in, &Error{"SerializationException", "The input is not the JSON that the operation takes."}
	}
	return in, nil
}

// Account is the number that a team has in the names of resources: the clients want
// twelve digits.
func Account(team string) string {
	h := sha256.Sum256([]byte("writ/vault/account/" + team))
	n := uint64(0)
	for _, b := range h[:8] {
		n = n<<8 | uint64(b)
	}
	return fmt.Sprintf("%012d", n%1_000_000_000_000)
}

// ARN is the name of a resource of the caller's team.
func (c *Call) ARN(service, rest string) string {
	return "arn:aws:" + service + ":" + c.Region + ":" + c.Account + ":" + rest
}

// User is whoever did something (kind/id), in the clients' form.
func (c *Call) User(ref string) string { return "arn:aws:iam::" + c.Account + ":user/" + ref }

func write(w http.ResponseWriter, status int, id string, v any) error {
	b := []byte("{}")
	if v != nil {
		var buf bytes.Buffer
		if err := json.MarshalWrite(&buf, v); err != nil {
			return fmt.Errorf("write answer: %w", err)
		}
		b = buf.Bytes()
	}
	return writeAs(w, status, Media, id, b)
}

func writeAs(w http.ResponseWriter, status int, media, id string, b []byte) error {
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("X-Amzn-RequestId", requestID(id))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, err := w.Write(b)
	return err
}

// requestID is the entry's id, or a random one where a call made none.
func requestID(entry string) string {
	if entry == "" {
		return hex.EncodeToString(secret.Random(16).Reveal())
	}
	return entry
}
