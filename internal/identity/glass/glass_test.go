package glass_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity/glass"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/shamir"
	"writ/internal/web"
)

// The whole way: two of three holders open an owner's session without any session of
// their own; it is recorded before it opens, told at each step, and ends by itself.
func TestBreakTheGlass(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		shares := w.live()
		if got := w.post.to("identity.glass-share"); !slices.Equal(got, []string{"ana", "dev", "eve"}) {
			t.Errorf("letters to holders: %v", got)
		}
		owners := []string{"ana", "ben"}
		g := w.give(glass.Give{Share: shares["dev"], Reason: why})
		if g.Given != 1 || g.Need != 2 || g.Done || !g.Enter.IsZero() || !slices.Equal(w.post.to("identity.glass-asked"), owners) {
			t.Fatalf("after one share: %+v, letters to %v", g, w.post.to("identity.glass-asked"))
		}
		done := w.give(glass.Give{Share: shares["eve"], Code: strings.ToLower(strings.ReplaceAll(g.Code, "-", " "))})
		if !done.Done || done.Enter.IsZero() || !slices.Equal(w.post.to("identity.glass-granted"), owners) {
			t.Fatalf("after two: %+v, letters to %v", done, w.post.to("identity.glass-granted"))
		}
		if n := len(kit.Recorded("identity.breakglass-granted")); n != 1 {
			t.Fatalf("%d grants are recorded before the session", n)
		}
		if w.one(`SELECT COUNT(*) || '' FROM identity_glass_use WHERE entered IS NOT NULL`) != "0" {
			t.Fatal("the session opened by itself")
		}
		e, err := w.svc.Enter(t.Context(), stranger, done.Enter, stranger.ID)
		if err != nil {
			t.Fatal(err)
		}
		who, sess, err := w.people.Session(t.Context(), e.Token)
		if err != nil || who.Kind != actor.BreakGlass || who.ID != done.Use || !who.Has("owner") || sess.Ends.Sub(kit.Clock.Now()) != 30*time.Minute {
			t.Fatalf("%+v %+v %v", who, sess, err)
		}
		if _, err := w.people.List(t.Context(), who, ""); err != nil {
			t.Errorf("it may not look at people: %v", err)
		}
		if _, err := w.svc.Enter(t.Context(), stranger, done.Enter, stranger.ID); !errors.Is(err, fault.Gone) {
			t.Errorf("the hand-over worked twice: %v", err)
		}
		var kinds []string
		for _, r := range kit.Recorded("identity.breakglass-asked", "identity.breakglass-share-given", "identity.breakglass-granted", "identity.breakglass-used") {
			kinds = append(kinds, r.Name)
		}
		if kinds[len(kinds)-1] != "identity.breakglass-used" || len(kinds) != 5 {
			t.Errorf("recorded: %v", kinds)
		}
		if used := kit.Recorded("identity.breakglass-used")[0]; used.Actor != "break-glass/"+done.Use {
			t.Errorf("what is done in it is by %q", used.Actor)
		}
		kit.Clock.Advance(30*time.Minute - time.Second)
		if _, _, err := w.people.Session(t.Context(), e.Token); err != nil {
			t.Errorf("a second before its end: %v", err)
		}
		kit.Clock.Advance(time.Second)
		if _, _, err := w.people.Session(t.Context(), e.Token); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("at its end: %v", err)
		}
		w.tend()
		w.tend()
		if got := w.post.to("identity.glass-ended"); !slices.Equal(got, owners) || len(kit.Recorded("identity.breakglass-ended")) != 1 {
			t.Errorf("letters at the end: %v", got)
		}
		if s := w.one(`SELECT renew FROM identity_glass_set WHERE state = 'live'`); s != "used" {
			t.Errorf("after use the set is %q", s)
		}
		if n := w.one(`SELECT COUNT(*) || '' FROM identity_glass_given WHERE box IS NOT NULL`); n != "0" {
			t.Errorf("%s shares lie here still", n)
		}
	}, tables...)
}

