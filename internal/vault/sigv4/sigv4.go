package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"writ/internal/secret"
)

const (
	algorithm = "AWS4-HMAC-SHA256"
	ending    = "aws4_request"
	timeForm  = "20060102T150405Z"
	dayForm   = "20060102"

	// Window is how far a request's date may lie from the clock, either way.
	Window = 5 * time.Minute

	maxHeader = 4 << 10 // of the Authorization header, in bytes
	maxSigned = 64      // headers
)

// The codes of refusals, as the service's clients know them.
const (
	Missing    = "MissingAuthenticationTokenException"
	Incomplete = "IncompleteSignatureException"
	Invalid    = "InvalidSignatureException"
)

// Error is a refusal under a code that clients know. Its text holds nothing secret.
type Error struct{ Code, Text string }

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Text }

func refuse(code, format string, a ...any) error {
	return &Error{Code: code, Text: fmt.Sprintf(format, a...)}
}

// Credential is who claims to have signed, and for what.
type Credential struct {
	KeyID, Day, Region, Service string
}

func (c Credential) scope() string {
	return strings.Join([]string{c.Day, c.Region, c.Service, ending}, "/")
}

// Signed is a parsed Authorization header. Nothing in it is proved before Verify.
type Signed struct {
	Credential
	Headers   []string // in lower case, sorted
	signature []byte
}

// Parse reads the Authorization header of a request.
func Parse(header string) (Signed, error) {
	if header == "" {
		return Signed{}, refuse(Missing, "The request is not signed.")
	}
	if len(header) > maxHeader {
		return Signed{}, refuse(Incomplete, "The Authorization header is longer than %d bytes.", maxHeader)
	}
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return Signed{}, refuse(Incomplete, "Authorization must begin with %s.", algorithm)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		k, v, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := parts[k]; !ok || v == "" || twice {
			return Signed{}, refuse(Incomplete, "Authorization needs Credential, SignedHeaders and Signature, each once.")
		}
		parts[k] = v
	}
	if len(parts) != 3 || parts["Credential"] == "" || parts["SignedHeaders"] == "" || parts["Signature"] == "" {
		return Signed{}, refuse(Incomplete, "Authorization needs Credential, SignedHeaders and Signature, each once.")
	}
	var s Signed
	c := strings.Split(parts["Credential"], "/")
	if len(c) != 5 || c[4] != ending || slices.Contains(c, "") {
		return Signed{}, refuse(Incomplete, "Credential must be KEY/DATE/REGION/SERVICE/%s.", ending)
	}
	s.Credential = Credential{KeyID: c[0], Day: c[1], Region: c[2], Service: c[3]}
	if _, err := time.Parse(dayForm, s.Day); err != nil {
		return Signed{}, refuse(Incomplete, "The date of Credential must have eight digits.")
	}
	s.Headers = strings.Split(parts["SignedHeaders"], ";")
	if len(s.Headers) > maxSigned || !slices.IsSorted(s.Headers) || slices.ContainsFunc(s.Headers, func(h string) bool { return h == "" || h != strings.ToLower(h) }) {
		return Signed{}, refuse(Incomplete, "SignedHeaders must be lower-case names in order, %d at most.", maxSigned)
	}
	sig, err := hex.DecodeString(parts["Signature"])
	if err != nil || len(sig) != sha256.Size {
		return Signed{}, refuse(Incomplete, "Signature must be 64 hexadecimal digits.")
	}
	s.signature = sig
	return s, nil
}

// mustSign are the headers without which a signature says too little: another target
// could be asked with the same one.
var mustSign = []string{"host", "x-amz-date"}

// Verifier checks signatures. It keeps the keys that it derived for those whose signature
// was good, each for its day, region and service: four of the five HMACs of a request. The
// zero Verifier is ready.
type Verifier struct {
	mu      sync.Mutex
	derived map[Credential]derived
}

// derived is a key of a day, and the secret that it comes from.
type derived struct{ secret, key []byte }

// maxDerived bounds what a Verifier keeps; all of it goes when there is more.
const maxDerived = 1000

// key is the signing key of a credential. A kept one counts only for the secret that the
// caller's key has now.
func (v *Verifier) key(c Credential, s secret.Text) []byte {
	v.mu.Lock()
	d, ok := v.derived[c]
	v.mu.Unlock()
	if ok && subtle.ConstantTimeCompare(d.secret, []byte(s.Reveal())) == 1 {
		return d.key
	}
	return derive(s, c)
}

func (v *Verifier) keep(c Credential, s secret.Text, key []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if d, ok := v.derived[c]; ok && &d.key[0] == &key[0] {
		return
	}
	if v.derived == nil || len(v.derived) >= maxDerived {
		v.derived = map[Credential]derived{}
	}
	v.derived[c] = derived{[]byte(s.Reveal()), key}
}

