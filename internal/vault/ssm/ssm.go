package ssm

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/vault"
	"writ/internal/vault/aws"
)

// Name is what signatures for this service are for.
const Name = "ssm"

const (
	prefix = "AmazonSSM."

	// The limit of the wire on versions; the vault's own doors keep all.
	mostKept = 100
)

// RawSearch looks for bytes in everything this server has stored.
type RawSearch func(ctx context.Context, needle []byte) (hits int, places []string, err error)

// Deps are what a Door is made of. Raw may be nil.
type Deps struct {
	Vault *vault.Service
	Now   func() time.Time
	Raw   RawSearch // for a control
}

// Door is the service.
type Door struct{ Deps }

// New makes a Door.
func New(d Deps) (*Door, error) {
	if d.Vault == nil || d.Now == nil {
		return nil, errors.New("ssm: a dependency is missing")
	}
	return &Door{d}, nil
}

// Service is what the address of package aws hands calls to.
func (d *Door) Service() aws.Service {
	s := aws.Service{Name: Name, Prefix: prefix, Operations: map[string]aws.Operation{}, Code: code}
	for name, op := range operations {
		s.Operations[name] = func(c *aws.Call) (any, error) {
			return op(&call{Call: c, ctx: c.Context(), vault: d.Vault.Noting(c.Note), who: c.Who, once: c.Once})
		}
	}
	return s
}

// call is one request whose signature was found good.
type call struct {
	*aws.Call
	ctx   context.Context
	vault *vault.Service
	who   actor.Actor
	once  string
}

// operation answers one call with a value to be written as JSON.
type operation func(*call) (any, error)

// operations by the name in X-Amz-Target.
var operations = map[string]operation{
	"PutParameter":            put,
	"GetParameter":            get,
	"GetParameters":           getMany,
	"GetParametersByPath":     byPath,
	"DescribeParameters":      describe,
	"GetParameterHistory":     history,
	"LabelParameterVersion":   label,
	"UnlabelParameterVersion": unlabel,
	"DeleteParameter":         remove,
	"DeleteParameters":        removeMany,
	"AddTagsToResource":       addTags,
	"RemoveTagsFromResource":  removeTags,
	"ListTagsForResource":     listTags,
}

// read takes the input of a call.
func read[T any](c *call) (T, error) { return aws.Read[T](c.Call) }

func (c *call) arn(name string) string {
	return c.ARN(Name, "parameter/"+strings.TrimPrefix(name, "/"))
}

// named takes the name out of a resource name, where it is one.
func named(s string) string {
	if !strings.HasPrefix(s, "arn:aws:ssm:") {
		return s
	}
	_, name, ok := strings.Cut(s, ":parameter/")
	if !ok {
		return s
	}
	if strings.Contains(name, "/") {
		return "/" + name
	}
	return name
}

// epoch is a time as the clients read it: seconds, with milliseconds.
func epoch(t time.Time) float64 { return math.Round(float64(t.UnixMilli())) / 1000 }