// Nothing that could open lies in the tables once shares are picked up, and each is shown
// once, to its holder, after a fresh factor.
func TestSharesAreHandedOutOnce(t *testing.T) {
	w := open(t)
	w.prepare(2, "ana", "dev@example.test", w.ids["eve"])
	dev := w.as("dev", "engineer")
	stale := dev
	stale.FactorAt = w.kit.Clock.Now().Add(-time.Hour)
	_, err := w.svc.PickUp(t.Context(), stale)
	if _, ok := errors.AsType[*web.StepUp](err); !ok {
		t.Errorf("with an old factor: %v", err)
	}
	token := dev
	token.Token, token.Via = "k", "token"
	for name, who := range map[string]actor.Actor{"another": w.as("fay", "auditor"), "the owner who is no holder": w.as("ben", "owner"), "a token": token, "the operator": operator, "nobody": stranger,
		"a session of shares": {Kind: actor.BreakGlass, ID: w.ids["dev"], Session: "x", TeamKind: "staff", Roles: []string{"owner"}}} {
		if p, err := w.svc.PickUp(t.Context(), who); err == nil || !p.Text.IsZero() {
			t.Errorf("%s was shown a share", name)
		}
	}
	p, err := w.svc.PickUp(t.Context(), dev)
	if err != nil || p.Number != 1 || p.Place != 2 || p.Need != 2 || p.Of != 3 || p.Holder != "dev" {
		t.Fatalf("%+v %v", p, err)
	}
	if again, err := w.svc.PickUp(t.Context(), dev); !errors.Is(err, fault.NotFound) || !again.Text.IsZero() {
		t.Errorf("shown twice: %v", err)
	}
	if n := w.one(`SELECT COUNT(*) || '' FROM identity_glass_share WHERE box IS NOT NULL`); n != "2" {
		t.Errorf("%s boxes are left, want 2", n)
	}
	_, share, err := glass.Read(p.Text)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range w.kit.Recorded() {
		if strings.Contains(r.Name, "breakglass") && strings.Contains(r.Actor+r.Object, string(share.Reveal())) {
			t.Error("a share is in the journal")
		}
	}
	if s := w.one(`SELECT state FROM identity_glass_set`); s != "waiting" {
		t.Errorf("with one share picked up the set is %s", s)
	}
}

// No way in but enough right shares of the live set, each by another holder, in time.
func TestRefusals(t *testing.T) {
	w := open(t)
	old := w.live()
	shares := w.live() // replaces it
	w.prepare(2, "ana", "dev", "fay")
	early := w.pickUp("fay")
	open := w.give(glass.Give{Share: shares["ana"], Reason: why})
	_, b, err := glass.Read(shares["dev"])
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(b.Reveal())
	flipped[0] ^= 1
	foreign := glass.Write(2, secret.NewBytes(append(secret.Random(shamir.SecretLen).Reveal(), 2)))
	for name, c := range map[string]struct {
		in   glass.Give
		code string
	}{
		"mistyped":                   {glass.Give{Share: secret.NewText(shares["dev"].Reveal()[1:]), Reason: why}, "share_text"},
		"no share":                   {glass.Give{Reason: why}, "share_text"},
		"of somewhere else":          {glass.Give{Share: foreign, Reason: why}, "share_refused"},
		"one bit other":              {glass.Give{Share: glass.Write(2, secret.NewBytes(flipped)), Code: open.Code}, "share_refused"},
		"of a set that was replaced": {glass.Give{Share: old["dev"], Code: open.Code}, "share_refused"},
		"of a set that waits":        {glass.Give{Share: early, Code: open.Code}, "share_refused"},
		"one holder twice":           {glass.Give{Share: shares["ana"], Code: open.Code}, "share_twice"},
		"a code of nothing":          {glass.Give{Share: shares["dev"], Code: "0000-0000"}, "opening_over"},
		"no reason":                  {glass.Give{Share: shares["dev"]}, "reason_missing"},
		"a short reason":             {glass.Give{Share: shares["dev"], Reason: " hm "}, "reason_missing"},
		"a reason of two lines":      {glass.Give{Share: shares["dev"], Reason: "a reason\nof two lines"}, "reason_missing"},
	} {
		c.in.Network = name // a bucket of its own
		before := len(w.kit.Recorded("identity.breakglass-share-refused"))
		g, err := w.svc.Give(t.Context(), actor.Actor{Kind: actor.Stranger, ID: name}, c.in)
		if code, _ := fault.PublicOf(err); code != c.code || g.Done || !g.Enter.IsZero() {
			t.Errorf("%s: %q %+v, want %s", name, code, g, c.code)
		}
		if recorded := len(w.kit.Recorded("identity.breakglass-share-refused")) - before; recorded != 1 && c.code != "reason_missing" {
			t.Errorf("%s: recorded %d times", name, recorded)
		}
	}
	if p, err := w.svc.Progress(t.Context(), open.Code); err != nil || p.Given != 1 {
		t.Errorf("after all that %d shares are given: %v", p.Given, err)
	}
	if w.one(`SELECT COUNT(*) || '' FROM identity_glass_use WHERE granted IS NOT NULL`) != "0" {
		t.Error("something was granted")
	}
	for _, token := range []secret.Text{{}, secret.NewText(open.Code), secret.RandomText(32)} {
		if _, err := w.svc.Enter(t.Context(), stranger, token, "n"); !errors.Is(err, fault.Gone) {
			t.Errorf("entered: %v", err)
		}
	}
}

