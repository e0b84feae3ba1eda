package keyring_test

import (
	"testing"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/keyring/keyringtest"
	"writ/internal/pgtest"
)

// A row that cannot be deleted is not called destroyed, though its bytes are overwritten.
//
// breaks: data.crypto-erase
func TestEraseWantsTheRowGone(t *testing.T) {
	c := newClock()
	o := keyring.Options{Dir: t.TempDir(), Now: c.now}
	r := keyringtest.Open(t, o)
	must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("ana")))
	if _, err := raw(t, o).Exec(`CREATE TRIGGER keep BEFORE DELETE ON keyring_key BEGIN SELECT RAISE(IGNORE); END`); err != nil {
		t.Fatal(err)
	}
	_, err := r.Erase(t.Context(), keyring.Person("ana"))
	want(t, err, fault.Internal, "erase of a row that stays")
	if code, _ := fault.PublicOf(err); code != "erase_unverified" {
		t.Errorf("it says %s: %v", code, err)
	}
	if _, err := raw(t, o).Exec(`DROP TRIGGER keep`); err != nil {
		t.Fatal(err)
	}
	must[keyring.Destroyed](t)(r.Erase(t.Context(), keyring.Person("ana")))
}

// A retired key-encryption key lives to the last minute of its time.
func TestRetiredKeyLivesItsTime(t *testing.T) { // breaks: crypto.key-rotation
	c := newClock()
	r := keyringtest.Open(t, keyring.Options{Dir: t.TempDir(), Now: c.now})
	must[keyring.KEK](t)(r.Rotate(t.Context()))
	rewrapAll(t, r)
	c.add(month - time.Minute)
	if gone := must[[]keyring.KEK](t)(r.Destroy(t.Context(), month)); len(gone) != 0 {
		t.Errorf("destroyed a minute before its time: %+v", gone)
	}
	c.add(time.Minute)
	if gone := must[[]keyring.KEK](t)(r.Destroy(t.Context(), month)); len(gone) != 1 {
		t.Errorf("destroyed %+v", gone)
	}
}

// A key that was read before its erasure, and arrives after it, is not remembered.
func TestErasedKeyArrivesLate(t *testing.T) { // breaks: data.crypto-erase
	c := newClock()
	r := keyringtest.Open(t, keyring.Options{Dir: t.TempDir(), Now: c.now})
	ana := keyring.Person("ana")
	must[envelope.Key](t)(r.Ensure(t.Context(), ana))
	if kept := must[bool](t)(r.KeptLate(t.Context(), ana, func() {})); !kept {
		t.Fatal("a key is not remembered at all")
	}
	if kept := must[bool](t)(r.KeptLate(t.Context(), ana, func() { must[keyring.Destroyed](t)(r.Erase(t.Context(), ana)) })); kept {
		t.Error("a destroyed key is remembered")
	}
}

// A store that would keep deleted bytes is refused, for either of its reasons.
func TestUnsafeStore(t *testing.T) { // breaks: data.crypto-erase
	for _, pragma := range []string{"PRAGMA secure_delete = off", "PRAGMA secure_delete = fast", "PRAGMA journal_mode = persist"} {
		c := newClock()
		r := keyringtest.Open(t, keyring.Options{Dir: t.TempDir(), Now: c.now})
		if err := r.Guarded(t.Context(), "PRAGMA secure_delete = on"); err != nil {
			t.Fatal(err)
		}
		want(t, r.Guarded(t.Context(), pragma), fault.Internal, pragma)
	}
}

// A destroyed key whose row is back is not gone, whatever the list says.
func TestGoneLooksAtTheRow(t *testing.T) { // breaks: data.crypto-erase
	c := newClock()
	o := keyring.Options{Dir: t.TempDir(), Now: c.now}
	r := keyringtest.Open(t, o)
	k := must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("ana")))
	must[keyring.Destroyed](t)(r.Erase(t.Context(), keyring.Person("ana")))
	if gone := must[bool](t)(r.Gone(t.Context(), k.ID())); !gone {
		t.Fatal("it is not gone")
	}
	if _, err := raw(t, o).Exec(`INSERT INTO keyring_key (id, kind, mark, version, kek, box, created) VALUES ($1, 'person', 'x', 1, '', x'00', 0)`, k.ID()); err != nil {
		t.Fatal(err)
	}
	if gone := must[bool](t)(r.Gone(t.Context(), k.ID())); gone {
		t.Error("it is called gone, and its row is there")
	}
}

// A clock that is set back does not keep a key alive that another node destroyed.
func TestClockSetBack(t *testing.T) { // breaks: data.crypto-erase
	c := newClock()
	o := keyring.Options{Dir: t.TempDir(), URL: pgtest.URL(t), Now: c.now}
	here := keyringtest.Open(t, o)
	there := keyringtest.Reopen(t, o)
	ana := keyring.Person("ana")
	must[envelope.Key](t)(here.Ensure(t.Context(), ana))
	must[keyring.Destroyed](t)(there.Erase(t.Context(), ana))
	must[envelope.Key](t)(here.Key(t.Context(), ana)) // for a second, from memory
	c.add(-time.Hour)
	_, err := here.Key(t.Context(), ana)
	want(t, err, fault.Gone, "a key of memory after the clock was set back")
}
