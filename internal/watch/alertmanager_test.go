package watch_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/watch"
	"writ/internal/web"
)

// doorman lets everybody in as whom the header names, as an engineer without one.
type doorman struct{ w *world }

func (d doorman) Identify(r *http.Request) (actor.Actor, error) {
	if r.Header.Get("Test-Who") == "support" {
		return support, nil
	}
	eli := engineer
	eli.FactorAt = d.w.Clock.Now()
	return eli, nil
}

func (w *world) serve() *httptest.Server {
	w.t.Helper()
	site, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Example"} }, Log: slog.New(slog.DiscardHandler), Now: w.Clock.Now})
	must(w.t, err)
	must(w.t, site.Mount(w.s.Routes()...))
	srv := httptest.NewServer(site.Handler(doorman{w}))
	w.t.Cleanup(srv.Close)
	return srv
}

// call speaks JSON; out may be nil.
func call(t *testing.T, srv *httptest.Server, who, method, path string, body any, status int, out any) string {
	t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		must(t, err)
		in = strings.NewReader(string(b))
	}
	r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, in)
	must(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Test-Who", who)
	resp, err := srv.Client().Do(r)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != status {
		t.Fatalf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, status, b)
	}
	if out != nil {
		must(t, json.Unmarshal(b, out))
	}
	return string(b)
}

type obj = map[string]any

// Alerts of others become alarms and end when they are not sent any more; silences are made,
// edited and ended; what is wrong is refused with 400, and a role that may not with 403.
func TestAlertmanager(t *testing.T) { // breaks: mon.alarms, mon.notify
	w := lite(t)
	srv := w.serve()
	const v2 = "/-/alertmanager/api/v2"
	var status struct{ Cluster struct{ Status string } }
	call(t, srv, "", "GET", v2+"/status", nil, 200, &status)
	if status.Cluster.Status != "disabled" {
		t.Errorf("%+v", status)
	}
	alert := obj{"labels": obj{"alertname": "ReplicaLag", "severity": "critical", "instance": "db-2"}, "annotations": obj{"summary": "90 s behind"}, "endsAt": "0001-01-01T00:00:00.000Z"}
	call(t, srv, "", "POST", v2+"/alerts", []obj{alert}, 200, nil)
	call(t, srv, "", "POST", v2+"/alerts", []obj{alert}, 200, nil)
	var got []struct {
		Labels, Annotations map[string]string
		Status              struct {
			State      string
			SilencedBy []string
		}
		StartsAt, EndsAt, UpdatedAt, Fingerprint string
		Receivers                                []obj
	}
	call(t, srv, "", "GET", v2+"/alerts?filter=alertname%3D%22ReplicaLag%22&active=true", nil, 200, &got)
	if len(got) != 1 || got[0].Labels["instance"] != "db-2" || got[0].Annotations["seen"] != "90 s behind" || got[0].Status.State != "active" || len(got[0].Receivers) != 2 || got[0].StartsAt != "2026-11-02T10:00:00.000Z" {
		t.Fatalf("%+v", got)
	}
	if a := w.alarm("pushed-alert", watch.Firing); a.Severity != "page" || a.Count != 2 {
		t.Errorf("%+v", a)
	}
	w.on(0)
	if l := w.send(1)[0]; l.Subject != "PAGE: ReplicaLag" {
		t.Errorf("%s", l.Subject)
	}
	wish := obj{"matchers": []obj{{"name": "alertname", "value": "ReplicaLag", "isRegex": false}}, "startsAt": w.Clock.Now(), "endsAt": w.Clock.Now().Add(time.Hour), "createdBy": "mallory", "comment": "the replica is rebuilt"}
	var made struct{ SilenceID string }
	call(t, srv, "", "POST", v2+"/silences", wish, 200, &made)
	call(t, srv, "", "GET", v2+"/alerts?silenced=false", nil, 200, &got)
	if len(got) != 0 || len(made.SilenceID) != 36 {
		t.Errorf("%+v, %s", got, made.SilenceID)
	}
	wish["id"], wish["endsAt"] = made.SilenceID, w.Clock.Now().Add(2*time.Hour)
	var edited struct{ SilenceID string }
	call(t, srv, "", "POST", v2+"/silences", wish, 200, &edited)
	var one struct {
		CreatedBy string
		Status    struct{ State string }
	}
	call(t, srv, "", "GET", v2+"/silence/"+made.SilenceID, nil, 200, &one)
	if one.Status.State != "expired" || one.CreatedBy != "person/eli" {
		t.Errorf("the one before: %+v", one)
	}
	wish["comment"] = ""
	call(t, srv, "", "POST", v2+"/silences", wish, 400, nil)
	wish["comment"] = "the replica is rebuilt"
	call(t, srv, "support", "POST", v2+"/silences", wish, 403, nil)
	call(t, srv, "support", "POST", v2+"/alerts", []obj{alert}, 403, nil)
	call(t, srv, "", "POST", v2+"/alerts", []obj{{"labels": obj{"x": "y"}}}, 400, nil)
	call(t, srv, "", "POST", v2+"/alerts", []obj{{"labels": obj{"alertname": "a\r\nBcc: b"}}}, 400, nil)
	call(t, srv, "", "GET", v2+"/alerts?filter=%3D", nil, 400, nil)
	call(t, srv, "", "DELETE", v2+"/silence/"+edited.SilenceID, nil, 200, nil)
	call(t, srv, "", "DELETE", v2+"/silence/"+edited.SilenceID, nil, 404, nil)
	w.on(5 * time.Minute)
	w.alarm("pushed-alert", watch.Cleared)
}

// The tool of that API works unchanged, where it is there.
func TestAmtool(t *testing.T) {
	tool, err := exec.LookPath("amtool")
	if built, _ := filepath.Glob("../../bin/tools/amtool-v*"); err != nil && len(built) > 0 {
		tool, err = filepath.Abs(built[len(built)-1])
	}
	if err != nil {
		t.Skip("no amtool here; scripts/judges.sh builds it where it can")
	}
	w := lite(t)
	srv := w.serve()
	amtool := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, tool, append([]string{"--alertmanager.url=" + srv.URL + "/-/alertmanager"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("amtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	says := func(got string, want ...string) {
		t.Helper()
		for _, x := range want {
			if !strings.Contains(got, x) {
				t.Errorf("amtool does not say %q:\n%s", x, got)
			}
		}
	}
	w.Clock.Set(time.Now()) // the tool has the machine's
	amtool("alert", "add", "DiskSlow", "instance=db-1", "--annotation=summary=writes take a second")
	says(amtool("alert", "query"), "DiskSlow", "active")
	says(amtool("alert", "query", "-o", "json", "instance=db-1"), "writes take a second")
	id := amtool("silence", "add", "--comment=the disk is replaced", "--author=eli", "--duration=1h", "alertname=DiskSlow")
	says(amtool("silence", "query"), id, "DiskSlow", "person/eli")
	says(amtool("alert", "query", "--silenced"), "suppressed")
	next := amtool("silence", "update", "--duration=2h", id)
	says(next, "DiskSlow")
	ids := strings.Fields(amtool("silence", "query", "-q"))
	if len(ids) != 1 || ids[0] == id {
		t.Fatalf("after an edit there are %v", ids)
	}
	all := amtool("silence", "query", "-o", "json")
	amtool("silence", "expire", ids[0])
	file := filepath.Join(t.TempDir(), "silences.json")
	must(t, os.WriteFile(file, []byte(all), 0o600))
	amtool("silence", "import", "--force", file)
	says(amtool("cluster", "show"), "disabled")
	says(amtool("config", "show"), "writ watch channel list")
}