// Shares that pass by their fingerprints are still held against the secret's digest.
func TestChangedTableOpensNothing(t *testing.T) {
	w := open(t)
	shares := w.live()
	g := w.give(glass.Give{Share: shares["ana"], Reason: why})
	w.exec(`UPDATE identity_glass_set SET digest = $1`, strings.Repeat("0", 64))
	if got, err := w.svc.Give(t.Context(), stranger, glass.Give{Share: shares["dev"], Code: g.Code, Network: "n"}); !errors.Is(err, fault.Denied) || got.Done {
		t.Errorf("%+v %v", got, err)
	}
}

// What was given is dropped after 15 minutes, a hand-over after five, and the owners are told.
func TestTimeIsShort(t *testing.T) {
	w := open(t)
	shares := w.live()
	g := w.give(glass.Give{Share: shares["ana"], Reason: why})
	w.kit.Clock.Advance(15 * time.Minute)
	if _, err := w.svc.Give(t.Context(), stranger, glass.Give{Share: shares["dev"], Code: g.Code, Network: "n"}); !errors.Is(err, fault.Gone) {
		t.Errorf("joined after 15 minutes: %v", err)
	}
	w.tend()
	if len(w.post.to("identity.glass-ended")) != 2 || w.one(`SELECT cause FROM identity_glass_use`) != "dropped" || w.one(`SELECT COUNT(*) || '' FROM identity_glass_given WHERE box IS NOT NULL`) != "0" {
		t.Error("what was given is kept")
	}
	done := w.broken(shares)
	w.kit.Clock.Advance(5 * time.Minute)
	if _, err := w.svc.Enter(t.Context(), stranger, done.Enter, "n"); !errors.Is(err, fault.Gone) {
		t.Errorf("entered after five minutes: %v", err)
	}
	w.tend()
	if got := w.one(`SELECT cause FROM identity_glass_use WHERE granted IS NOT NULL`); got != "not-entered" {
		t.Errorf("a hand-over nobody used: %q", got)
	}
	if s := w.one(`SELECT renew FROM identity_glass_set WHERE state = 'live'`); s != "" {
		t.Errorf("a set that opened no session is %q", s)
	}
}

