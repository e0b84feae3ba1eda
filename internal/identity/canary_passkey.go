package identity

import (
	"encoding/json"
	"net/http"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/fault"
	"writ/internal/identity/passkey"
	"writ/internal/ledger"
)

// posedTo is a question that the canary was asked.
type posedTo struct {
	Flow    string          `json:"flow"`
	Options json.RawMessage `json:"options"`
}

// question asks for one at a path that gives questions to passkeys.
func (t *trial) question(v *canary.Visitor, path string) posedTo {
	var q posedTo
	a := t.ask(v, http.MethodPost, path, map[string]string{})
	if t.err == nil && (a.Status != http.StatusOK || json.Unmarshal([]byte(a.Body), &q) != nil) {
		t.works("ask for a passkey", a, http.StatusOK)
	}
	return q
}

// send sends an answer whose body is not only of texts.
func (t *trial) sendJSON(v *canary.Visitor, path string, body map[string]any) canary.Answer {
	if t.err != nil {
		return canary.Answer{}
	}
	b, err := json.Marshal(body)
	if err != nil {
		t.err = err
		return canary.Answer{}
	}
	a, err := v.Do(t.ctx, http.MethodPost, "/-/api/v1/"+path, string(b))
	if err == nil && a.Status >= 500 {
		err = fault.Newf(fault.Unavailable, "away", "%s answered %s", path, saw(a))
	}
	t.err = err
	return a
}

// makeWith answers a question with a new passkey, told how to lie.
func (t *trial) makeWith(v *canary.Visitor, k *passkey.Key, q posedTo) canary.Answer {
	answer, err := k.Make(q.Options)
	if err != nil && t.err == nil {
		t.err = err
	}
	return t.sendJSON(v, "factors/passkey", map[string]any{"flow": q.Flow, "credential": answer})
}

// proveWith answers a question by a passkey and returns the answer for another use.
func (t *trial) proveWith(v *canary.Visitor, k *passkey.Key, q posedTo) (canary.Answer, json.RawMessage) {
	answer, err := k.Prove(q.Options)
	if err != nil && t.err == nil {
		t.err = err
	}
	return t.showPasskey(v, q.Flow, answer), answer
}

func (t *trial) showPasskey(v *canary.Visitor, flow string, answer json.RawMessage) canary.Answer {
	return t.sendJSON(v, "sign-in/factor", map[string]any{"flow": flow, "kind": FactorPasskey, "credential": answer})
}

// passkeys is the other half of access.mfa-by-technology: what counts for two factors
// cannot be had from another site, without its user, twice, or as a copy.
func (t *trial) passkeys() string {
	p, v := t.person(), t.visitor()
	t.works("sign in with the password", t.signIn(v, p.email, p.password.Reveal()), http.StatusOK)
	party, err := t.s.party()
	if err != nil {
		t.refused("ask for a passkey", t.ask(v, http.MethodPost, "sign-in/passkey", map[string]string{}), http.StatusUnprocessableEntity, "passkey_host")
		return "this site is reached by an address of numbers, so there are no passkeys to lie with"
	}
	k, err := party.NewKey()
	if err != nil {
		t.err = err
		return ""
	}
	q := t.question(v, "factors/passkey/options")
	if t.s.Makers != nil {
		t.refused("make a passkey that no maker vouches for", t.makeWith(v, k, q), http.StatusUnprocessableEntity, "passkey_refused")
		if k = t.plantsPasskey(p.id); k == nil {
			return ""
		}
		return t.usesPasskey(k)
	}
	for _, lie := range lies(k) {
		lie.on()
		t.refused("make a passkey "+lie.says, t.makeWith(v, k, q), http.StatusUnprocessableEntity, "passkey_refused")
		lie.off()
	}
	t.works("make a passkey", t.makeWith(v, k, q), http.StatusOK)
	return t.usesPasskey(k)
}

// plantsPasskey gives a planted person a passkey that no maker vouches for, past the door
// that takes none.
func (t *trial) plantsPasskey(person string) *passkey.Key {
	if t.err != nil {
		return nil
	}
	k, n, err := t.madeUp(person)
	if err == nil {
		_, err = t.s.DB.Change(t.ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
			return CanaryPlanted{Control: t.control, What: "passkey", Person: person}, n.insert(t.ctx, tx)
		})
	}
	if t.err = err; err != nil {
		return nil
	}
	return k
}

func (t *trial) madeUp(person string) (*passkey.Key, newPasskey, error) {
	party, err := passkey.New(t.s.Origin, t.s.Now)
	if err != nil {
		return nil, newPasskey{}, err
	}
	k, err := party.NewKey()
	if err != nil {
		return nil, newPasskey{}, err
	}
	c, options, err := party.Create("canary", passkey.Owner{Handle: passkey.NewHandle(), Name: "canary"})
	if err != nil {
		return nil, newPasskey{}, err
	}
	answer, err := k.Make(options)
	if err != nil {
		return nil, newPasskey{}, err
	}
	r, err := party.Created(c, answer)
	if err != nil {
		return nil, newPasskey{}, err
	}
	n, err := t.s.sealNewPasskey(t.ctx, person, "canary", r)
	return k, n, err
}

// usesPasskey signs in by a passkey, and in every wrong way.
func (t *trial) usesPasskey(k *passkey.Key) string {
	w := t.visitor()
	q := t.question(w, "sign-in/passkey")
	for _, lie := range lies(k) {
		lie.on()
		a, _ := t.proveWith(w, k, q)
		t.refused("sign in by it "+lie.says, a, http.StatusUnauthorized, "sign_in_refused")
		lie.off()
	}
	a, right := t.proveWith(w, k, q)
	t.works("sign in by it", a, http.StatusOK)
	t.refused("send the same answer again", t.showPasskey(t.visitor(), q.Flow, right), http.StatusUnauthorized, "sign_in_refused")
	q = t.question(w, "sign-in/passkey")
	t.refused("send the same answer to another question", t.showPasskey(w, q.Flow, right), http.StatusUnauthorized, "sign_in_refused")
	k.Count--
	a, _ = t.proveWith(w, k, q)
	t.refused("sign in by a copy of it", a, http.StatusUnauthorized, "sign_in_refused")
	return "a passkey counted only at this site, with its user verified, once for each question, and never as a copy"
}

// lie is something that a device or browser might say that is not so.
type lie struct {
	says    string
	on, off func()
}

func lies(k *passkey.Key) []lie {
	origin, host := k.Origin, k.Host
	return []lie{
		{"at another site", func() { k.Origin = "https://login.example" }, func() { k.Origin = origin }},
		{"for another host", func() { k.Host = "login.example" }, func() { k.Host = host }},
		{"without its user verified", func() { k.Unverified = true }, func() { k.Unverified = false }},
	}
}
