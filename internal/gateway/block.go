package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/web"
)

// Block is a network that reaches nothing here, until it ends by itself.
type Block struct {
	ID       string    `json:"id"`
	Network  string    `json:"network"`
	Reason   string    `json:"reason"`
	Incident string    `json:"incident,omitempty"` // such as I-3
	Owner    string    `json:"owner"`              // who blocked it and answers for it
	Made     time.Time `json:"made"`
	Until    time.Time `json:"until"`
	Ended    time.Time `json:"ended,omitzero"`
	EndedBy  string    `json:"ended_by,omitempty"`
}

const (
	breachResearch = "inc.breach-research"

	longestBlock = 366 * 24 * time.Hour
	blocksKept   = 90 * 24 * time.Hour // after their end
	mostBlocks   = 1000
	widest4      = 16 // bits: at most 65,536 addresses in one
	widest6      = 32
)

var refuseBlocked = deny(breachResearch, fault.Denied, "network_blocked", fault.Public{
	Problem: "This server takes no requests from your network.", Next: "If that is a mistake, write to whoever runs this site."})

// blocks are the networks that are kept out.
type blocks struct {
	list   atomic.Pointer[blockList]
	forgot time.Time // when rows were last dropped
}

type blockList struct {
	until map[netip.Prefix]time.Time
	bits  []int // lengths among them
}

func (l *blockList) add(p netip.Prefix, until time.Time) {
	l.until[p] = until
	if !slices.Contains(l.bits, p.Bits()) {
		l.bits = append(l.bits, p.Bits())
	}
}

// holds reports whether an address is kept out now. This machine itself never is, whatever a
// row says: its controls, and whoever mends the list, come from there.
func (b *blocks) holds(ip netip.Addr, now time.Time) bool { // clause: inc.breach-research
	l := b.list.Load()
	if l == nil || len(l.bits) == 0 || !ip.IsValid() || ip.IsLoopback() {
		return false
	}
	for _, n := range l.bits {
		if p, err := ip.Prefix(n); err == nil && now.Before(l.until[p]) {
			return true
		}
	}
	return false
}

// blocked keeps a network out before anything is asked about who comes, and before the
// application hears of it. Load balancers still learn whether this server lives.
func (v *visit) blocked() *refusal { // clause: inc.breach-research
	if v.dry || !v.g.blocks.holds(web.RemoteIP(v.r), v.g.now()) || v.target.path == "/-/livez" || v.target.path == "/-/readyz" {
		return nil
	}
	return refuseBlocked
}

// Knock reports whether a request from an address would be turned away at the door because of
// where it comes from: it goes through the same first steps as any other, and is not recorded.
func (g *Gateway) Knock(ctx context.Context, from netip.Addr) bool { // clause: inc.breach-research
	r := (&http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/"}, RequestURI: "/", Host: g.origin.Host, Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: http.Header{}, Body: http.NoBody, RemoteAddr: netip.AddrPortFrom(from, 0).String()}).WithContext(ctx)
	v := g.newVisit()
	v.w, v.r, v.table = &recorder{header: http.Header{}}, r, g.current()
	for i := range g.steps[:doorSteps] {
		if ref := g.steps[i].run(v); ref != nil {
			return ref == refuseBlocked
		}
	}
	return false
}

func badBlock(code, problem, expected string) error {
	return fault.New(fault.Invalid, code, fault.Public{Problem: problem, Expected: expected, Next: "Name the network that the attack came from, and no more."})
}

var goodIncident = regexp.MustCompile(`^([A-Z]{1,3}-[0-9]{1,9})?$`)

// ParseNetwork reads a network or an address, in the one form in which it is kept.
func ParseNetwork(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, badBlock("network", "That is no network.", "A network such as 198.51.100.0/24 or 2001:db8::/48, or an address.")
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() { // 96 bits say so
		if p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96); !p.IsValid() {
			return netip.Prefix{}, badBlock("network", "That is no network.", "IPv4 in its own form, such as 198.51.100.0/24.")
		}
	}
	return p.Masked(), nil
}

