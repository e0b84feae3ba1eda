package identity_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/canary"
	"writ/internal/identity"
	"writ/internal/passhash"
	"writ/internal/secret"
)

// BenchmarkSignIn compares sign-ins through the HTTPS API with the hash alone: hashes as
// many at a time as there are places to hash, sign-ins from so many people that the queue
// for a place is never empty. The mark is a rate of at least 0.9. Most people come back in a
// browser that was here before; a stranger's sign-in besides counts in four places and
// sends a letter about a new device.
func BenchmarkSignIn(b *testing.B) {
	slots := runtime.GOMAXPROCS(0)
	clients := 8 * slots
	params := passhash.Default(passhash.Argon2id, 16)
	phc, err := passhash.Hash(params, secret.NewText(good))
	if err != nil {
		b.Fatal(err)
	}
	w := open(b, func(d *identity.Deps) {
		d.Seam = nil
		d.Gate = passhash.NewGate(slots, 64, time.Minute)
	})
	const people = 40
	for i := range people {
		if _, err := w.svc.CreateCustomer(b.Context(), operator, identity.NewCustomer{Email: fmt.Sprintf("p%d@example.test", i), Password: secret.NewText(good), TeamName: "t"}); err != nil {
			b.Fatal(err)
		}
	}
	var next atomic.Int64
	visitors := make(chan *canary.Visitor, clients)
	known := make(chan back, clients)
	for i := range clients {
		v := w.door.Visitor()
		v.HTTP.Jar = nil // each sign-in is a stranger's
		visitors <- v
		known <- back{w.door.Visitor(), i % people}
	}
	signIn := func(v *canary.Visitor, person int) error {
		a, err := v.Do(b.Context(), "POST", "/-/api/v1/sign-in", fmt.Sprintf(`{"email":"p%d@example.test","password":%q}`, person, good))
		if err == nil && a.Status != 200 {
			err = fmt.Errorf("status %d: %s", a.Status, a.Body)
		}
		return err
	}
	side := map[string]func() error{
		"hash": func() error {
			ok, err := passhash.Verify(phc, secret.NewText(good))
			if err == nil && !ok {
				err = fmt.Errorf("refused")
			}
			return err
		},
		"strangers": func() error {
			v := <-visitors // kept connections: the handshake is not what is compared
			defer func() { visitors <- v }()
			return signIn(v, int(next.Add(1)%people))
		},
		"known": func() error {
			k := <-known
			defer func() { known <- k }()
			return signIn(k.v, k.person)
		},
	}
	rate := func(f func() error, workers, n int) float64 {
		begin := time.Now()
		var wg sync.WaitGroup
		var left atomic.Int64
		left.Store(int64(n))
		for range workers {
			wg.Go(func() {
				for left.Add(-1) >= 0 {
					if err := f(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		return float64(n) / time.Since(begin).Seconds()
	}
	rate(side["known"], clients, clients) // from now on they are
	var hash, strangers, again float64
	for b.Loop() { // side by side in one run: the machine moves
		hash += rate(side["hash"], slots, 160)
		again += rate(side["known"], clients, 160)
		strangers += rate(side["strangers"], clients, 160)
	}
	b.ReportMetric(hash/float64(b.N), "hashes/s")
	b.ReportMetric(again/float64(b.N), "sign-ins/s")
	b.ReportMetric(again/hash, "of-the-hash's-rate")
	b.ReportMetric(strangers/hash, "of-it-for-strangers")
}

// back is a browser that its person comes back in.
type back struct {
	v      *canary.Visitor
	person int
}
