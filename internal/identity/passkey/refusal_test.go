package passkey_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"writ/internal/identity/passkey"
)

// Each way to make a passkey that must not be. The same story without the change works
// in TestMakeAndProve.
func TestNotMade(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*desk)
		after  func(*desk, *string)
		want   passkey.Cause
	}{
		"another site":    {before: func(d *desk) { d.site.Origin = "https://app.example.test.evil.test" }, want: passkey.WrongOrigin},
		"another port":    {before: func(d *desk) { d.site.Origin += ":8443" }, want: passkey.WrongOrigin},
		"plain text":      {before: func(d *desk) { d.site.Origin = "http://app.example.test" }, want: passkey.WrongOrigin},
		"other case":      {before: func(d *desk) { d.site.Origin = "https://APP.example.test" }, want: passkey.WrongOrigin},
		"another host":    {before: func(d *desk) { d.site.ID = "example.test" }, want: passkey.WrongHost},
		"nobody there":    {before: func(d *desk) { d.device.Options.UserNotPresent = true }, want: passkey.NobodyPresent},
		"not verified":    {before: func(d *desk) { d.device.Options.UserNotVerified = true }, want: passkey.NotVerified},
		"copied uncopied": {before: func(d *desk) { d.device.Options.BackupEligible, d.device.Options.BackupState = false, true }, want: passkey.BackupChanged},
		"in a frame":      {after: func(d *desk, a *string) { *a = client(d.t, *a, map[string]any{"crossOrigin": true}) }, want: passkey.Framed},
		"under another":   {after: func(d *desk, a *string) { *a = client(d.t, *a, map[string]any{"topOrigin": origin}) }, want: passkey.Framed},
		"a proof":         {after: func(d *desk, a *string) { *a = client(d.t, *a, map[string]any{"type": "webauthn.get"}) }, want: passkey.WrongCeremony},
		"altered":         {after: func(d *desk, a *string) { *a = client(d.t, *a, map[string]any{"x": "y"}) }, want: passkey.BadSignature},
		"too late":        {after: func(d *desk, _ *string) { d.now = d.now.Add(passkey.Timeout) }, want: passkey.Expired},
		"not resident": {after: func(d *desk, a *string) {
			*a = edit(d.t, *a, map[string]any{"clientExtensionResults.credProps.rk": false})
		}, want: passkey.NotResident},
		"too large": {after: func(_ *desk, a *string) { *a += strings.Repeat(" ", 8<<10) }, want: passkey.TooLarge},
		"half":      {after: func(_ *desk, a *string) { *a = (*a)[:len(*a)/2] }, want: passkey.Unreadable},
		"twice":     {after: func(_ *desk, a *string) { *a += *a }, want: passkey.Unreadable},
		"another id": {after: func(d *desk, a *string) {
			id := base64.RawURLEncoding.EncodeToString([]byte("another"))
			*a = edit(d.t, *a, map[string]any{"id": id, "rawId": id})
		}, want: passkey.Unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			if c.before != nil {
				c.before(d)
			}
			asked, answer := d.create()
			if c.after != nil {
				c.after(d, &answer)
			}
			_, err := d.party.Created(asked, []byte(answer))
			refused(t, err, c.want)
		})
	}
}