// checkBlock refuses what would keep out more than an attacker, or whoever asks for it.
func (g *Gateway) checkBlock(b *Block, from netip.Addr) (netip.Prefix, error) {
	p, err := ParseNetwork(b.Network)
	if err != nil {
		return p, err
	}
	now := g.now()
	b.Network, b.Reason, b.Incident = p.String(), strings.TrimSpace(b.Reason), strings.TrimSpace(b.Incident)
	least := widest4
	if p.Addr().Is6() {
		least = widest6
	}
	switch {
	case p.Bits() < least:
		return p, badBlock("wide", "That network is too wide: many would be kept out who did nothing.", "A network of IPv4 not wider than /16, or of IPv6 not wider than /32.")
	case p.Addr().IsLoopback(), p.Contains(netip.IPv6Loopback()):
		return p, badBlock("loopback", "That is this machine itself.", "A network outside.")
	case slices.ContainsFunc(g.proxies, p.Overlaps):
		return p, badBlock("proxy", "A proxy that stands before this server lies in it: everybody would be kept out.", "The network of the client, as the proxy tells it.")
	case p.Contains(from):
		return p, badBlock("own", "You come from that network yourself.", "Another one; or block it from the machine of the server.")
	case b.Reason == "" || len(b.Reason) > 300 || !utf8.ValidString(b.Reason):
		return p, badBlock("reason", "It is not said why.", "A reason of at most 300 characters.")
	case !goodIncident.MatchString(b.Incident):
		return p, badBlock("incident", "That is no incident.", "Its reference, such as I-3, or nothing.")
	case !b.Until.After(now) || b.Until.Sub(now) > longestBlock:
		return p, badBlock("until", "It does not end within a year.", "A time from now on, at most a year ahead.")
	}
	return p, nil
}

// BlockNetwork keeps a network out from the next request on, and cuts what is under way from
// it; other nodes follow within a second. A block of the same network is replaced. from is where the
// wish came from over the network; zero = it did not.
func (g *Gateway) BlockNetwork(ctx context.Context, who actor.Actor, b Block, from netip.Addr) (Block, error) { // clause: inc.breach-research
	if err := g.access.Allow(ctx, who, access.GateMaintain, "gateway/blocks"); err != nil {
		return Block{}, fmt.Errorf("block network: %w", err)
	}
	p, err := g.checkBlock(&b, from)
	if err != nil {
		return Block{}, err
	}
	b.ID, b.Owner, b.Until, b.Ended, b.EndedBy = g.db.ID(), who.String(), b.Until.UTC().Truncate(time.Second), time.Time{}, ""
	_, err = g.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		b.Made = tx.Now().UTC()
		var n int64
		if err := ledger.One(ctx, tx, countBlocks, []any{&n}, b.Made.UnixMicro()); err != nil {
			return nil, err //nolint:wrapcheck // the ledger says what failed
		}
		if n >= mostBlocks {
			return nil, badBlock("many", "There are 1,000 blocks.", "Fewer: remove what is not needed, or close the gate.")
		}
		switch e, err := endBlock(ctx, tx, who, b.Network, "replaced"); {
		case err == nil:
			tx.Also(e)
		case !errors.Is(err, fault.NotFound):
			return nil, err
		}
		_, err := tx.Exec(ctx, addBlock, b.ID, b.Network, b.Reason, b.Incident, b.Owner, b.Made.UnixMicro(), b.Until.UnixMicro())
		return NetworkBlocked{Network: coarse(p), Bits: p.Bits(), Until: b.Until, Incident: b.Incident, id: b.ID, reason: b.Reason}, err
	})
	if err != nil {
		return Block{}, fmt.Errorf("block network: %w", err)
	}
	return b, g.readBlocks(ctx)
}

// coarse is a network as entries name it: not so fine that it would be a person's.
func coarse(p netip.Prefix) string {
	bits := 24
	if p.Addr().Is6() {
		bits = 48
	}
	return netip.PrefixFrom(p.Addr(), min(p.Bits(), bits)).Masked().String()
}

// Unblock lets a network in again, by the id of its block or by its name.
func (g *Gateway) Unblock(ctx context.Context, who actor.Actor, ref string) error {
	if err := g.access.Allow(ctx, who, access.GateMaintain, "gateway/blocks"); err != nil {
		return fmt.Errorf("unblock network: %w", err)
	}
	if p, err := ParseNetwork(ref); err == nil {
		ref = p.String()
	}
	if err := g.unblock(ctx, who, ref, "removed"); err != nil {
		return err
	}
	return g.readBlocks(ctx)
}

func (g *Gateway) unblock(ctx context.Context, who actor.Actor, ref, how string) error {
	_, err := g.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		return endBlock(ctx, tx, who, ref, how)
	})
	if err != nil {
		return fmt.Errorf("unblock network: %w", err)
	}
	return nil
}

