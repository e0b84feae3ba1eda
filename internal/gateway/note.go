package gateway

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"writ/internal/clause"
	"writ/internal/gateway/trail"
	"writ/internal/web"
)

// recordName is a segment of a path that names a record of the application.
type recordName struct {
	at   int // which segment, from 0
	name string
}

var goodRecord = regexp.MustCompile(`^\{[a-z][a-z0-9_-]{0,30}\}$`)

// parseRecords reads /contacts/{contact}: which segments name what. "" = none do.
func parseRecords(s string) (out []recordName, err error) {
	if s == "" {
		return nil, nil
	}
	rest, rooted := strings.CutPrefix(s, "/")
	for i, seg := range strings.Split(rest, "/") {
		if goodRecord.MatchString(seg) {
			out = append(out, recordName{i, seg[1 : len(seg)-1]})
		} else if strings.ContainsAny(seg, "{}") {
			rooted = false
		}
	}
	if !rooted || len(out) == 0 || len(out) > 4 {
		return nil, fmt.Errorf("records is %q; expected a path with one to four names, such as /contacts/{contact}", s)
	}
	return out, nil
}

const maxResource = 100 // bytes of a record's name that are kept

// resources are the records of the application that the path names.
func (v *visit) resources() (out []string) {
	for _, r := range v.need.rules {
		if r == nil || len(r.records) == 0 {
			continue
		}
		segs := strings.Split(strings.TrimPrefix(v.target.path, "/"), "/")
		for _, n := range r.records {
			if n.at < len(segs) && segs[n.at] != "" {
				out = append(out, n.name+"="+strings.ToValidUTF8(segs[n.at][:min(len(segs[n.at]), maxResource)], ""))
			}
		}
	}
	return out
}

// keepRecord makes the access record of a request.
func (v *visit) keepRecord() { // clause: inc.breach-scope
	if v.g.trail == nil {
		return
	}
	node := v.need.node
	if node == nil {
		node = v.table.rest
	}
	r := trail.Record{At: v.began, Who: v.caller(), Addr: web.RemoteIP(v.r), Route: node.pattern, Method: knownMethod(v.r.Method), Status: v.status, Took: v.g.now().Sub(v.began),
		In: v.r.ContentLength, Out: v.out.n, Resource: append(v.resources(), v.shows.records...), Teams: v.shows.teams, Rows: v.shows.rows, Agent: v.r.UserAgent()}
	if v.failed != nil {
		r.Code, r.Clause = v.failed.err.Code, v.failed.clause
	}
	v.g.trail.Add(r)
}

// probeTrail looks whether the access records are whole.
func (g *Gateway) probeTrail(ctx context.Context) (clause.Result, error) {
	if g.trail == nil {
		return clause.Failed("no access records are kept"), nil
	}
	segments, records, broken, err := g.trail.Whole(ctx, g.now().Add(-25*time.Hour))
	if err != nil {
		return clause.Result{}, fmt.Errorf("look at the access records: %w", err)
	}
	if len(broken) > 0 {
		return clause.Failed(fmt.Sprintf("of %d segments of the last day %d are not as they were closed: %s", segments, len(broken), broken[0])), nil
	}
	added, lost := g.trail.Counts()
	if lost > 0 {
		return clause.Failed(fmt.Sprintf("%d of %d requests since this server started have no access record", lost, added+lost)), nil
	}
	r := clause.Passed(fmt.Sprintf("%d records in %d segments of the last day are as they were closed; each of %d requests since this server started has one", records, segments, added))
	r.Population = records + added
	return r, nil
}
