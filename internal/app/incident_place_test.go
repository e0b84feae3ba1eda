package app

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/vault/sigv4"
)

// An object is written by a request that the holder of the key signed, and a refusal is an error.
func TestPlaceIsWritten(t *testing.T) {
	key, at := secret.NewText("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), time.Date(2026, 5, 24, 0, 0, 0, 0, time.UTC)
	got := map[string]string{}
	answer := http.StatusOK
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what breaks off has another sum
		s, err := sigv4.Parse(r.Header.Get("Authorization"))
		if err == nil {
			err = new(sigv4.Verifier).Verify(s, r, sha256.Sum256(body), "s3", key, at)
		}
		if err != nil || s.KeyID != "AKIDEXAMPLE" || s.Region != "eu-central-1" {
			t.Errorf("%v %+v", err, s.Credential)
		}
		if answer == http.StatusOK {
			got[r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type")] = string(body)
		}
		w.WriteHeader(answer)
	}))
	defer store.Close()
	p := PlaceConf{Name: "far", URL: store.URL + "/bucket/status", Region: "eu-central-1", Key: "AKIDEXAMPLE"}
	put := p.put(store.Client(), key, func() time.Time { return at })
	if err := put(t.Context(), "api/v2/summary.json", "application/json", []byte("{}")); err != nil || got["PUT /bucket/status/api/v2/summary.json application/json"] != "{}" {
		t.Errorf("%v %v", err, got)
	}
	answer = http.StatusForbidden
	if err := put(t.Context(), "index.html", "text/html", []byte("x")); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("refused: %v", err)
	}
}

// The example of Amazon's documentation of S3, "GET Object".
func TestSignsAsDocumented(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "http://examplebucket.s3.amazonaws.com/test.txt", http.NoBody)
	r.Header.Set("Range", "bytes=0-9")
	r.Header.Set("X-Amz-Date", "20130524T000000Z")
	r.Header.Set("X-Amz-Content-Sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	if err := sigv4.Sign(r, []string{"host", "range", "x-amz-content-sha256", "x-amz-date"}, sha256.Sum256(nil), sigv4.Credential{KeyID: "AKIAIOSFODNN7EXAMPLE", Day: "20130524", Region: "us-east-1", Service: "s3"}, secret.NewText("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix([]byte(r.Header.Get("Authorization")), []byte("Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")) {
		t.Error(r.Header.Get("Authorization"))
	}
}

func TestPlacesAreChecked(t *testing.T) {
	good := PlaceConf{Name: "far", URL: "https://s3.eu-central-1.amazonaws.com/bucket", Region: "eu-central-1", Key: "AKIDEXAMPLE", Secret: "far.key"}
	change := func(fn func(*PlaceConf)) []PlaceConf { p := good; fn(&p); return []PlaceConf{p} }
	for name, ps := range map[string][]PlaceConf{
		"no name": change(func(p *PlaceConf) { p.Name = "" }), "the folder's": change(func(p *PlaceConf) { p.Name = "folder" }), "twice": {good, good}, "plain": change(func(p *PlaceConf) { p.URL = "http://s3.example.com/bucket" }),
		"no bucket": change(func(p *PlaceConf) { p.URL = "https://s3.example.com" }), "a sign that is spelt": change(func(p *PlaceConf) { p.URL = "https://s3.example.com/a b" }), "a user": change(func(p *PlaceConf) { p.URL = "https://u:p@s3.example.com/b" }),
		"no region": change(func(p *PlaceConf) { p.Region = "" }), "a key with a slash": change(func(p *PlaceConf) { p.Key = "a/b" }), "no secret": change(func(p *PlaceConf) { p.Secret = "" }),
	} {
		s := settings("Example")
		if s.Status.Places = ps; !errors.Is(s.check("test"), fault.Invalid) {
			t.Errorf("%s was taken", name)
		}
	}
	s := settings("Example")
	s.Status.Places = []PlaceConf{good}
	if err := s.check("test"); err != nil {
		t.Error(err)
	}
}
