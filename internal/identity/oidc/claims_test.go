package oidc_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

// claim reads one claim of a token without verifying it.
func claim(t testing.TB, token, name string) any {
	t.Helper()
	return part(t, token, 1)[name]
}

func part(t testing.TB, token string, i int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no token", token)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[i])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}
