package item

import (
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/secret"
)

func FuzzSeed(f *testing.F) {
	for _, s := range []string{"JBSWY3DPEHPK3PXP", "jbsw y3dp-ehpk 3pxp", "otpauth://totp/a:b?secret=JBSWY3DPEHPK3PXP&digits=8&period=60&algorithm=SHA512", "otpauth://hotp/a", "otpauth://totp/%zz", "=", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSeed(secret.NewText(text))
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("%v", err)
			}
			return
		}
		again, err := parseSeed(s.uri())
		if err != nil || !again.key.Equal(s.key) || again.alg != s.alg || again.digits != s.digits || again.period != s.period {
			t.Errorf("kept as another seed: %v", err)
		}
		code, left, err := s.code(time.Unix(1_800_000_000, 0))
		if err != nil || code.Len() != s.digits || left <= 0 || left > time.Duration(s.period)*time.Second {
			t.Errorf("a code of %d digits for %s: %v", code.Len(), left, err)
		}
	})
}

// The length of what is sealed tells only a step.
func TestPadding(t *testing.T) {
	sizes := map[int]bool{}
	for n := range 9000 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i * 7)
		}
		p := pad(b)
		sizes[len(p)] = true
		back, err := unpad(secret.NewBytes(p))
		if err != nil || string(back.Reveal()) != string(b) {
			t.Fatalf("%d bytes come back as %d (%v)", n, back.Len(), err)
		}
	}
	if len(sizes) != 7 { // 16 64 256 1024 4096 8192 12288
		t.Errorf("sizes: %v", sizes)
	}
	for _, bad := range [][]byte{nil, make([]byte, 16), {1, 2, 3}} {
		if _, err := unpad(secret.NewBytes(bad)); err == nil {
			t.Errorf("%v has no end and was taken", bad)
		}
	}
}
