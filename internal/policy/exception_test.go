package policy_test

import (
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/policy"
	"writ/internal/policy/document"
)

func TestExceptionEndsByTheClock(t *testing.T) {
	w := newWorld(t)
	tight := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h"))})
	w.mustSign(tight, "ben", policy.ByOwner)
	until := w.kit.Clock.Now().Add(24 * time.Hour)
	e, err := w.s.RequestException(ctx, person("ben"), policy.ExceptionRequest{Param: ttl, Value: "12h", Reason: "a mail provider is slow", Until: until})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(name string) error {
		_, err := w.s.ApproveException(ctx, operator, e.ID, w.signText(w.keys[name], string(e.Text("IS-01", "person/"+name))))
		return err
	}
	wantCode(t, sign("ben"), fault.Denied, "self_approval") // breaks: gov.exceptions
	wantCode(t, sign("eve"), fault.Denied, "not_owner")
	w.is("1.1", time.Hour)
	if err := sign("cid"); err != nil {
		t.Fatal(err)
	}
	w.is("1.1", 12*time.Hour)
	if m, _ := w.s.Current(); len(m.Exceptions) != 1 || m.Exceptions[0].Level != document.Looser {
		t.Errorf("exceptions now: %+v", m.Exceptions)
	}
	_, err = w.s.RequestException(ctx, person("ana"), policy.ExceptionRequest{Param: ttl, Value: "6h", Reason: "x", Until: until})
	wantCode(t, err, fault.Invalid, "overlap")
	w.kit.Clock.Set(until.Add(-time.Microsecond))
	w.is("1.1", 12*time.Hour)
	w.kit.Clock.Set(until)
	w.is("1.1", time.Hour)
	w.wire()
	w.start()
	w.is("1.1", time.Hour)
	if m, err := w.s.At(until.Add(-time.Hour)); err != nil || m.Values[ttl] != 12*time.Hour {
		t.Errorf("an hour before the end: %v, %v", m.Values[ttl], err)
	}
	if got := w.s.Exceptions()[0].State; got != policy.ExceptionOver {
		t.Errorf("its state is %s", got)
	}
}

func TestExceptionRevokedEndsAtOnce(t *testing.T) {
	w := newWorld(t)
	e, err := w.s.RequestException(ctx, person("eve"), policy.ExceptionRequest{Param: ttl, Value: "2h", Reason: "try", Until: w.kit.Clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.ApproveException(ctx, operator, e.ID, w.signText(w.keys["ben"], string(e.Text("IS-01", "person/ben")))); err != nil {
		t.Fatal(err)
	}
	w.is("1.0", 2*time.Hour)
	w.kit.Clock.Advance(time.Minute)
	if _, err := w.s.RevokeException(ctx, person("eve"), e.ID, "done"); err != nil {
		t.Fatal(err)
	}
	w.is("1.0", 24*time.Hour)
}

func TestExceptionsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	now := w.kit.Clock.Now()
	for name, c := range map[string]struct {
		in   policy.ExceptionRequest
		code string
	}{
		"out of range": {policy.ExceptionRequest{Param: ttl, Value: "48h", Until: now.Add(time.Hour)}, "value"},
		"too long":     {policy.ExceptionRequest{Param: ttl, Value: "12h", Until: now.Add(91 * 24 * time.Hour)}, "until"},
		"in the past":  {policy.ExceptionRequest{Param: ttl, Value: "12h", Until: now}, "until"},
		"no change":    {policy.ExceptionRequest{Param: ttl, Value: "1d", Until: now.Add(time.Hour)}, "value"},
		"protected":    {policy.ExceptionRequest{Param: "gov.owners/need", Value: "2", Until: now.Add(time.Hour)}, "never"},
		"unknown":      {policy.ExceptionRequest{Param: "auth.nothing/x", Value: "2", Until: now.Add(time.Hour)}, "no_param"},
		"module no":    {policy.ExceptionRequest{Param: ttl, Value: "13h", Until: now.Add(time.Hour)}, "unbindable"},
	} {
		t.Run(name, func(t *testing.T) {
			c.in.Reason = "x"
			_, err := w.s.RequestException(ctx, person("ben"), c.in)
			wantCode(t, err, fault.Invalid, c.code)
		})
	}
	_, err := w.s.RequestException(ctx, person("ben"), policy.ExceptionRequest{Param: ttl, Value: "12h", Until: now.Add(time.Hour)})
	wantCode(t, err, fault.Invalid, "reason")
}

func TestRecords(t *testing.T) {
	w := newWorld(t)
	st := policy.Statement{Clause: "gov.contact", Statement: "The test message was answered in an hour.", Observed: w.kit.Clock.Now().Add(-time.Hour)}
	text, st, err := w.s.RecordText(ctx, person("eve"), st)
	if err != nil {
		t.Fatal(err)
	}
	sig := w.signText(w.keys["eve"], text)
	r, err := w.s.Attest(ctx, operator, st, sig)
	if err != nil || r.Signer != "person/eve" || r.ValidUntil.Sub(r.Observed) != 365*24*time.Hour {
		t.Fatalf("attest: %+v %v", r, err)
	}
	other := st
	other.Statement = "The test message was never answered."
	_, err = w.s.Attest(ctx, operator, other, sig)
	wantCode(t, err, fault.Invalid, "signature")
	later := st
	later.Observed = w.kit.Clock.Now().Add(time.Hour)
	_, _, err = w.s.RecordText(ctx, person("eve"), later)
	wantCode(t, err, fault.Invalid, "observed_at")
	long := st
	long.ValidFor = 366 * 24 * time.Hour
	_, _, err = w.s.RecordText(ctx, person("eve"), long)
	wantCode(t, err, fault.Invalid, "valid_for")
	bidi := st
	bidi.Statement = "safe \u202e elbasnu"
	_, _, err = w.s.RecordText(ctx, person("eve"), bidi)
	wantCode(t, err, fault.Invalid, "statement")
	w.people.leave("person/eve")
	st.Statement = "Again."
	text, st, _ = w.s.RecordText(ctx, person("eve"), st)
	_, err = w.s.Attest(ctx, operator, st, w.signText(w.keys["eve"], text))
	wantCode(t, err, fault.Denied, "not_active")
	got, err := w.s.Newest(ctx, w.kit.Clock.Now())
	if err != nil || got["gov.contact"].ID != r.ID || w.s.Genuine(got["gov.contact"]) != nil {
		t.Errorf("newest: %v %v", got, err)
	}
	w.tamper(`UPDATE policy_record SET valid_until = valid_until + 1000000000000`)
	got, _ = w.s.Newest(ctx, w.kit.Clock.Now())
	if w.s.Genuine(got["gov.contact"]) == nil {
		t.Error("a record with another end is genuine")
	}
}
