package demo

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"writ/internal/identity/totp"
)

// codes is an authenticator for those who have none at hand: it shows the codes of keys
// that were pasted into it. They are kept in memory alone; a second factor beside the
// mailbox is one for a demonstration only.
type codes struct {
	now func() time.Time

	mu   sync.Mutex
	keys []codeKey
}

type codeKey struct {
	name string
	seed totp.Seed
}

const (
	maxCodeKeys = 50
	maxCodeForm = 8 << 10
)

// codeRow is a line of the page.
type codeRow struct{ Name, Code, Next string }

type codesPage struct {
	Rows  []codeRow
	Left  int // seconds until the next code
	Wrong bool
}

func (c *codes) show(m *mailbox, w http.ResponseWriter, wrong bool) {
	now := c.now()
	step := totp.Step(now)
	p := codesPage{Left: int(totp.Period/time.Second) - int(now.Unix()%int64(totp.Period/time.Second)), Wrong: wrong}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.keys {
		code, err1 := k.seed.Code(step)
		next, err2 := k.seed.Code(step + 1)
		if err1 == nil && err2 == nil {
			p.Rows = append(p.Rows, codeRow{k.name, code, next})
		}
	}
	m.show(w, "codes", p)
}

// add takes a key, or the otpauth address that a QR code holds.
func (c *codes) add(m *mailbox, w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxCodeForm)
	seed, err := totp.Parse(r.PostFormValue("key"))
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		c.show(m, w, true)
		return
	}
	name := strings.TrimSpace(r.PostFormValue("name"))
	if name == "" {
		text := seed.Text().Reveal()
		name = "key that begins with " + text[:4]
	}
	c.mu.Lock()
	c.keys = append(c.keys, codeKey{name[:min(len(name), 100)], seed})
	c.keys = c.keys[max(0, len(c.keys)-maxCodeKeys):]
	c.mu.Unlock()
	http.Redirect(w, r, "/codes", http.StatusSeeOther)
}
