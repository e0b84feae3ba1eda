package rotate_test

import (
	"strings"
	"testing"

	"writ/internal/secret"
	"writ/internal/vault/rotate"
)

// This server logs in with what somebody typed: it is led to no other machine without
// encryption, and reads none of its own files.
func TestAddresses(t *testing.T) { // breaks: vault.db-private
	for address, ok := range map[string]bool{
		"postgres://a:b@10.0.0.5/db?sslmode=require":                              true,
		"postgresql://a:b@db.internal:5433/db?sslmode=verify-full&sslrootcert=/x": false, // no such file
		"postgres://a:b@127.0.0.1/db":                                             true,
		"postgres://a:b@/db?host=/run/postgresql":                                 true,
		"postgres://a:b@localhost,127.0.0.1/db":                                   true,
		"postgres://a:b@10.0.0.5/db":                                              false, // prefers, and falls back
		"postgres://a:b@10.0.0.5/db?sslmode=disable":                              false,
		"postgres://a:b@localhost,10.0.0.5/db?sslmode=prefer":                     false,
		"postgres://a:b@/db":                                                      false,
		"postgres://10.0.0.5/db?sslmode=require":                                  false,
		"host=10.0.0.5 user=a password=b sslmode=require":                         false,
		"mysql://a:b@10.0.0.5/db":                                                 false,
		"postgres://a:b@10.0.0.5/db?sslmode=require&passfile=/etc/passwd":         false,
		"postgres://a:b@10.0.0.5/db?sslmode=require&ssl%6bey=/etc/passwd":         false,
		"postgres://a:b@10.0.0.5/db?sslmode=require&service=x":                    false,
		"": false,
	} {
		_, err := rotate.ParseAddress(secret.NewText(address))
		if (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
		if err != nil && address != "" && strings.Contains(err.Error(), address) {
			t.Errorf("the refusal holds the address: %v", err)
		}
	}
}

func FuzzAddress(f *testing.F) {
	f.Add("postgres://{user}:{password}@10.0.0.5/db?sslmode=require", "shop_a", "x")
	f.Add("{password} {user}", "A-b_9", "c")
	f.Add("postgres://a:b@localhost,10.0.0.5/db?host=/x&sslkey=y", "u", "p")
	f.Fuzz(func(t *testing.T, text, user, password string) {
		if c, err := rotate.ParseAddress(secret.NewText(text)); err == nil && c.Password != "" && len(c.Password) > 3 && c.TLSConfig == nil && !strings.HasPrefix(c.Host, "/") && c.Host != "localhost" && !strings.HasPrefix(c.Host, "127.") && !strings.Contains(c.Host, ":") {
			t.Errorf("%q leads to %q without encryption", text, c.Host)
		}
		for _, w := range []string{user, password} {
			if w == "" || strings.Trim(w, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
				return
			}
		}
		filled, u, p, err := rotate.Template(text, user, password)
		if err == nil && (u != user || p != password || !strings.Contains(filled, user) || !strings.Contains(filled, password)) {
			t.Errorf("%q filled with %q and %q is %q, and gives back %q and %q", text, user, password, filled, u, p)
		}
	})
}
