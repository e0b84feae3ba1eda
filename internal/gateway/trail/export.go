package trail

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
)

// The forms of an export: lines of JSON, as a search gives them or as events of OCSF.
const (
	JSONLines = "jsonl"
	OCSF      = "ocsf"
)

// Export writes all records of a query, the oldest first, one a line.
func (t *Trail) Export(ctx context.Context, who actor.Actor, q Query, form string, w io.Writer) error {
	if form != JSONLines && form != OCSF {
		return fault.New(fault.Invalid, "bad_query", fault.Public{Problem: "There is no such form of an export.", Expected: "jsonl or ocsf."})
	}
	q.Limit = most
	if err := t.allow(ctx, who, access.JournalExport, &q, form); err != nil {
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return t.walk(ctx, q, false, func(fs []Found) error {
		for i := range fs {
			var v any = fs[i]
			if form == OCSF {
				v = event(&fs[i])
			}
			if err := e.Encode(v); err != nil {
				return fmt.Errorf("write the export: %w", err)
			}
		}
		return nil
	})
}

// The parts of an HTTP Activity event (class 4002) of OCSF 1.3.
type (
	ocsf struct {
		Activity int          `json:"activity_id"`
		Category int          `json:"category_uid"`
		Class    int          `json:"class_uid"`
		Type     int          `json:"type_uid"`
		Severity int          `json:"severity_id"`
		Status   int          `json:"status_id"` // 1 success, 2 failure
		Code     string       `json:"status_code,omitempty"`
		Time     int64        `json:"time"` // ms
		Duration int64        `json:"duration"`
		Meta     ocsfMeta     `json:"metadata"`
		Request  ocsfRequest  `json:"http_request"`
		Response ocsfResponse `json:"http_response"`
		Actor    *ocsfActor   `json:"actor,omitempty"`
		Source   ocsfEndpoint `json:"src_endpoint"`
		Traffic  ocsfTraffic  `json:"traffic"`
		Unmapped ocsfUnmapped `json:"unmapped"`
	}
	ocsfMeta struct {
		Version string      `json:"version"`
		Product ocsfProduct `json:"product"`
		UID     string      `json:"uid"`      // of the segment
		Profile []string    `json:"profiles"` // of the schema: one brings the actor
	}
	ocsfProduct struct {
		Name   string `json:"name"`
		Vendor string `json:"vendor_name"`
	}
	ocsfRequest struct {
		Method string `json:"http_method"`
		Length int64  `json:"length,omitempty"`
	}
	ocsfResponse struct {
		Code   int   `json:"code"`
		Length int64 `json:"length,omitempty"`
	}
	ocsfActor struct {
		User    ocsfUser     `json:"user"`
		Session *ocsfSession `json:"session,omitempty"`
	}
	ocsfUser struct {
		UID  string   `json:"uid,omitempty"`
		Type string   `json:"type,omitempty"`
		Org  *ocsfOrg `json:"org,omitempty"`
	}
	ocsfOrg struct {
		UID string `json:"uid"`
	}
	ocsfSession struct {
		UID string `json:"uid"`
	}
	ocsfEndpoint struct {
		IP string `json:"ip,omitempty"`
		By string `json:"svc_name"` // of those that the schema wants one of; the address is known for a week
	}
	ocsfTraffic struct {
		In  int64 `json:"bytes_in"`
		Out int64 `json:"bytes_out"`
	}
	ocsfUnmapped struct {
		Route    string   `json:"route"`
		For      string   `json:"on_behalf_of,omitempty"`
		Resource []string `json:"resource,omitempty"`
		Teams    []string `json:"teams,omitempty"`
		Rows     int64    `json:"rows,omitempty"`
		Clause   string   `json:"clause,omitempty"`
		Revision string   `json:"revision,omitempty"`
		Network  string   `json:"network,omitempty"`
	}
)

// activities are OCSF's numbers of methods; 99 is another one.
var activities = map[string]int{"CONNECT": 1, "DELETE": 2, "GET": 3, "HEAD": 4, "OPTIONS": 5, "POST": 6, "PUT": 7, "TRACE": 8, "PATCH": 9}

func event(f *Found) ocsf {
	const class = 4002
	e := ocsf{Activity: 99, Category: 4, Class: class, Severity: 1, Status: 1, Code: f.Code, Time: f.At.UnixMilli(), Duration: f.TookUS / 1000, Meta: ocsfMeta{"1.3.0", ocsfProduct{"Writ", "Writ"}, f.Segment, []string{"host"}},
		Request: ocsfRequest{f.Method, max(f.BytesIn, 0)}, Response: ocsfResponse{f.Status, max(f.BytesOut, 0)}, Source: ocsfEndpoint{f.Address, "https"}, Traffic: ocsfTraffic{max(f.BytesIn, 0), max(f.BytesOut, 0)},
		Unmapped: ocsfUnmapped{f.Route, f.For, f.Resource, f.Teams, f.Rows, f.Clause, f.Revision, f.Network}}
	if n, ok := activities[f.Method]; ok {
		e.Activity = n
	}
	e.Type = class*100 + e.Activity
	if f.Status >= 400 {
		e.Status, e.Severity = 2, 2
	}
	if f.Who != "" || f.Session != "" || f.Token != "" {
		a := &ocsfActor{User: ocsfUser{UID: f.Who, Type: f.Kind}}
		if f.Team != "" {
			a.User.Org = &ocsfOrg{f.Team}
		}
		if s := f.Session; s != "" {
			a.Session = &ocsfSession{s}
		}
		e.Actor = a
	}
	return e
}