// There is one live set at most, at every moment: the old one lives until the new one
// does, and of two that are prepared the later one waits.
func TestOneSetIsLive(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		states := func() string {
			return w.one(`SELECT COALESCE((SELECT MIN(number) || '' FROM identity_glass_set WHERE state = 'live'), '-') || ' ' || (SELECT COUNT(*) FROM identity_glass_set WHERE state = 'live') || ' ' || (SELECT COUNT(*) FROM identity_glass_set WHERE state = 'waiting')`)
		}
		first := w.live()
		w.prepare(2, "ana", "dev", "eve", "fay")
		if got := states(); got != "1 1 1" {
			t.Errorf("with a second one waiting: %s", got)
		}
		w.prepare(2, "ana", "dev", "eve")
		g := w.give(glass.Give{Share: first["dev"], Reason: why})
		w.pickUp("ana")
		w.pickUp("dev")
		if got := states(); got != "1 1 1" {
			t.Errorf("with two of a third picked up: %s", got)
		}
		w.pickUp("eve")
		if got := states(); got != "3 1 0" {
			t.Errorf("with all picked up: %s", got)
		}
		if _, err := w.svc.Give(t.Context(), stranger, glass.Give{Share: first["eve"], Code: g.Code, Network: "n"}); !errors.Is(err, fault.Denied) {
			t.Errorf("a share of the former set: %v", err)
		}
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				_, err := w.svc.Prepare(t.Context(), w.ana(), glass.NewSet{Holders: []string{"ana", "dev", "eve"}, Need: 2})
				if err != nil && !errors.Is(err, fault.Conflict) {
					t.Errorf("at one moment: %v", err)
				}
			})
		}
		wg.Wait()
		if got := states(); got != "3 1 1" {
			t.Errorf("after six at one moment: %s", got)
		}
		for _, name := range []string{"ana", "dev", "eve"} {
			wg.Go(func() {
				if _, err := w.svc.PickUp(t.Context(), w.as(name, "engineer")); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		wg.Wait()
		if got := states(); !strings.HasSuffix(got, " 1 0") || strings.HasPrefix(got, "3 ") {
			t.Errorf("after three pick-ups at one moment: %s", got)
		}
		if err := w.svc.Withdraw(t.Context(), w.ana()); err != nil {
			t.Fatal(err)
		}
		if got := states(); got != "- 0 0" {
			t.Errorf("after it was withdrawn: %s", got)
		}
		if err := w.svc.Withdraw(t.Context(), w.ana()); !errors.Is(err, fault.NotFound) {
			t.Errorf("withdrawn twice: %v", err)
		}
	}, tables...)
}

// Two last holders at one moment open one session.
func TestTwoComeAtOneMoment(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		shares := w.live()
		g := w.give(glass.Give{Share: shares["ana"], Reason: why})
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for _, name := range []string{"dev", "eve"} {
			wg.Go(func() {
				got, err := w.svc.Give(t.Context(), stranger, glass.Give{Share: shares[name], Code: g.Code, Network: name})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil && got.Done:
					won++
				case !errors.Is(err, fault.Gone):
					t.Errorf("%s: %+v %v", name, got, err)
				}
			})
		}
		wg.Wait()
		if won != 1 || len(kit.Recorded("identity.breakglass-granted")) != 1 {
			t.Errorf("%d won", won)
		}
	}, tables...)
}

// A server that cannot record does nothing, by halves or whole.
func TestNothingIsHalfDone(t *testing.T) {
	kit := ledgertest.With(t, "sqlite", func(c *ledger.Config) { c.Seam.Disk = &ledger.Disk{} }, tables...)
	w := with(t, kit)
	kit.Seam.Disk.Broken.Store(true)
	if _, err := w.svc.Prepare(t.Context(), w.ana(), glass.NewSet{Holders: []string{"ana", "dev", "eve"}}); err == nil {
		t.Error("prepared on a broken disk")
	}
	kit.Seam.Disk.Broken.Store(false)
	if n := w.one(`SELECT (SELECT COUNT(*) FROM identity_glass_set) || ' ' || (SELECT COUNT(*) FROM identity_glass_share)`); n != "0 0" {
		t.Errorf("a half set: %s", n)
	}
	w.prepare(2, "ana", "dev", "eve")
	kit.Seam.Disk.Broken.Store(true)
	if p, err := w.svc.PickUp(t.Context(), w.as("dev", "engineer")); err == nil || !p.Text.IsZero() {
		t.Error("a share was shown that is not recorded")
	}
	kit.Seam.Disk.Broken.Store(false)
	shares := map[string]secret.Text{"dev": w.pickUp("dev"), "eve": w.pickUp("eve"), "ana": w.pickUp("ana")}
	g := w.give(glass.Give{Share: shares["dev"], Reason: why})
	kit.Seam.Disk.Broken.Store(true)
	if got, err := w.svc.Give(t.Context(), stranger, glass.Give{Share: shares["eve"], Code: g.Code, Network: "n"}); err == nil || !got.Enter.IsZero() {
		t.Error("granted, and not recorded")
	}
	kit.Seam.Disk.Broken.Store(false)
	if n := w.one(`SELECT COUNT(*) || '' FROM identity_glass_use WHERE granted IS NOT NULL`); n != "0" {
		t.Error("granted by half")
	}
	done := w.give(glass.Give{Share: shares["eve"], Code: g.Code})
	kit.Seam.Disk.Broken.Store(true)
	if e, err := w.svc.Enter(t.Context(), stranger, done.Enter, "n"); err == nil || !e.Token.IsZero() {
		t.Error("entered, and not recorded")
	}
	kit.Seam.Disk.Broken.Store(false)
	if _, err := w.svc.Enter(t.Context(), stranger, done.Enter, "n"); err != nil {
		t.Errorf("the hand-over is lost: %v", err)
	}
}