// endBlock ends one inside a change. fault.NotFound: there is none.
func endBlock(ctx context.Context, tx *ledger.Tx, who actor.Actor, ref, how string) (NetworkUnblocked, error) {
	var id, network string
	if err := ledger.One(ctx, tx, liveBlock, []any{&id, &network}, ref); err != nil {
		return NetworkUnblocked{}, err //nolint:wrapcheck // the ledger says what failed
	}
	p, err := ParseNetwork(network)
	if err == nil {
		_, err = tx.Exec(ctx, stopBlock, id, tx.Now().UnixMicro(), who.String())
	}
	return NetworkUnblocked{Network: coarse(p), How: how, id: id}, err
}

// readBlocks takes up what this or another node has blocked or let in again, and cuts what
// is under way from a blocked network.
func (g *Gateway) readBlocks(ctx context.Context) error {
	next := &blockList{until: map[netip.Prefix]time.Time{}}
	now := g.now()
	err := g.eachBlock(ctx, inForceBlocks, func(b Block) {
		if p, err := ParseNetwork(b.Network); err == nil {
			next.add(p, b.Until)
		}
	}, now.UnixMicro())
	if err != nil {
		return fmt.Errorf("read blocks: %w", err)
	}
	g.blocks.list.Store(next)
	if len(next.bits) == 0 {
		return nil
	}
	for _, x := range g.streams.before(now.Add(time.Minute)) {
		if g.blocks.holds(x.from, now) {
			g.cut(x, "blocked", now.Sub(x.began))
		}
	}
	return nil
}

// blockTick follows the list, that of other nodes too, and makes an entry of each block whose
// time is over. It has not counted since that moment.
func (g *Gateway) blockTick(ctx context.Context) error {
	var over []string
	err := g.db.Each(ctx, overBlocks, func(scan ledger.Scan) error {
		var id string
		err := scan(&id)
		over = append(over, id)
		return err
	}, g.now().UnixMicro())
	for _, id := range over {
		if e := g.unblock(ctx, actor.System("gateway"), id, "time is over"); !errors.Is(e, fault.NotFound) { // another node may have been first
			err = errors.Join(err, e)
		}
	}
	err = errors.Join(err, g.readBlocks(ctx))
	if now := g.now(); now.Sub(g.blocks.forgot) >= time.Hour {
		g.blocks.forgot = now
		err = errors.Join(err, g.db.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
			_, err := tx.Exec(ctx, dropBlocks, tx.Now().Add(-blocksKept).UnixMicro())
			return err //nolint:wrapcheck // the ledger says what failed
		}))
	}
	return err
}

// Blocks lists them, those in force first and of these the newest, then those that ended last.
func (g *Gateway) Blocks(ctx context.Context) (all []Block, err error) {
	err = g.eachBlock(ctx, listBlocks, func(b Block) { all = append(all, b) }, 2*mostBlocks)
	return all, err
}

func (g *Gateway) eachBlock(ctx context.Context, query string, use func(Block), args ...any) error {
	return g.db.Each(ctx, query, func(scan ledger.Scan) error { //nolint:wrapcheck // the ledger says what failed
		var b Block
		var made, until, ended int64
		if err := scan(&b.ID, &b.Network, &b.Reason, &b.Incident, &b.Owner, &made, &until, &ended, &b.EndedBy); err != nil {
			return err
		}
		b.Made, b.Until = time.UnixMicro(made).UTC(), time.UnixMicro(until).UTC()
		if ended > 0 {
			b.Ended = time.UnixMicro(ended).UTC()
		}
		use(b)
		return nil
	}, args...)
}

const (
	countBlocks = `SELECT COUNT(*) FROM gateway_block WHERE ended = 0 AND until > $1`
	addBlock    = `INSERT INTO gateway_block (id, network, reason, incident, owner, made, until, ended, ended_by) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, '')`
	liveBlock   = `SELECT id, network FROM gateway_block WHERE (id = $1 OR network = $1) AND ended = 0 ORDER BY id LIMIT 1`
	stopBlock   = `UPDATE gateway_block SET ended = $2, ended_by = $3 WHERE id = $1 AND ended = 0`
	overBlocks  = `SELECT id FROM gateway_block WHERE ended = 0 AND until <= $1 ORDER BY until LIMIT 40`
	dropBlocks  = `DELETE FROM gateway_block WHERE ended > 0 AND ended <= $1`

	blockColumns  = `id, network, reason, incident, owner, made, until, ended, ended_by FROM gateway_block`
	inForceBlocks = `SELECT ` + blockColumns + ` WHERE ended = 0 AND until > $1 ORDER BY id`
	listBlocks    = `SELECT ` + blockColumns + ` ORDER BY CASE WHEN ended = 0 THEN 0 ELSE 1 END, ended DESC, id DESC LIMIT $1`
)