// Each way to prove that must not count.
func TestNotProved(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*desk)
		after  func(*desk, *string, *passkey.Record)
		want   passkey.Cause
	}{
		"another site":       {before: func(d *desk) { d.site.Origin = "https://login.example.test" }, want: passkey.WrongOrigin},
		"another host":       {before: func(d *desk) { d.site.ID = "example.test" }, want: passkey.WrongHost},
		"nobody there":       {before: func(d *desk) { d.device.Options.UserNotPresent = true }, want: passkey.NobodyPresent},
		"not verified":       {before: func(d *desk) { d.device.Options.UserNotVerified = true }, want: passkey.NotVerified},
		"no longer copyable": {before: func(d *desk) { d.device.Options.BackupEligible = false }, want: passkey.BackupChanged},
		"a copy":             {before: func(d *desk) { d.key.Counter = 4 }, want: passkey.Cloned},
		"the same count":     {before: func(d *desk) { d.key.Counter = 7 }, want: passkey.Cloned},
		"no count any more":  {before: func(d *desk) { d.key.Counter = 0 }, want: passkey.Cloned},
		"no handle":          {before: func(d *desk) { d.device.Options.UserHandle = nil }, want: passkey.WrongOwner},
		"another handle":     {before: func(d *desk) { d.device.Options.UserHandle = passkey.NewHandle() }, want: passkey.WrongOwner},
		"another key": {before: func(d *desk) {
			id := d.key.ID
			d.key = newKey()
			d.key.ID, d.key.Counter = id, 8
		}, want: passkey.BadSignature},
		"another record": {after: func(_ *desk, _ *string, r *passkey.Record) { r.ID = []byte("another") }, want: passkey.UnknownCredential},
		"another owner":  {after: func(_ *desk, _ *string, r *passkey.Record) { r.Handle = passkey.NewHandle() }, want: passkey.WrongOwner},
		"in a frame":     {after: func(d *desk, a *string, _ *passkey.Record) { *a = client(d.t, *a, map[string]any{"crossOrigin": true}) }, want: passkey.Framed},
		"a creation": {after: func(d *desk, a *string, _ *passkey.Record) {
			*a = client(d.t, *a, map[string]any{"type": "webauthn.create"})
		}, want: passkey.WrongCeremony},
		"altered":   {after: func(d *desk, a *string, _ *passkey.Record) { *a = client(d.t, *a, map[string]any{"x": "y"}) }, want: passkey.BadSignature},
		"too late":  {after: func(d *desk, _ *string, _ *passkey.Record) { d.now = d.now.Add(passkey.Timeout) }, want: passkey.Expired},
		"too large": {after: func(_ *desk, a *string, _ *passkey.Record) { *a += strings.Repeat(" ", 8<<10) }, want: passkey.TooLarge},
		"half":      {after: func(_ *desk, a *string, _ *passkey.Record) { *a = (*a)[:len(*a)/2] }, want: passkey.Unreadable},
	} {
		for _, named := range []bool{false, true} {
			if named && name == "no handle" {
				continue // a question that names credentials needs none; Level 3 §7.2 step 6
			}
			t.Run(name+map[bool]string{true: " named"}[named], func(t *testing.T) {
				d := open(t)
				r := d.made()
				r.Count, d.key.Counter = 7, 8
				if c.before != nil {
					c.before(d)
				}
				var from []passkey.Record
				if named {
					from = append(from, r)
				}
				asked, answer := d.ask(from...)
				if c.after != nil {
					c.after(d, &answer, &r)
				}
				_, err := d.prove(asked, answer, r)
				refused(t, err, c.want)
			})
		}
	}
}

// An answer fits the question it was given to, and no other.
func TestReplayed(t *testing.T) {
	d := open(t)
	made, answer := d.create()
	r, err := d.party.Created(made, []byte(answer))
	if err != nil {
		t.Fatal(err)
	}
	again, _ := d.create()
	_, err = d.party.Created(again, []byte(answer))
	refused(t, err, passkey.WrongChallenge)

	asked, proof := d.ask()
	if _, err := d.prove(asked, proof, r); err != nil {
		t.Fatal(err)
	}
	other, _ := d.ask()
	_, err = d.prove(other, proof, r)
	refused(t, err, passkey.WrongChallenge)

	_, err = d.party.Created(asked, []byte(answer))
	refused(t, err, passkey.WrongCeremony)
	_, err = d.prove(made, proof, r)
	refused(t, err, passkey.WrongCeremony)
}

// A question with a list is answered by one of the list, also when another of it was
// removed meanwhile.
func TestList(t *testing.T) {
	d := open(t)
	first := d.made()
	d.key = newKey()
	second := d.made()
	asked, proof := d.ask(first, second)
	if _, err := d.prove(asked, proof, second); err != nil {
		t.Error(err)
	}
	asked, proof = d.ask(first)
	_, err := d.prove(asked, proof, second)
	refused(t, err, passkey.UnknownCredential)
}

// A question of one host is not answered at another after the server was renamed.
func TestRenamed(t *testing.T) {
	d := open(t)
	r := d.made()
	asked, proof := d.ask()
	p, err := passkey.New("https://new.example.test", func() time.Time { return d.now })
	if err != nil {
		t.Fatal(err)
	}
	d.party = p
	_, err = d.prove(asked, proof, r)
	refused(t, err, passkey.WrongHost)
}
