package ledger

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"writ/internal/canon"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/secret"
)

// Event says what a change did. It is a struct (or a pointer to one) whose exported
// fields all carry a class tag, such as `class:"personal"`, and have one of the types
// string, bool, int, int64, time.Time, time.Duration, []string; with class secret,
// secret.Text or secret.Bytes. The wire name of a field is the kebab-case of its Go name.
type Event interface{ About() About }

// About is what every event tells beside its fields.
type About struct {
	Name    string          // <module>.<kebab-past>, e.g. identity.signed-in; also the stream
	Clause  string          // the clause the act falls under; may be empty
	Object  string          // kind/id of what was acted on; never personal; may be empty
	Subject keyring.Subject // whose key seals the personal fields and the reason; zero = the actor's own
	Reason  string          // why, in free words: always personal
}

// Salted is implemented by an event with secret fields whose commitments must be
// opened one day: Salt returns the 32 bytes that are stored beside the secret.
// Otherwise a salt is drawn and forgotten, and the commitment can never be opened.
type Salted interface {
	Salt(field string) secret.Bytes
}

// Class says who may read a field of an entry.
type Class string

// The classes.
const (
	Public   Class = "public"   // in clear in the entry, for ever
	Personal Class = "personal" // a salted commitment in the entry; value and salt sealed under the subject's key
	Secret   Class = "secret"   // a salted commitment only
)

// Field describes one field of an event.
type Field struct {
	Name  string // wire name
	Class Class
	Type  string // Go type
}

// Describe lists the fields of an event in the order of the struct. It panics where
// the type breaks a rule of Event, as recording such an event would.
func Describe(ev Event) []Field {
	p := planOf(reflect.TypeOf(ev))
	out := make([]Field, len(p.fields))
	for i, f := range p.fields {
		out[i] = Field{Name: f.name, Class: f.class, Type: f.typ.String()}
	}
	return out
}

// plan is how to encode one event type; found once by reflection.
type plan struct{ fields []planField }

type planField struct {
	index int
	name  string
	class Class
	typ   reflect.Type
}

// plans caches by type. A type's plan never changes, so this is not state.
var plans sync.Map // reflect.Type → *plan

var (
	textType     = reflect.TypeFor[secret.Text]()
	bytesType    = reflect.TypeFor[secret.Bytes]()
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	listType     = reflect.TypeFor[[]string]()
	plainTypes   = map[reflect.Type]bool{
		reflect.TypeFor[string](): true, reflect.TypeFor[bool](): true, reflect.TypeFor[int](): true,
		reflect.TypeFor[int64](): true, timeType: true, durationType: true, listType: true,
	}
)

func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	s := t
	if s.Kind() == reflect.Pointer {
		s = s.Elem()
	}
	if s.Kind() != reflect.Struct {
		panic(fmt.Sprintf("ledger: event %v is not a struct", t))
	}
	p := &plan{}
	seen := map[string]bool{}
	for i := range s.NumField() {
		f := s.Field(i)
		if !f.IsExported() {
			continue
		}
		pf := planField{index: i, name: kebab(f.Name), class: Class(f.Tag.Get("class")), typ: f.Type}
		if err := pf.check(); err != nil {
			panic(fmt.Sprintf("ledger: event %v, field %s: %v", t, f.Name, err))
		}
		if seen[pf.name] {
			panic(fmt.Sprintf("ledger: event %v has two fields named %s", t, pf.name))
		}
		seen[pf.name] = true
		p.fields = append(p.fields, pf)
	}
	plans.Store(t, p)
	return p
}

func (f planField) check() error {
	hidden := f.typ == textType || f.typ == bytesType
	switch {
	case f.class != Public && f.class != Personal && f.class != Secret:
		return fmt.Errorf("class %q is not public, personal or secret", string(f.class))
	case hidden && f.class != Secret:
		return fmt.Errorf("a %v has class secret, not %s", f.typ, f.class)
	case f.class == Secret && !hidden:
		return fmt.Errorf("class secret is for secret.Text and secret.Bytes, not %v", f.typ)
	case !hidden && !plainTypes[f.typ]:
		return fmt.Errorf("type %v cannot be recorded", f.typ)
	}
	return nil
}

