package glass_test

import (
	"errors"
	"strings"
	"testing"

	"writ/internal/fault"
	"writ/internal/identity/glass"
	"writ/internal/secret"
	"writ/internal/shamir"
)

func someShare(t testing.TB) secret.Bytes {
	t.Helper()
	shares, err := shamir.Split(secret.Random(shamir.SecretLen), 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	return shares[1]
}

// What is written is read, however it is typed.
func TestPaperIsRead(t *testing.T) {
	share := someShare(t)
	text := glass.Write(513, share).Reveal()
	if groups := strings.Split(text, "-"); len(groups) != 16 || len(text) != 64+15 {
		t.Fatalf("%d groups in %d characters", len(groups), len(text))
	}
	for name, typed := range map[string]string{
		"as printed": text, "small": strings.ToLower(text), "no dashes": strings.ReplaceAll(text, "-", ""), "lines": " " + strings.ReplaceAll(text, "-", " \r\n") + "\n",
		"letters for digits": strings.NewReplacer("0", "o", "1", "l").Replace(text),
	} {
		n, got, err := glass.Read(secret.NewText(typed))
		if err != nil || n != 513 || !got.Equal(share) {
			t.Errorf("%s: set %d, %v", name, n, err)
		}
	}
}

// A typing error is named at once: any other character at any place, two neighbours the
// wrong way round, one too few or too many.
func TestTypingErrorsAreNamed(t *testing.T) {
	text := strings.ReplaceAll(glass.Write(1, someShare(t)).Reveal(), "-", "")
	refused := func(what, typed string) {
		t.Helper()
		_, got, err := glass.Read(secret.NewText(typed))
		if code, _ := fault.PublicOf(err); !errors.Is(err, fault.Invalid) || code != "share_text" || !got.IsZero() {
			t.Errorf("%s was read: %v", what, err)
		}
	}
	for i := range text {
		for _, c := range "0123456789ABCDEFGHJKMNPQRSTVWXYZU#" {
			if byte(c) != text[i] {
				refused("another character", text[:i]+string(c)+text[i+1:])
			}
		}
		if i > 0 && text[i] != text[i-1] {
			refused("two neighbours", text[:i-1]+string(text[i])+string(text[i-1])+text[i+1:])
		}
		refused("one too few", text[:i]+text[i+1:])
		refused("one too many", text[:i]+"A"+text[i:])
	}
	for what, typed := range map[string]string{"nothing": "", "a word": "share", "no text": "\xff" + text[1:], "a book": strings.Repeat(text, 20), "a place of 0": glass.Write(1, zeroPlace()).Reveal()} {
		refused(what, typed)
	}
}

func zeroPlace() secret.Bytes { return secret.NewBytes(make([]byte, shamir.ShareLen)) }

func FuzzRead(f *testing.F) {
	f.Add(glass.Write(7, someShare(f)).Reveal())
	f.Add("")
	f.Add(strings.Repeat("0", 64))
	f.Add("ſ\u212a") // fold to ASCII
	f.Fuzz(func(t *testing.T, typed string) {
		n, share, err := glass.Read(secret.NewText(typed))
		if err != nil {
			if !share.IsZero() || !errors.Is(err, fault.Invalid) {
				t.Errorf("%q: %v", typed, err)
			}
			return
		}
		if again, same, err := glass.Read(glass.Write(n, share)); err != nil || again != n || !same.Equal(share) {
			t.Errorf("%q is read and written otherwise: %v", typed, err)
		}
	})
}
