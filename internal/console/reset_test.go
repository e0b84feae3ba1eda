package console_test

import (
	"net/url"
	"strings"
	"testing"

	"writ/internal/ledger"
)

// factor gives somebody a second factor that can be lost.
func (w *world) factor(name string) {
	w.t.Helper()
	err := w.kit.DB.Quiet(w.t.Context(), ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(w.t.Context(), `INSERT INTO identity_factor (id, person, kind, name, box, mark, step, picture, created, confirmed, used, fails, locked)
			VALUES ($1, $2, 'totp', NULL, $3, $1, 0, '', 0, 1, NULL, 0, NULL) ON CONFLICT (id) DO NOTHING`, "factor-of-"+name, w.ids[name], []byte{0})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// A reset of lost factors is asked for, seen on the person's page, and decided by another.
func TestFactorResetsOnThePage(t *testing.T) {
	w := newWorld(t)
	const at = "/-/console/factor-resets"
	w.factor("suna")
	w.get("dev", at).want(403)
	w.get("ana", at).want(200, "No request waits", "Ask for a reset")
	w.post("ana", at, url.Values{"person": {"suna"}, "reason": {"short"}}).want(422, "10 to 100 characters")
	w.post("ana", at, url.Values{"person": {"suna"}, "reason": {"called back on the known number"}}).want(303)
	mine := w.get("ana", at)
	mine.want(200, "waits for a second person", "called back on the known number")
	if strings.Contains(mine.Body.String(), at+"/agree") {
		t.Error("whoever asked is offered to agree")
	}
	w.get("ana", "/-/console/people/"+w.ids["suna"]).want(200, "a reset waits for a second person")
	w.post("ana", at+"/agree", url.Values{"person": {w.ids["suna"]}}).want(403)
	w.post("ben", at+"/refuse", url.Values{"person": {w.ids["suna"]}}).want(303)
	w.get("ben", at).want(200, "ended, withdrawn", "No request waits")
	w.post("ana", at, url.Values{"person": {"suna"}, "reason": {"called back on the known number"}}).want(303)
	w.post("ben", at+"/agree", url.Values{"person": {w.ids["suna"]}}).want(303)
	w.get("ben", at).want(200, "done", "agreed to by Ben")
}

// The page of rights says all that a role may do, in words that wrap.
func TestRolesAreNotCut(t *testing.T) {
	w := newWorld(t)
	p := w.get("ana", "/-/console/rights").want(200, "Lend a role")
	body := p.Body.String()
	if strings.Contains(body, "<select") || strings.Count(body, `type="radio" name="role"`) < 2 {
		t.Error("roles are offered in a list that cuts what they may do")
	}
}

// Whoever left has a receipt on their page, with the entry that proves it.
func TestReceiptOnThePage(t *testing.T) {
	w := newWorld(t)
	at := "/-/console/people/" + w.ids["suna"]
	w.post("ana", at+"/disable", url.Values{"handle": {"suna"}}).want(303)
	w.settle()
	w.get("ana", at).want(200, "Receipt of the end", "Seconds to zero", "nothing was left", "lent roles", "writ verify")
}
