package limit

import "sync"

// Quotas count a day's requests of keys that cannot be sprayed (tokens). What other nodes
// counted comes by Learn.
type Quotas struct {
	mu  sync.Mutex
	day int64
	by  map[string]*used
}

type used struct{ stored, own int64 }

// Use is what was counted here and is not stored yet.
type Use struct {
	Day int64
	Key string
	N   int64
}

// Take counts one, unless the day's number is used up; then nothing is counted. dry only
// looks.
func (q *Quotas) Take(day int64, key string, most int64, dry bool) (left int64, ok bool) { // clause: use.public-api
	q.mu.Lock()
	defer q.mu.Unlock()
	if day != q.day || q.by == nil {
		if dry {
			return most, true
		}
		q.day, q.by = day, map[string]*used{} // the day before is over; what of it was not stored no longer matters
	}
	u := q.by[key]
	if u == nil {
		u = &used{}
		if !dry {
			q.by[key] = u
		}
	}
	if left = most - u.stored - u.own; left <= 0 {
		return 0, false
	}
	if dry {
		return left, true
	}
	u.own++
	return left - 1, true
}

// Give takes one back.
func (q *Quotas) Give(day int64, key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if u := q.by[key]; u != nil && day == q.day {
		u.own--
	}
}

// Pending lists what is to be stored.
func (q *Quotas) Pending() (all []Use) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for k, u := range q.by {
		if u.own != 0 {
			all = append(all, Use{q.day, k, u.own})
		}
	}
	return all
}

// Learn says that a use was stored, and what the whole is now.
func (q *Quotas) Learn(u Use, total int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if have := q.by[u.Key]; have != nil && u.Day == q.day {
		have.stored, have.own = total, have.own-u.N
	}
}
