package vault

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"writ/internal/fault"
)

// The kinds of lifecycle: what shall happen to a parameter by itself.
const (
	Expiration             = "Expiration"             // it is deleted at Timestamp
	ExpirationNotification = "ExpirationNotification" // somebody is told Before Unit of its end
	NoChangeNotification   = "NoChangeNotification"   // somebody is told After Unit without a new version
)

// maxLifecycle of one parameter.
const maxLifecycle = 10

// Lifecycle is one of a parameter's policies, as the clients of the wire write them.
type Lifecycle struct {
	Type       string     `json:"Type"`
	Version    string     `json:"Version"`
	Attributes Attributes `json:"Attributes"`
}

// Attributes of a Lifecycle; which ones it has depends on its type.
type Attributes struct {
	Timestamp string `json:"Timestamp,omitempty"` // RFC 3339
	Before    string `json:"Before,omitempty"`
	After     string `json:"After,omitempty"`
	Unit      string `json:"Unit,omitempty"` // Days, Hours
}

// ParseLifecycle reads rules in the wire's form: a list in JSON; "[]" and "" are none.
func ParseLifecycle(text string) ([]Lifecycle, error) {
	if text == "" {
		return nil, nil
	}
	var rs []Lifecycle
	if len(text) > 4096 || json.Unmarshal([]byte(text), &rs) != nil {
		return nil, fault.New(fault.Invalid, "lifecycle_json", fault.Public{Problem: "The policies are no list in JSON.", Expected: `[{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2030-01-01T00:00:00Z"}}]`})
	}
	return rs, checkLifecycle(rs)
}

func checkLifecycle(rs []Lifecycle) error {
	if len(rs) > maxLifecycle {
		return fault.Newf(fault.Invalid, "lifecycle_many", "A parameter has at most %d policies.", maxLifecycle)
	}
	ends := 0
	for _, r := range rs {
		if err := r.check(); err != nil {
			return err
		}
		if r.Type == Expiration {
			ends++
		}
	}
	if ends > 1 {
		return fault.New(fault.Invalid, "lifecycle_twice", fault.Public{Problem: "A parameter can end once only.", Expected: "One policy of type Expiration."})
	}
	return nil
}

func (r Lifecycle) check() error {
	bad := func(what string) error {
		return fault.Newf(fault.Invalid, "lifecycle_wants", "The policy %s needs %s.", r.Type, what)
	}
	switch r.Type {
	case Expiration:
		if _, err := time.Parse(time.RFC3339, r.Attributes.Timestamp); err != nil {
			return bad("Timestamp, such as 2030-01-01T00:00:00Z")
		}
	case ExpirationNotification:
		if _, ok := span(r.Attributes.Before, r.Attributes.Unit); !ok {
			return bad("Before, a number, and Unit, Days or Hours")
		}
	case NoChangeNotification:
		if _, ok := span(r.Attributes.After, r.Attributes.Unit); !ok {
			return bad("After, a number, and Unit, Days or Hours")
		}
	default:
		return fault.Newf(fault.Invalid, "lifecycle_type", "The policy type %q is not one of Expiration, ExpirationNotification and NoChangeNotification.", r.Type)
	}
	return nil
}

func span(n, unit string) (time.Duration, bool) {
	i, err := strconv.Atoi(n)
	if err != nil || i < 1 || i > 10000 {
		return 0, false
	}
	switch unit {
	case "Days":
		return time.Duration(i) * 24 * time.Hour, true
	case "Hours":
		return time.Duration(i) * time.Hour, true
	}
	return 0, false
}

// ends is when the rules delete the parameter; zero when they do not.
func ends(rs []Lifecycle) time.Time {
	for _, r := range rs {
		if r.Type == Expiration {
			t, _ := time.Parse(time.RFC3339, r.Attributes.Timestamp)
			return t
		}
	}
	return time.Time{}
}

// When is the moment at which a rule speaks, of a parameter changed last at changed;
// zero when it never does.
func (r Lifecycle) When(rs []Lifecycle, changed time.Time) time.Time {
	switch r.Type {
	case Expiration:
		return ends(rs)
	case ExpirationNotification:
		if end := ends(rs); !end.IsZero() {
			d, _ := span(r.Attributes.Before, r.Attributes.Unit)
			return end.Add(-d)
		}
	case NoChangeNotification:
		d, _ := span(r.Attributes.After, r.Attributes.Unit)
		return changed.Add(d)
	}
	return time.Time{}
}

// nextDue is when the first rule speaks that has not by then; nil when none does.
func nextDue(rs []Lifecycle, changed, after time.Time) *int64 {
	var next time.Time
	for _, r := range rs {
		if t := r.When(rs, changed); !t.IsZero() && t.After(after) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	// An end that lies in the past is due now.
	if end := ends(rs); !end.IsZero() && !end.After(after) {
		next = end
	}
	if next.IsZero() {
		return nil
	}
	n := us(next)
	return &n
}

// Text is one in the wire's form.
func (r Lifecycle) Text() string {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // texts only
	}
	return string(b)
}

func lifecycleText(rs []Lifecycle) string {
	if len(rs) == 0 {
		return ""
	}
	b, err := json.Marshal(rs)
	if err != nil {
		panic(err) // texts only
	}
	return string(b)
}

// lifecycleInto scans what lifecycleText wrote.
type lifecycleInto struct{ rs *[]Lifecycle }

// Scan implements sql.Scanner.
func (i lifecycleInto) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("policies of type %T", v)
	}
	*i.rs = nil
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), i.rs)
}
