package browser

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// device gives the tab an authenticator that keeps passkeys and verifies its user.
func (b *tab) device() webauthn.AuthenticatorID {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		b.t.Fatal(err)
	}
	made, err := chromedp.Call(b.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}})
	if err != nil {
		b.t.Fatal(err)
	}
	return made.AuthenticatorID
}

// lies makes the device answer without the mark that it verified its user.
func (b *tab) lies(id webauthn.AuthenticatorID, badUV bool) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: id, IsBadUV: &badUV}); err != nil {
		b.t.Fatal(err)
	}
}

// ready makes the device answer by itself, or not at all.
func (b *tab) ready(id webauthn.AuthenticatorID, on bool) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: id, Enabled: on}); err != nil {
		b.t.Fatal(err)
	}
}

// lands waits until the browser is at a path, wherever it was.
func (b *tab) lands(path string) {
	b.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if b.at() == path {
			return
		}
	}
	b.t.Fatalf("the browser is at %s, want %s:\n%s", b.at(), path, cut(b.text()))
}

// A passkey in a real browser: set up, used where the address is typed, by the button and
// after a password, and refused when the device did not verify its user.
func TestPasskeys(t *testing.T) {
	t.Parallel()
	h := theHouse(t)
	source := theAxe(t)
	const address = "kim@lantern.example.test"
	h.customer(t, address, "Kim Vale", "Lantern")
	b := h.tab(t)
	key := b.device()

	b.signIn(address, aPassword, "/contacts")
	b.look(source, sheet{name: "passkeys-none", path: "/-/account/passkeys", words: "Your device keeps it", picture: true})
	b.fill("name", "the blue key")
	b.press("Set up a passkey")
	b.wants("/-/account/passkeys", "Keep these recovery codes")
	b.look(source, sheet{name: "passkeys", path: "/-/account/passkeys", words: "the blue key", picture: true})
	b.wants("/-/account/passkeys", "on one device", "not yet")
	b.do("press it again", chromedp.Click(chromedp.CSS(`form[data-passkey=create] button`)))
	b.says("This device has a passkey for your account already")
	b.shown("passkeys-told")
	b.look(source, sheet{name: "passkey", show: func(b *tab) { b.open("/-/account/passkeys"); b.follow("the blue key") }, words: "Remove", picture: true})
	b.fill("name", "the green key")
	b.press("Rename it")
	b.wants("/-/account/passkeys", "The passkey has its new name", "the green key")

	// Where the address is typed, the browser offers it.
	b.out(key)
	b.ready(key, true)
	b.open("/-/sign-in?to=/contacts")
	b.lands("/contacts")

	// By the button, while the offer waits.
	b.out(key)
	b.look(source, sheet{name: "sign-in-passkey", path: "/-/sign-in?to=/contacts", words: "Sign in with a passkey", picture: true})
	b.ready(key, true) // before the press: a question that waits is not answered by it
	b.do("press the button", chromedp.Click(chromedp.CSS(`form[data-passkey=get] button`)))
	b.lands("/contacts")

	// A device that did not verify its user.
	b.out(key)
	b.lies(key, true)
	b.ready(key, true)
	b.open("/-/sign-in?to=/contacts")
	b.lands("/-/sign-in/passkey")
	b.wants("/-/sign-in/passkey", "This passkey does not open an account here")
	b.ready(key, false)
	b.lies(key, false)
	if c := b.complaints(true); len(c) > 0 { // the refusal itself is on the browser's list
		t.Errorf("the browser complains: %s", strings.Join(c, "\n"))
	}

	// After a password.
	b.password(address)
	b.look(source, sheet{name: "factor-passkey", path: "/-/sign-in/factor?to=/contacts", words: "Use your passkey", picture: true})
	b.ready(key, true)
	b.press("Use a passkey")
	b.wants("/contacts", "No contacts yet")
	b.open("/-/account/passkeys")
	b.wants("/-/account/passkeys", "the green key", "just now")

	// A fresh proof within the session.
	b.ready(key, false)
	b.look(source, sheet{name: "step-up-passkey", path: "/-/step-up?to=/contacts", words: "Is it you?", picture: true})
	b.ready(key, true)
	b.press("Use a passkey")
	b.wants("/contacts", "No contacts yet")

	// Without scripts the page says how to go on.
	b.out(key)
	b.script(false)
	b.password(address)
	b.wants("/-/sign-in/factor", "Passkeys need JavaScript", "Use a recovery code")
	if c := b.complaints(true); len(c) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(c, "\n"))
	}
}

// password takes the first step of a sign-in.
func (b *tab) password(address string) {
	b.t.Helper()
	b.open("/-/sign-in")
	b.fill("email", address)
	b.fill("password", aPassword)
	b.press("Sign in")
	b.wants("/-/sign-in/factor")
}

// out signs out, and keeps the device from answering the page that comes then.
func (b *tab) out(id webauthn.AuthenticatorID) {
	b.t.Helper()
	b.ready(id, false)
	b.open("/-/sign-out")
	b.press("Sign out")
	b.open("about:blank")
}

// shown writes a picture of what stands there now, where pictures are wanted.
func (b *tab) shown(name string) {
	if dir := os.Getenv("WRIT_SHOTS"); dir != "" {
		b.picture(dir, name)
	}
}

// says waits for words of the script beside its form.
func (b *tab) says(words string) {
	b.t.Helper()
	var text string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if text = eval[string](b, `document.querySelector("[data-says]").textContent`); strings.Contains(text, words) {
			return
		}
	}
	b.t.Fatalf("the page says %q, not %q", text, words)
}
