package browser

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// What a customer and an owner do, with and without scripts.
func TestStories(t *testing.T) {
	t.Parallel()
	h := theHouse(t)
	for _, c := range []struct {
		name   string
		script bool
	}{{"scripts", true}, {"plain", false}} {
		t.Run("customer/"+c.name, func(t *testing.T) {
			t.Parallel()
			b := h.tab(t)
			b.script(c.script)
			customer(b, c.name+"@orchard.example")
		})
		t.Run("owner/"+c.name, func(t *testing.T) {
			t.Parallel()
			b := h.tab(t)
			b.script(c.script)
			owner(b, h.staff(t, c.name+"@example.test", "Owner "+strings.ToUpper(c.name[:1])), c.name+"@example.test")
		})
	}
}

// customer signs up, confirms, uses the application, forgets the password and sets another.
func customer(b *tab, address string) {
	b.t.Helper()
	b.open("/")
	b.wants("/", "Everyone you work with")
	b.follow("Create an account")
	b.wants("/-/sign-up", "Fernhill")
	b.fill("email", address)
	b.fill("name", "Maria Ferro")
	b.fill("password", aPassword)
	b.press("Sign up")
	b.wants("/-/sign-up/sent", "Check your mail", address)
	b.open(b.h.letter(b.t, address, 1))
	b.wants(b.at(), "Confirm your address", address)
	b.press("Confirm this address")
	b.wants("/-/sign-in", "Your address is confirmed")
	b.signIn(address, aPassword, "/contacts")
	b.wants("/contacts", "No contacts yet")
	b.fill("name", "Ilse Brandt")
	b.fill("email", "ilse@brandt.example")
	b.press("Add contact")
	b.wants("/contacts", "Ilse Brandt", "ilse@brandt.example")
	b.follow("Account")
	b.wants("/-/account", "Maria Ferro", address, "You are signed in here only")
	b.follow("Sessions")
	b.wants("/-/account/sessions", "this session")

	b.open("/-/sign-out")
	b.press("Sign out")
	b.open("/-/sign-in")
	b.fill("email", address)
	b.fill("password", "not my password")
	b.press("Sign in")
	b.wants("/-/sign-in", "The address or the password is not right")
	b.follow("I forgot my password")
	b.fill("email", address)
	b.press("Send the link")
	b.wants("/-/forgot/sent", "If there is an account")
	b.open(b.h.letter(b.t, address, 2))
	b.wants("/-/recover", "Set a new password")
	b.fill("new", anotherPassword)
	b.press("Set the new password")
	b.wants("/-/sign-in", "Your new password is set")
	b.signIn(address, anotherPassword, "/contacts")
	b.wants("/contacts", "Ilse Brandt")
	if c := b.complaints(true); len(c) > 0 {
		b.t.Errorf("the browser complains: %s", strings.Join(c, "\n"))
	}
}

// owner sets a password with the link and reads the policy down to a proof.
func owner(b *tab, link, address string) {
	b.t.Helper()
	b.open(link)
	b.wants("/-/invite", "Choose a password")
	b.fill("new", aPassword)
	b.press("Set the password")
	b.wants("/-/sign-in", "Your password is set")
	b.fill("email", address)
	b.fill("password", aPassword)
	b.press("Sign in")
	b.wants("/-/account/factors", "Until there is one, nothing else opens.")
	b.open("/-/console")
	b.wants("/-/account/factors", "Until there is one, nothing else opens.")
	b.setUp(address)
	b.follow("I have kept them")
	b.wants("/-/console", "Owners")
	b.open("/-/sign-out")
	b.press("Sign out")
	b.open("/-/sign-in?to=/-/console")
	b.fill("email", address)
	b.fill("password", aPassword)
	b.press("Sign in")
	b.wants("/-/sign-in/factor", "One more step")
	b.fill("code", b.h.phone(b.t, address).code(b.t))
	b.press("Go on")
	b.wants("/-/console", "Owners", "SHA-256", " hold")

	// A mark of the margin that a running check has set.
	const clause = "auth.reset-link-lifetime"
	live := regexp.MustCompile(`(?s)A reset link stops working 24 hours.*holds · .* ago`)
	var margin string
	for end := time.Now().Add(patience); ; b.open("/-/console") {
		margin = eval[string](b, `document.getElementById("`+clause+`").innerText`)
		if live.MatchString(margin) {
			break
		}
		if time.Now().After(end) {
			b.t.Fatalf("the mark does not come alive: %s", margin)
		}
		time.Sleep(time.Second)
	}
	b.leave(`//article[@id="` + clause + `"]//span[@class="no"]/a`)
	b.wants("/-/console/clauses/"+clause, "What looks at it", "Values", "24 hours", "History")
	b.leave(`(//ul[@class="controls"]//span[@class="entry"]/a)[1]`)
	if !strings.HasPrefix(b.at(), "/-/console/journal/") {
		b.t.Fatalf("the evidence leads to %s", b.at())
	}
	b.wants(b.at(), "Proof", "Leaf hash", "Download the proof", clause)
	if state := eval[string](b, `document.querySelector("#proof ~ p .mark").className`); !strings.Contains(state, "holds") {
		b.t.Errorf("the entry's proof is marked %q: %s", state, b.text())
	}
	if c := b.complaints(false); len(c) > 0 {
		b.t.Errorf("the browser complains: %s", strings.Join(c, "\n"))
	}
}