// kebab spells a Go name with hyphens: TeamID is team-id.
func kebab(name string) string {
	r := []rune(name)
	var b strings.Builder
	for i, c := range r {
		if i > 0 && unicode.IsUpper(c) && (!unicode.IsUpper(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1])) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// value is the canonical form of a plain field. Times and durations are
// microseconds: nanoseconds leave the integers that JSON can carry after 104 days.
func (f planField) value(v reflect.Value) any {
	switch f.typ {
	case timeType:
		t := v.Interface().(time.Time)
		if t.IsZero() {
			return int64(0)
		}
		return t.UnixMicro()
	case durationType:
		return v.Interface().(time.Duration).Microseconds()
	case listType:
		list := make([]any, 0, v.Len())
		for _, s := range v.Interface().([]string) {
			list = append(list, clean(s))
		}
		return list
	}
	switch v.Kind() {
	case reflect.String:
		return clean(v.String())
	case reflect.Bool:
		return v.Bool()
	}
	return v.Int()
}

// clean gives text its one canonical spelling. Bytes that are not UTF-8 become
// U+FFFD: otherwise a client could make its own refusal impossible to record.
func clean(s string) string {
	if canon.Plain(s) {
		return s
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return norm.NFC.String(s)
}

// hidden is the committed value of a secret field.
func (f planField) hidden(v reflect.Value) []byte {
	if f.typ == textType {
		return []byte(v.Interface().(secret.Text).Reveal())
	}
	return v.Interface().(secret.Bytes).Reveal()
}

// Commit is the commitment to a field's value that an entry holds: SHA-256 of
// "writ/commit/1", the length of the name as two big-endian bytes, the name, the
// 32-byte salt, the value. The value of a personal field, and of "reason", is its
// canonical JSON; that of a secret field its bytes.
func Commit(name string, salt, value []byte) [32]byte {
	if len(salt) != saltSize || len(name) > 0xFFFF {
		panic("ledger: commitment needs a short name and a salt of 32 bytes")
	}
	h := sha256.New()
	h.Write([]byte("writ/commit/1"))
	h.Write([]byte{byte(len(name) >> 8), byte(len(name))})
	h.Write([]byte(name))
	h.Write(salt)
	h.Write(value)
	return [32]byte(h.Sum(nil))
}

const saltSize = 32

// encode64 spells commitments and salts in entries and payloads.
func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Pseudonym is how a person, or a network bucket, appears in entries: 128 bits in hex
// that only the holder of the key can compute and that die with it, after "p:"
// ("s:" for strangers). kind and id are those of the actor or subject.
func Pseudonym(key envelope.Key, kind, id string) string {
	mac := key.MAC("pseudonym", kind, id)
	mark := "p:"
	if kind == "stranger" {
		mark = "s:"
	}
	return mark + hex.EncodeToString(mac[:16])
}

func (a About) check() error {
	switch {
	case !goodName(a.Name) || len(a.Name) > 100:
		return fmt.Errorf("event name %q is not <module>.<kebab-past>", a.Name)
	case a.Object != "" && !goodObject(a.Object):
		return fmt.Errorf("object of %s is not kind/id, or holds an address", a.Name)
	case len(a.Clause) > 100:
		return fmt.Errorf("clause of %s is too long", a.Name)
	}
	return nil
}

// goodName accepts [a-z][a-z0-9]*\.[a-z][a-z0-9]*(-[a-z0-9]+)*. It is asked at each change,
// and an expression takes ten times as long, as it does for goodObject.
func goodName(s string) bool {
	module, act, _ := strings.Cut(s, ".")
	return word(module) && word(act) && !strings.Contains(module, "-") && !strings.Contains(act, "--") && !strings.HasSuffix(act, "-")
}

// goodObject accepts [a-z][a-z0-9-]*/[^\s@[:cntrl:]]{1,200}.
func goodObject(s string) bool {
	kind, id, _ := strings.Cut(s, "/")
	if n := utf8.RuneCountInString(id); !word(kind) || n < 1 || n > 200 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c == '@' || c == 0x7f {
			return false
		}
	}
	return true
}

// word accepts [a-z][a-z0-9-]*.
func word(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

func badEvent(err error) error {
	return &fault.Error{Kind: fault.Invalid, Code: "event", Err: fmt.Errorf("record event: %w", err), Public: fault.Public{
		Problem: "The act could not be recorded as it was described, so it was not done.",
		Next:    "Tell the operator the request id: this is a defect."}}
}
