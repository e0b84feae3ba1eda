package identity

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"writ/internal/clause"
)

// A login that people share shows in one way that can be seen from here: two desks far
// from each other use it at the same time. It is a heuristic. A phone is left out, for it
// is in another network than the desk beside it all day; so is one browser that moves.
const (
	// distantWindow is how far back a run looks: a little more than from run to run.
	distantWindow = 35 * time.Minute
	// together is how near two uses must be. Rows know them to the minute.
	together = 5 * time.Minute
	// Networks are distant when fewer of their first bits agree: about the size of what one
	// provider has in one region.
	nearBits4, nearBits6 = 16, 32
)

// placed is a live session and where it began. Its network leaves this file in no form.
type placed struct {
	id, device string
	seen       time.Time
	network    netip.Prefix
	roams      bool
}

// probeDistant looks for people whom two desks in distant networks use at once. What it
// says names ids, which are random, and no network.
func (s *Service) probeDistant(ctx context.Context) (clause.Result, error) {
	people := map[string][]placed{}
	var boxes [][]byte
	since := us(s.Now().Add(-distantWindow))
	type row struct {
		person string
		p      placed
	}
	var rows []row
	err := s.DB.Each(ctx, usedSessions, func(scan scanner) error {
		var r row
		var seen int64
		var box []byte
		if err := scan(&r.person, &r.p.id, &r.p.device, &seen, &box); err != nil {
			return err
		}
		r.p.seen = at(seen)
		rows, boxes = append(rows, r), append(boxes, box)
		return nil
	}, since)
	if err != nil {
		return clause.Result{}, fmt.Errorf("read sessions that are in use: %w", err)
	}
	for i := range rows {
		w, err := s.placeOf(ctx, rows[i].p.id, boxes[i])
		if err != nil {
			return clause.Result{}, err
		}
		rows[i].p.at(w)
		people[rows[i].person] = append(people[rows[i].person], rows[i].p)
	}
	var bad int64
	example := ""
	for _, r := range rows { // in the order of the rows, so that one state gives one text
		ps := people[r.person]
		delete(people, r.person)
		if a, b := apart(ps); a != "" {
			if bad++; example == "" {
				example = fmt.Sprintf(", such as person/%s in the sessions %s and %s", r.person, a, b)
			}
		}
	}
	all, err := s.count(ctx, severalSessions, since)
	if err != nil {
		return clause.Result{}, err
	}
	return judged(bad == 0, all, fmt.Sprintf("of %d people with several sessions in use %d are used at two desks in distant networks at once%s", all, bad, example)), nil
}

// at takes in where a session began.
func (p *placed) at(w where) {
	p.network, _ = netip.ParsePrefix(w.Network) //nolint:errcheck // "local" is no network
	for _, sign := range []string{"Android", "iPhone", "iPad", "Mobile"} {
		p.roams = p.roams || strings.Contains(w.Agent, sign)
	}
}

// apart finds two sessions of one person that are used together in distant networks.
func apart(ps []placed) (a, b string) {
	for i, x := range ps {
		for _, y := range ps[i+1:] {
			if x.device != y.device && !x.roams && !y.roams && x.seen.Sub(y.seen).Abs() <= together && distant(x.network, y.network) { // clause: auth.unique-login
				return x.id, y.id
			}
		}
	}
	return "", ""
}

// distant compares two networks of one family; of two families nothing is known: one
// desk has both. Networks of a house are near each other.
func distant(x, y netip.Prefix) bool {
	if !x.IsValid() || !y.IsValid() || x.Addr().Is4() != y.Addr().Is4() || inside(x.Addr()) || inside(y.Addr()) {
		return false
	}
	bits := nearBits6
	if x.Addr().Is4() {
		bits = nearBits4
	}
	return netip.PrefixFrom(x.Addr(), bits).Masked() != netip.PrefixFrom(y.Addr(), bits).Masked()
}

func inside(a netip.Addr) bool { return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() }

const (
	usedSessions = `SELECT s.person, s.id, s.device, s.seen, s.place FROM identity_session s
		WHERE s.ended IS NULL AND s.seen >= $1 AND s.place IS NOT NULL
		AND s.person IN (SELECT person FROM identity_session WHERE ended IS NULL AND seen >= $1 GROUP BY person HAVING COUNT(*) > 1) ORDER BY s.person, s.id LIMIT 20000`
	severalSessions = `SELECT COUNT(*) FROM (SELECT s.person FROM identity_session s
		WHERE s.ended IS NULL AND s.seen >= $1 GROUP BY s.person HAVING COUNT(*) > 1) x`
)