// Wrong shares are limited, per network and per set, and keep no holder out.
func TestTriesAreLimited(t *testing.T) {
	w := open(t)
	shares := w.live()
	foreign := glass.Write(1, secret.NewBytes(append(secret.Random(shamir.SecretLen).Reveal(), 2)))
	for i := range 12 {
		_, err := w.svc.Give(t.Context(), stranger, glass.Give{Share: foreign, Reason: why, Network: stranger.ID})
		if limited := errors.Is(err, fault.Limited); limited != (i >= 10) {
			t.Errorf("try %d: %v", i+1, err)
		}
	}
	g := w.give(glass.Give{Share: shares["ana"], Reason: why}) // from the same network
	for i := range 62 {
		_, err := w.svc.Give(t.Context(), stranger, glass.Give{Share: shares["ana"], Code: g.Code, Network: "n" + string(rune('A'+i))})
		if limited := errors.Is(err, fault.Limited); limited != (i >= 60) {
			t.Errorf("try %d of the set: %v", i+1, err)
		}
	}
	if done := w.give(glass.Give{Share: shares["dev"], Code: g.Code}); !done.Done {
		t.Error("a full counter kept a holder out")
	}
}

// The session does what lets people back in and nothing that lasts, signs or shows
// customers; it is over when the policy says so, by its button, and by an owner.
// breaks: access.least-privilege
func TestSessionIsNarrow(t *testing.T) {
	w := open(t)
	e := w.in(w.live())
	who, _, err := w.people.Session(t.Context(), e.Token)
	if err != nil {
		t.Fatal(err)
	}
	acc := w.svc.Access
	for _, a := range []access.Action{access.PolicyApprove, access.RoleGrant, access.RecordSign, access.KeyRegister, access.SupportLook, access.SupportAgree, access.JournalExport, access.PeopleErase,
		access.ServicesManage, access.ClientsManage, access.ProvisioningManage, access.GlassPrepare} {
		if err := acc.Allow(t.Context(), who, a, ""); !errors.Is(err, fault.Denied) {
			t.Errorf("%s: %v", a, err)
		}
	}
	if err := acc.Allow(t.Context(), who, access.PeopleManage, ""); err != nil {
		t.Errorf("it cannot let anybody back in: %v", err)
	}
	w.setRules(map[string]any{"emergency": 10 * time.Minute})
	w.kit.Clock.Advance(10 * time.Minute)
	if _, _, err := w.people.Session(t.Context(), e.Token); !errors.Is(err, fault.Unauthenticated) {
		t.Errorf("beyond what the policy now allows: %v", err)
	}
	w.tend()
	w.setRules(nil)
	for name, end := range map[string]func(glass.Entered, actor.Actor) error{
		"by its button": func(_ glass.Entered, who actor.Actor) error { return w.people.SignOut(t.Context(), who) },
		"by an owner":   func(e glass.Entered, _ actor.Actor) error { return w.svc.EndUse(t.Context(), w.ana(), e.Use) },
	} {
		e := w.in(w.live())
		who, _, err := w.people.Session(t.Context(), e.Token)
		if err != nil {
			t.Fatal(err)
		}
		if err := end(e, who); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := w.people.Session(t.Context(), e.Token); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("ended %s it goes on: %v", name, err)
		}
	}
	if err := w.svc.EndUse(t.Context(), w.as("fay", "auditor"), e.Use); !errors.Is(err, fault.Denied) {
		t.Errorf("an auditor ended one: %v", err)
	}
}

// A revision that asks for more shares counts for sets that were made before it.
func TestStricterPolicyCounts(t *testing.T) {
	w := open(t)
	shares := w.live()
	w.setRules(map[string]any{"shares": int64(3)})
	g := w.give(glass.Give{Share: shares["ana"], Reason: why})
	if g = w.give(glass.Give{Share: shares["dev"], Code: g.Code}); g.Done || g.Need != 3 {
		t.Fatalf("two opened it: %+v", g)
	}
	if g = w.give(glass.Give{Share: shares["eve"], Code: g.Code}); !g.Done {
		t.Errorf("three did not: %+v", g)
	}
}

