package totp_test

import (
	"bytes"
	"fmt"
	"image/png"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"writ/internal/identity/totp"
	"writ/internal/secret"
)

// RFC 6238 appendix B, the last six of the eight digits it prints.
func TestVectors(t *testing.T) {
	sha1 := totp.Seed{Alg: totp.SHA1, Key: secret.NewBytes([]byte("12345678901234567890"))}
	sha256 := totp.Seed{Alg: totp.SHA256, Key: secret.NewBytes([]byte("12345678901234567890123456789012"))}
	for _, c := range []struct {
		unix       int64
		one, other string
	}{
		{59, "287082", "119246"}, {1111111109, "081804", "084774"}, {1111111111, "050471", "062674"},
		{1234567890, "005924", "819424"}, {2000000000, "279037", "698825"}, {20000000000, "353130", "737706"},
	} {
		step := totp.Step(time.Unix(c.unix, 0))
		one, err1 := sha1.Code(step)
		other, err2 := sha256.Code(step)
		if err1 != nil || err2 != nil || one != c.one || other != c.other {
			t.Errorf("at %d: %s %s, want %s %s (%v, %v)", c.unix, one, other, c.one, c.other, err1, err2)
		}
	}
}

// A thousand codes of somebody else's program.
func TestOathtool(t *testing.T) {
	tool, err := exec.LookPath("oathtool")
	if err != nil {
		t.Skip("oathtool is not installed: apt-get install oathtool")
	}
	for seed := range 10 {
		s := totp.New()
		start := rand.Int64N(4_000_000_000)
		step := totp.Step(time.Unix(start, 0))
		args := []string{"--totp=" + strings.ToLower(s.Alg.String()), "--base32", "--digits=6", "--window=99", "--now=@" + fmt.Sprint(start), s.Text().Reveal()}
		out, err := exec.Command(tool, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		codes := strings.Fields(string(out))
		if len(codes) != 100 {
			t.Fatalf("%d codes", len(codes))
		}
		for i, want := range codes {
			if got, err := s.Code(step + int64(i)); err != nil || got != want {
				t.Fatalf("seed %d, step %d: %s, oathtool says %s (%v)", seed, step+int64(i), got, want, err)
			}
		}
	}
}

func TestMatch(t *testing.T) {
	s, now := totp.New(), time.Unix(1_800_000_015, 0)
	at := totp.Step(now)
	for off := int64(-3); off <= 3; off++ {
		code, err := s.Code(at + off)
		if err != nil {
			t.Fatal(err)
		}
		step, ok, err := s.Match(secret.NewText(code[:3]+" "+code[3:]), now)
		want := off >= -1 && off <= 1
		if err != nil || ok != want || ok && step != at+off {
			t.Errorf("%d steps away: %d %v %v", off, step-at, ok, err)
		}
	}
	for _, typed := range []string{"", "12345", "1234567", "abcdef"} {
		if _, ok, err := s.Match(secret.NewText(typed), now); ok || err != nil {
			t.Errorf("%q: %v %v", typed, ok, err)
		}
	}
	if _, err := (totp.Seed{Alg: totp.SHA1, Key: secret.NewBytes([]byte("short"))}).Code(1); err == nil {
		t.Error("a short seed was used")
	}
}

func TestRoundTrips(t *testing.T) {
	s := totp.New()
	back, err := totp.FromBytes(s.Bytes())
	if err != nil || !back.Text().Equal(s.Text()) || back.Alg != s.Alg {
		t.Errorf("%v", err)
	}
	uri := s.URI("Fern & Hill: Ltd", "ana+x@example.test")
	for _, text := range []string{uri.Reveal(), s.Text().Reveal(), s.Spaced().Reveal(), strings.ToLower(s.Text().Reveal()) + "==="} {
		back, err := totp.Parse(text)
		if err != nil || !back.Text().Equal(s.Text()) {
			t.Errorf("%v", err)
		}
	}
	u, err := url.Parse(uri.Reveal())
	if err != nil || u.Query().Get("issuer") != "Fern & Hill: Ltd" || u.Path != "/Fern & Hill: Ltd:ana+x@example.test" {
		t.Errorf("%v %v", u, err)
	}
	if _, err := totp.FromBytes(secret.NewBytes([]byte{9, 1, 2})); err == nil {
		t.Error("read nonsense")
	}
	for _, bad := range []string{"", "short", "!!!!", "otpauth://hotp/x?secret=" + s.Text().Reveal(), "otpauth://totp/x?digits=8&secret=" + s.Text().Reveal(), strings.Repeat("A", 3000)} {
		if _, err := totp.Parse(bad); err == nil {
			t.Errorf("read %.40q", bad)
		}
	}
}

func TestPicture(t *testing.T) {
	b, err := totp.Picture(totp.New().URI("Fernhill", strings.Repeat("a", 200)+"@example.test"))
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil || img.Bounds().Dx() < 260 || len(b) > 8000 {
		t.Errorf("%v, %d bytes, %v", img.Bounds(), len(b), err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("otpauth://totp/a:b?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA256")
	f.Add("GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := totp.Parse(text)
		if err != nil {
			return
		}
		again, err := totp.Parse(s.URI("a", "b").Reveal())
		if err != nil || !again.Text().Equal(s.Text()) || again.Alg != s.Alg {
			t.Errorf("%q does not come back: %v", text, err)
		}
	})
}
