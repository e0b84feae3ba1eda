package secret_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"writ/internal/secret"
)

type holder struct {
	Open   secret.Text
	hidden secret.Text
	bytes  secret.Bytes
	ptr    *secret.Text
}

// Under every verb, at every depth, exported or not: the value does not show.
func TestNothingPrintsASecret(t *testing.T) {
	const clear = "leak-me-4711"
	tx := secret.NewText(clear)
	h := holder{Open: tx, hidden: tx, bytes: secret.NewBytes([]byte(clear)), ptr: &tx}
	hex := fmt.Sprintf("%x", clear)
	dec := strings.Trim(fmt.Sprint([]byte(clear)), "[]")
	var log strings.Builder
	for _, v := range []any{tx, &tx, h, &h, []any{h}, map[string]any{"k": h}, h.bytes} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p"} {
			out := fmt.Sprintf(verb, v)
			if strings.Contains(out, clear) || strings.Contains(strings.ToLower(out), hex) || strings.Contains(out, dec) {
				t.Errorf("%s of %T shows the secret: %s", verb, v, out)
			}
		}
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		if b, err := json.Marshal(v); err == nil && strings.Contains(string(b), clear) {
			t.Errorf("JSON of %T shows the secret", v)
		}
	}
	if strings.Contains(log.String(), clear) {
		t.Errorf("slog shows the secret: %s", log.String())
	}
}

func TestSecretsAreNotComparable(t *testing.T) {
	for _, ty := range []reflect.Type{reflect.TypeFor[secret.Text](), reflect.TypeFor[secret.Bytes]()} {
		if ty.Comparable() {
			t.Errorf("%s can be compared with ==", ty)
		}
	}
	a, b := secret.NewText("same"), secret.NewText("same")
	if !a.Equal(b) || a.Equal(secret.NewText("else")) {
		t.Error("Equal is wrong")
	}
}

func TestUse(t *testing.T) {
	src := []byte("abc")
	s := secret.NewBytes(src)
	src[0] = 'x'
	if string(s.Reveal()) != "abc" {
		t.Error("NewBytes keeps the caller's bytes")
	}
	s.Wipe()
	if string(s.Reveal()) != "\x00\x00\x00" {
		t.Error("Wipe left the bytes")
	}
	var zero secret.Text
	if !zero.IsZero() || zero.Reveal() != "" || zero.Len() != 0 {
		t.Error("the zero Text is not empty")
	}
	var in struct{ P secret.Text }
	if err := json.Unmarshal([]byte(`{"P":"pw"}`), &in); err != nil || in.P.Reveal() != "pw" {
		t.Errorf("a Text cannot be decoded: %v", err)
	}
	if a, b := secret.RandomText(32), secret.RandomText(32); a.Equal(b) || a.Len() != 43 {
		t.Error("RandomText is not random or not 43 characters")
	}
}