// A drill is the same without a session, and counts as one.
func TestDrill(t *testing.T) {
	w := open(t)
	shares := w.live()
	g := w.give(glass.Give{Share: shares["ana"], Drill: true})
	if len(w.post.to("identity.glass-asked")) != 0 {
		t.Error("a drill alarms the owners")
	}
	done := w.give(glass.Give{Share: shares["eve"], Code: g.Code})
	if !done.Done || !done.Drill || !done.Enter.IsZero() || len(w.kit.Recorded("identity.breakglass-drilled")) != 1 || len(w.kit.Recorded("identity.breakglass-granted")) != 0 {
		t.Fatalf("%+v", done)
	}
	if len(w.post.to("identity.glass-drilled")) != 2 || w.one(`SELECT renew FROM identity_glass_set`) != "" {
		t.Error("the owners are not told, or the set is worn")
	}
	s, err := w.svc.Stands(t.Context(), w.ana())
	if err != nil || !s.Drilled.Equal(w.kit.Clock.Now()) || s.Due.Sub(s.Drilled) != 180*24*time.Hour || s.Live == nil || s.Waiting != nil || len(s.Uses) != 1 || s.Uses[0].Reason != "A drill." {
		t.Errorf("%+v %v", s, err)
	}
}

// A holder who left cannot give their share, and the set is marked and the owners told, once.
func TestHolderLeaves(t *testing.T) {
	w := open(t)
	shares := w.live()
	w.tend()
	if w.one(`SELECT renew FROM identity_glass_set`) != "" {
		t.Fatal("a whole set is marked")
	}
	if err := w.people.Disable(t.Context(), operator, "dev"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.Give(t.Context(), stranger, glass.Give{Share: shares["dev"], Reason: why, Network: "n"}); !errors.Is(err, fault.Denied) {
		t.Errorf("a share of somebody who left: %v", err)
	}
	w.tend()
	w.tend()
	if got := w.post.to("identity.glass-worn"); w.one(`SELECT renew FROM identity_glass_set`) != "holder-left" || !slices.Equal(got, []string{"ana", "ben"}) {
		t.Errorf("marked %q, letters to %v", w.one(`SELECT renew FROM identity_glass_set`), got)
	}
}

func TestPrepareRefuses(t *testing.T) {
	w := open(t)
	c, err := w.people.CreateCustomer(t.Context(), operator, customer)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		who     actor.Actor
		need    int
		holders []string
		code    string
	}{
		"an engineer":       {w.as("dev", "engineer"), 2, []string{"ana", "dev", "eve"}, "denied"},
		"a lent owner":      {func() actor.Actor { a := w.ana(); a.Lent = []string{"owner"}; return a }(), 2, []string{"ana", "dev", "eve"}, "denied"},
		"nobody to be away": {w.ana(), 2, []string{"ana", "dev"}, "glass_holder"},
		"one alone":         {w.ana(), 1, []string{"ana", "dev", "eve"}, "glass_need"},
		"twice":             {w.ana(), 2, []string{"ana", "dev", "dev@example.test"}, "glass_holder"},
		"a customer":        {w.ana(), 2, []string{"ana", "dev", c.ID}, "glass_holder"},
		"nobody":            {w.ana(), 2, []string{"ana", "dev", "zoe"}, "glass_holder"},
		"below zero":        {w.ana(), -1, []string{"ana", "dev", "eve"}, "glass_need"},
		"without a factor":  {func() actor.Actor { a := w.ana(); a.FactorAt = time.Time{}; return a }(), 2, []string{"ana", "dev", "eve"}, "step_up_required"},
		"more than 16":      {w.ana(), 2, strings.Fields(strings.Repeat("ana ", 17)), "glass_holder"},
	} {
		_, err := w.svc.Prepare(t.Context(), c.who, glass.NewSet{Holders: c.holders, Need: c.need})
		if code, _ := fault.PublicOf(err); code != c.code {
			t.Errorf("%s: %q %v, want %s", name, code, err, c.code)
		}
	}
	if _, err := w.svc.Prepare(t.Context(), operator, glass.NewSet{Holders: []string{"ana", "dev", "eve"}}); err != nil {
		t.Errorf("the operator: %v", err)
	}
}
