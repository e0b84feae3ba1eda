package cache

import (
	"bytes"
	"container/list"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a cache. Now is required.
type Options struct {
	Max int64 // bytes in all; 0 = 256 MiB
	Now func() time.Time
}

const defaultMax = 256 << 20

// Cache keeps answers. It is safe for use by many.
type Cache struct {
	max  int64
	now  func() time.Time
	work sync.WaitGroup // fetches that nobody waits for

	mu      sync.Mutex // guards the rest
	items   map[Key][]*list.Element
	order   *list.List // of *item, the one used last in front
	used    int64      // bytes of items
	flying  int64      // bytes of answers under way
	flights map[Key]*flight
	alone   map[Key]time.Time // answers that cannot be shared: nobody waits for them until then
	under   int               // fetches under way
	seq     int64             // of what was purged and invalidated
	purged  int64             // the last purge
	spoilt  map[Key]int64     // the last invalidation of a target, while fetches are under way
	classes map[string]*count
}

type count struct{ hits, stale, misses, passed atomic.Int64 }

// New makes an empty cache.
func New(o Options) *Cache {
	if o.Max == 0 {
		o.Max = defaultMax
	}
	return &Cache{max: o.Max, now: o.Now, items: map[Key][]*list.Element{}, order: list.New(), flights: map[Key]*flight{}, alone: map[Key]time.Time{}, spoilt: map[Key]int64{}, classes: map[string]*count{}}
}

// Wait returns when no fetch is under way that nobody waits for.
func (c *Cache) Wait() { c.work.Wait() }

// find returns the stored answer for a request; known says whether the key has any.
func (c *Cache) find(a *Ask) (i *item, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	els := c.items[a.Key]
	for _, e := range els {
		if it := e.Value.(*item); it.fits(a.Sent) && it.class == a.Class && it.route == a.Route {
			c.order.MoveToFront(e)
			return it, true
		}
	}
	return nil, len(els) > 0
}

// put stores an item unless a purge, or something unsafe done to its target, is newer
// than the fetch that brought it.
func (c *Cache) put(i *item, sent http.Header, since int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.purged > since || c.spoilt[i.key] > since || i.size() > c.largest() {
		return false
	}
	for _, e := range slices.Clone(c.items[i.key]) {
		if old := e.Value.(*item); old.fits(sent) || i.sameVary(old) {
			c.drop(e)
		}
	}
	if els := c.items[i.key]; len(els) >= maxVariants {
		c.drop(els[0])
	}
	c.items[i.key] = append(c.items[i.key], c.order.PushFront(i))
	c.used += i.size()
	c.shrink()
	return true
}

func (i *item) sameVary(o *item) bool { return slices.Equal(i.vary, o.vary) }

// largest is the most bytes of one answer that is kept.
func (c *Cache) largest() int64 { return c.max / 8 }

// shrink drops what was not used for longest until all fits. The caller holds mu.
func (c *Cache) shrink() {
	for c.used+c.flying > c.max && c.order.Len() > 0 {
		c.drop(c.order.Back())
	}
}

// drop forgets an item. The caller holds mu.
func (c *Cache) drop(e *list.Element) {
	i := c.order.Remove(e).(*item)
	c.used -= i.size()
	left := slices.DeleteFunc(c.items[i.key], func(o *list.Element) bool { return o == e })
	if len(left) == 0 {
		delete(c.items, i.key)
		return
	}
	c.items[i.key] = left
}

// reserve takes n bytes for an answer under way; negative gives them back.
func (c *Cache) reserve(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 && c.flying+n > c.max/2 {
		return false
	}
	c.flying += n
	c.shrink()
	return true
}

// Wish says what is to be purged. Exactly one is set.
type Wish struct {
	Path string `json:"path,omitempty"` // /x is that file with any query, /x/ all below
	Tag  string `json:"tag,omitempty"`  // as the application names it in Cache-Tag or Surrogate-Key
	All  bool   `json:"all,omitempty"`
}

// Purge forgets what a wish names, and whatever is under way at this moment. It returns how many.
func (c *Cache) Purge(w Wish) int {
	return c.forget(func(i *item) bool {
		switch {
		case w.All:
			return true
		case w.Tag != "":
			return slices.Contains(i.tags, w.Tag)
		}
		path, _, _ := strings.Cut(i.key.Target, "?")
		return path == w.Path || strings.HasSuffix(w.Path, "/") && strings.HasPrefix(path, w.Path)
	})
}

// Invalidate forgets one target, because something unsafe was done to it (RFC 9111 section 4.4).
func (c *Cache) Invalidate(k Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	if c.under > 0 {
		c.spoilt[k] = c.seq
	}
	for _, e := range slices.Clone(c.items[k]) {
		c.drop(e)
	}
}

// Empty reports whether there is nothing to invalidate, now or on its way.
func (c *Cache) Empty() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.items) == 0 && c.under == 0
}

func (c *Cache) forget(which func(*item) bool) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	c.purged = c.seq
	for e := c.order.Front(); e != nil; {
		next := e.Next()
		if which(e.Value.(*item)) {
			c.drop(e)
			n++
		}
		e = next
	}
	return n
}

// Holds reports whether a text is anywhere in what is stored: for canaries.
func (c *Cache) Holds(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.order.Front(); e != nil; e = e.Next() {
		i := e.Value.(*item)
		if bytes.Contains(i.body, []byte(text)) {
			return true
		}
		for _, vs := range i.header {
			if slices.ContainsFunc(vs, func(v string) bool { return strings.Contains(v, text) }) {
				return true
			}
		}
	}
	return false
}

// Stats are the numbers of one class since the start.
type Stats struct {
	Class  string `json:"class"`
	Hits   int64  `json:"hits"`   // answered from the store, fresh
	Stale  int64  `json:"stale"`  // answered from the store, stale
	Misses int64  `json:"misses"` // fetched; who read along counts as a hit
	Passed int64  `json:"passed"` // passed on: not to be kept, or a part of a file
	Stored int64  `json:"stored"` // answers in the store now
	Bytes  int64  `json:"bytes"`  // their size
}

// Asked is how many requests there were.
func (s Stats) Asked() int64 { return s.Hits + s.Stale + s.Misses + s.Passed }

// Rate is the share answered from the store, in percent; 0 when nothing was asked.
func (s Stats) Rate() int64 {
	if s.Asked() == 0 {
		return 0
	}
	return (s.Hits + s.Stale) * 100 / s.Asked()
}

// Stats returns the numbers of each class that was asked for, by name.
func (c *Cache) Stats() []Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Stats
	for name, n := range c.classes {
		s := Stats{Class: name, Hits: n.hits.Load(), Stale: n.stale.Load(), Misses: n.misses.Load(), Passed: n.passed.Load()}
		for e := c.order.Front(); e != nil; e = e.Next() {
			if i := e.Value.(*item); i.class == name {
				s.Stored++
				s.Bytes += i.size()
			}
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Stats) int { return strings.Compare(a.Class, b.Class) })
	return out
}

// Room says how many bytes are used, and how many may be.
func (c *Cache) Room() (used, most int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used + c.flying, c.max
}

func (c *Cache) count(class string) *count {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.classes[class]
	if n == nil {
		n = &count{}
		c.classes[class] = n
	}
	return n
}
