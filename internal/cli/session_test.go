package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"writ/internal/cli"
	"writ/internal/sshsig"
)

// public is a fake behind TLS that wants a session.
func public(t *testing.T) (f *fake, args []string) {
	t.Helper()
	f = serve(t)
	f.mux.HandleFunc("POST /-/api/v1/sign-in", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Email, Password string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		if in.Email != "ana@example.test" || in.Password != "correct horse" {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			w.Write([]byte(`{"code":"sign_in_refused","detail":"Address and password do not fit."}`))
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "__Host-writ", Value: "token", Path: "/", Secure: true, HttpOnly: true})
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"next":"done"}`))
	})
	f.on("POST sign-out", nil)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("__Host-writ"); !strings.HasPrefix(r.URL.Path, "/-/api/v1/sign-in") && r.Header.Get("Authorization") == "" && (err != nil || c.Value != "token") {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			w.Write([]byte(`{"code":"session_ended","detail":"Nobody is signed in."}`))
			return
		}
		f.ServeHTTP(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return f, []string{"--url", s.URL, "--ca", ca, "--as", "ana@example.test"}
}

func try(args ...string) (status int, out, errs string) {
	var stdout, stderr bytes.Buffer
	status = cli.Main(context.Background(), args, strings.NewReader(""), &stdout, &stderr, cli.Server{})
	return status, stdout.String(), stderr.String()
}

func TestSession(t *testing.T) {
	f, as := public(t)
	f.on("GET check", strings.ReplaceAll(report, "OUTCOME", "pass"))
	t.Setenv("WRIT_PASSWORD", "correct horse")
	if status, _, errs := try(append(as, "check")...); status != 0 {
		t.Fatalf("%d %s", status, errs)
	}
	if !f.asked("POST /-/api/v1/sign-out") {
		t.Error("the session was left behind")
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, errs := try(append(as, "check", "--password-file", file)...)
	if status != 1 || !strings.Contains(errs, "do not fit") || strings.Contains(out+errs, "wrong") {
		t.Errorf("%d %s%s", status, out, errs)
	}
	// An authority that was not given is not trusted.
	if status, _, errs := try("check", as[0], as[1], as[4], as[5]); status != 3 || !strings.Contains(errs, "did not answer") {
		t.Errorf("%d %s", status, errs)
	}
}

// The public listener of a folder's own server is found without --url.
func TestSessionOfFolder(t *testing.T) {
	f, as := public(t)
	f.on("GET check", strings.ReplaceAll(report, "OUTCOME", "pass"))
	t.Setenv("WRIT_PASSWORD", "correct horse")
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "ca"), 0o700); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(as[3])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ca", "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(as[1], "https://"), ":")
	config := "app: https://example.com\nhttps: 0.0.0.0:" + port + "\nupstream: [http://127.0.0.1:1]\n" // the test certificate is for example.com
	if err := os.WriteFile(filepath.Join(dir, "writ.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := try("check", "--dir", dir, "--as", "ana@example.test"); status != 0 {
		t.Errorf("%d %s", status, errs)
	}
}

func TestSecondStepIsRefused(t *testing.T) {
	f, as := public(t)
	inner := f.mux
	f.mux = http.NewServeMux()
	f.on("POST sign-in", `{"next":"factor","flow":"f","factors":["passkey"]}`)
	f.mux.Handle("/", inner)
	t.Setenv("WRIT_PASSWORD", "correct horse")
	if status, _, errs := try(append(as, "check")...); status != 1 || !strings.Contains(errs, "console") {
		t.Errorf("%d %s", status, errs)
	}
	f.mux = http.NewServeMux()
	f.on("POST sign-in", `{"next":"enrol"}`)
	f.mux.Handle("/", inner)
	if status, _, errs := try(append(as, "check")...); status != 1 || !strings.Contains(errs, "/-/account/factors") {
		t.Errorf("%d %s", status, errs)
	}
}

// A code of the app and a recovery code are told apart by how they look.
func TestSecondStep(t *testing.T) {
	f, as := public(t)
	inner := f.mux
	f.mux = http.NewServeMux()
	f.on("GET check", strings.ReplaceAll(report, "OUTCOME", "pass"))
	f.on("POST sign-in", `{"next":"factor","flow":"f","factors":["totp","recovery"]}`)
	f.mux.HandleFunc("POST /-/api/v1/sign-in/factor", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Flow, Kind, Code string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Flow != "f" || (in.Kind == "totp") != (in.Code == "123 456") {
			t.Errorf("%+v %v", in, err)
		}
		http.SetCookie(w, &http.Cookie{Name: "__Host-writ", Value: "token", Path: "/", Secure: true, HttpOnly: true})
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"next":"done"}`))
	})
	f.mux.Handle("/", inner)
	t.Setenv("WRIT_PASSWORD", "correct horse")
	for _, code := range []string{"123 456", "aaaaa-bbbbb"} {
		t.Setenv("WRIT_CODE", code)
		if status, _, errs := try(append(as, "check")...); status != 0 || strings.Contains(errs, code) || !f.asked("POST /-/api/v1/sign-in/factor") {
			t.Errorf("%s", errs)
		}
	}
	t.Setenv("WRIT_CODE", "")
	if status, _, errs := try(append(as, "check")...); status != 2 || !strings.Contains(errs, "WRIT_CODE") {
		t.Errorf("%d %s", status, errs)
	}
}

// breaks: gov.signed-dated
func TestRegisterKey(t *testing.T) {
	file, s := newKey(t)
	f, as := public(t)
	t.Setenv("WRIT_PASSWORD", "correct horse")
	text := `writ/key/v1` + "\n" + `{"challenge":"c","key":"` + s.Key().String() + `","person":"person/ana"}`
	f.onDo("GET keys", func(r *http.Request) any {
		if r.FormValue("key") == "" {
			return `{"keys":[]}`
		}
		return map[string]any{"keys": []any{}, "text": text}
	})
	f.onDo("POST keys", func(r *http.Request) any {
		var in struct{ Key, Signature string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		made, err := sshsig.Verify([]byte(in.Signature), "writ-policy", []byte(text))
		if err != nil || made.String() != in.Key {
			t.Errorf("%v %s", err, in.Key)
		}
		return map[string]any{"fingerprint": made.Fingerprint(), "handle": "person/ana"}
	})
	if status, out, errs := try(append(as, "policy", "key", "add", file)...); status != 0 || !strings.Contains(out, "registered for person/ana") {
		t.Errorf("%d %s%s", status, out, errs)
	}
	text = strings.ReplaceAll(text, "AAAA", "BBBB") // another key than the one that signs
	if status, _, errs := try(append(as, "policy", "key", "add", file)...); status != 1 || !strings.Contains(errs, "It was not signed") {
		t.Errorf("%d %s", status, errs)
	}
}
