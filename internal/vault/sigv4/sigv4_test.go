package sigv4_test

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"writ/internal/secret"
	"writ/internal/vault/sigv4"
)

var (
	exampleKey = secret.NewText("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
	exampleAt  = time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
)

// The published examples of the scheme (the suite's requests, their signatures).
func TestPublishedExamples(t *testing.T) {
	for name, c := range map[string]struct{ method, url, signed, body, signature string }{
		"get-vanilla":                {"GET", "/", "host;x-amz-date", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		"get-vanilla-query-order":    {"GET", "/?Param2=value2&Param1=value1", "host;x-amz-date", "", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		"post-vanilla":               {"POST", "/", "host;x-amz-date", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		"post-x-www-form-urlencoded": {"POST", "/", "content-type;host;x-amz-date", "Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, "http://example.amazonaws.com"+c.url, strings.NewReader(c.body))
			r.Header.Set("X-Amz-Date", exampleAt.Format("20060102T150405Z"))
			if strings.Contains(c.signed, "content-type") {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			s, err := sigv4.Parse("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=" + c.signed + ", Signature=" + c.signature)
			if err != nil {
				t.Fatal(err)
			}
			if err := new(sigv4.Verifier).Verify(s, r, sha256.Sum256([]byte(c.body)), "service", exampleKey, exampleAt); err != nil {
				t.Error(err)
			}
		})
	}
}

// signed is a request as a client sends it.
func signed(t *testing.T, change func(*http.Request)) *http.Request {
	t.Helper()
	r := httptest.NewRequest("POST", "https://writ.example.test/-/aws/", strings.NewReader(body))
	r.Header.Set("X-Amz-Date", exampleAt.Format("20060102T150405Z"))
	r.Header.Set("X-Amz-Target", "AmazonSSM.GetParameter")
	if err := sigv4.Sign(r, []string{"host", "x-amz-date", "x-amz-target"}, sha256.Sum256([]byte(body)), sigv4.Credential{KeyID: "AKIDEXAMPLE", Day: "20150830", Region: "eu-west-1", Service: "ssm"}, exampleKey); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	return r
}

const body = `{"Name":"/a/b"}`

// One verifier judges all of them, after a good one: what it kept of that lets nothing else in.
func TestRefused(t *testing.T) {
	var v sigv4.Verifier
	ok := func(r *http.Request, sum [32]byte, service string, key secret.Text, now time.Time) error {
		s, err := sigv4.Parse(r.Header.Get("Authorization"))
		if err != nil {
			return err
		}
		return v.Verify(s, r, sum, service, key, now)
	}
	sum := sha256.Sum256([]byte(body))
	if err := ok(signed(t, nil), sum, "ssm", exampleKey, exampleAt.Add(5*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := ok(signed(t, nil), sum, "ssm", exampleKey, exampleAt); err != nil {
		t.Fatal("the second time:", err)
	}
	header := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	for name, c := range map[string]struct {
		err  error
		code string
	}{
		"unsigned":           {ok(signed(t, func(r *http.Request) { r.Header.Del("Authorization") }), sum, "ssm", exampleKey, exampleAt), sigv4.Missing},
		"another scheme":     {ok(signed(t, header("Authorization", "Bearer x")), sum, "ssm", exampleKey, exampleAt), sigv4.Incomplete},
		"another secret":     {ok(signed(t, nil), sum, "ssm", secret.NewText("other"), exampleAt), sigv4.Invalid},
		"another body":       {ok(signed(t, nil), sha256.Sum256([]byte("{}")), "ssm", exampleKey, exampleAt), sigv4.Invalid},
		"another service":    {ok(signed(t, nil), sum, "kms", exampleKey, exampleAt), sigv4.Invalid},
		"another target":     {ok(signed(t, header("X-Amz-Target", "AmazonSSM.DeleteParameter")), sum, "ssm", exampleKey, exampleAt), sigv4.Invalid},
		"another host":       {ok(signed(t, func(r *http.Request) { r.Host = "else.example.test" }), sum, "ssm", exampleKey, exampleAt), sigv4.Invalid},
		"a late request":     {ok(signed(t, nil), sum, "ssm", exampleKey, exampleAt.Add(5*time.Minute+time.Second)), sigv4.Invalid},
		"an early request":   {ok(signed(t, nil), sum, "ssm", exampleKey, exampleAt.Add(-5*time.Minute-time.Second)), sigv4.Invalid},
		"a token not signed": {ok(signed(t, header("X-Amz-Security-Token", "x")), sum, "ssm", exampleKey, exampleAt), sigv4.Invalid},
		"an unsigned body":   {ok(signed(t, header("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")), sum, "ssm", exampleKey, exampleAt), sigv4.Invalid},
		"no date":            {ok(signed(t, func(r *http.Request) { r.Header.Del("X-Amz-Date") }), sum, "ssm", exampleKey, exampleAt), sigv4.Incomplete},
	} {
		e, is := errors.AsType[*sigv4.Error](c.err)
		if !is || e.Code != c.code {
			t.Errorf("%s: %v, want %s", name, c.err, c.code)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/d/e,,=")
	f.Fuzz(func(t *testing.T, header string) {
		s, err := sigv4.Parse(header)
		if err == nil && (s.KeyID == "" || len(s.Headers) == 0) {
			t.Errorf("%q was taken: %+v", header, s)
		}
		if _, ours := errors.AsType[*sigv4.Error](err); err != nil && !ours {
			t.Errorf("%q: %v has no code", header, err)
		}
	})
}