// Verify reports whether the holder of the secret signed this request, with this body,
// for the service, about now.
func (v *Verifier) Verify(s Signed, r *http.Request, body [32]byte, service string, of secret.Text, now time.Time) error { // clause: vault.access-logged
	if s.Service != service {
		return refuse(Invalid, "Credential should be scoped to the service %s.", service)
	}
	for _, h := range mustSign {
		if !slices.Contains(s.Headers, h) {
			return refuse(Invalid, "The header %s must be signed.", h)
		}
	}
	for _, h := range []string{"x-amz-target", "x-amz-security-token"} {
		if r.Header.Get(h) != "" && !slices.Contains(s.Headers, h) {
			return refuse(Invalid, "The header %s must be signed.", h)
		}
	}
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse(timeForm, date)
	if err != nil {
		return refuse(Incomplete, "X-Amz-Date must have the form %s.", timeForm)
	}
	if at.Format(dayForm) != s.Day {
		return refuse(Invalid, "The date of Credential is not that of X-Amz-Date.")
	}
	switch d := now.Sub(at); {
	case d > Window:
		return refuse(Invalid, "Signature expired: %s is now earlier than %s.", date, now.Add(-Window).UTC().Format(timeForm))
	case d < -Window:
		return refuse(Invalid, "Signature not yet current: %s is still later than %s.", date, now.Add(Window).UTC().Format(timeForm))
	}
	sum := hex.EncodeToString(body[:])
	if said := r.Header.Get("X-Amz-Content-Sha256"); said != "" && subtle.ConstantTimeCompare([]byte(said), []byte(sum)) != 1 {
		return refuse(Invalid, "The body is not the one that X-Amz-Content-Sha256 names.")
	}
	canonical, err := canonicalRequest(r, s.Headers, sum)
	if err != nil {
		return refuse(Invalid, "%s", err)
	}
	key := v.key(s.Credential, of)
	if !hmac.Equal(sign(key, s.Credential, date, canonical), s.signature) {
		return refuse(Invalid, "The request signature we calculated does not match the signature you provided. Check your secret access key and signing method.")
	}
	v.keep(s.Credential, of, key)
	return nil
}

// Sign makes the Authorization header of a request whose X-Amz-Date is set. Canaries and
// tests sign with it.
func Sign(r *http.Request, headers []string, body [32]byte, c Credential, key secret.Text) error {
	canonical, err := canonicalRequest(r, headers, hex.EncodeToString(body[:]))
	if err != nil {
		return err
	}
	sig := sign(derive(key, c), c, r.Header.Get("X-Amz-Date"), canonical)
	r.Header.Set("Authorization", fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%x", algorithm, c.KeyID, c.scope(), strings.Join(headers, ";"), sig))
	return nil
}

// derive makes the signing key of a day, region and service.
func derive(s secret.Text, c Credential) []byte {
	k := mac([]byte("AWS4"+s.Reveal()), c.Day)
	for _, part := range []string{c.Region, c.Service, ending} {
		k = mac(k, part)
	}
	return k
}

func sign(key []byte, c Credential, date, canonical string) []byte {
	sum := sha256.Sum256([]byte(canonical))
	return mac(key, strings.Join([]string{algorithm, date, c.scope(), hex.EncodeToString(sum[:])}, "\n"))
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// canonicalRequest is the text that is signed.
func canonicalRequest(r *http.Request, headers []string, sum string) (string, error) {
	var b strings.Builder
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	b.Grow(512)
	b.WriteString(r.Method + "\n" + canonicalPath(path) + "\n")
	if r.URL.RawQuery != "" {
		b.WriteString(canonicalQuery(r.URL.Query()))
	}
	b.WriteByte('\n')
	for _, h := range headers {
		vs := r.Header.Values(h)
		switch h {
		case "host":
			vs = []string{r.Host}
		case "content-length":
			vs = []string{fmt.Sprint(r.ContentLength)}
		}
		if len(vs) == 0 {
			return "", errors.New("the signed header " + h + " is not there")
		}
		for i, v := range vs {
			vs[i] = strings.Join(strings.Fields(v), " ")
		}
		b.WriteString(h + ":" + strings.Join(vs, ",") + "\n")
	}
	b.WriteString("\n" + strings.Join(headers, ";") + "\n" + sum)
	return b.String(), nil
}

// canonicalPath escapes each part once more, as every service but the object store wants.
func canonicalPath(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = escape(p)
	}
	return strings.Join(parts, "/")
}

func canonicalQuery(q url.Values) string {
	var pairs []string
	for k, vs := range q {
		for _, v := range vs {
			pairs = append(pairs, escape(k)+"="+escape(v))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// escape is percent-encoding of all but the unreserved characters of RFC 3986.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
