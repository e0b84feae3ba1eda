package report_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/policy/check"
	"writ/internal/report"
)

var update = flag.Bool("update", false, "write the golden files")

var noon = check.Time{Time: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}

func sample() check.Report {
	f := func(control, kind string, o clause.Outcome, says string) check.Finding {
		return check.Finding{Control: control, Kind: kind, Outcome: o, Summary: says, ObservedAt: noon, ValidUntil: noon, Entry: "7"}
	}
	return check.Report{
		Policy: check.Policy{ID: "IS-01", Title: "Information security", Revision: "1.1", BodySHA256: strings.Repeat("ab", 32), InForceSince: noon}, At: noon,
		Counts: check.Counts{Pass: 1, Fail: 1, Unknown: 1},
		Clauses: []check.Clause{
			{ID: "gov.sod", Section: "approval", Says: "Who wrote a revision does not approve it alone.", Class: "enforced", By: "policy", Outcome: clause.Pass,
				Findings: []check.Finding{f("policy.no-own-approval", "replay", clause.Pass, "none of 2 approvals is the author's")}},
			{ID: "gov.owners", Section: "approval", Says: "Owners approve.", Class: "enforced", By: "policy", Outcome: clause.Fail,
				Findings: []check.Finding{f("policy.enough", "replay", clause.Fail, "revision 1.1 has 0 of 1\x1b[2J"), f("policy.other", "probe", clause.Pass, "fine")}},
			{ID: "people.training", Section: "people", Says: "Staff are trained.", Class: "attested", By: "people", Outcome: clause.Unknown,
				Findings: []check.Finding{{Control: "record", Kind: "record", Outcome: clause.Unknown, Summary: "no record yet: writ attest people.training"}}},
		},
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", name, got)
	}
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	if err := report.Text(&b, sample(), report.Look{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", b.Bytes())
	if strings.Contains(b.String(), "\x1b") {
		t.Error("foreign text reached the terminal")
	}
	b.Reset()
	if err := report.Text(&b, sample(), report.Look{Color: true}); err != nil || !strings.Contains(b.String(), "\x1b[32m● pass") {
		t.Errorf("no colour: %v", err)
	}
}

func TestProof(t *testing.T) {
	p := check.Proof{Clause: "gov.sod", Says: "Who wrote a revision does not approve it alone.", At: noon, Outcome: clause.Pass, Runs: []check.Run{{
		Control: "policy.own-approval-refused", Kind: "canary", Says: "an author approves their own revision", Outcome: clause.Pass, Summary: "refused", ObservedAt: noon, Took: "80ms", Entry: "12",
		Steps: []check.Step{{Act: "the author signs", Expected: "refused: self_approval", Got: "self_approval", OK: true}, {Act: "other owners sign", Expected: "accepted", Got: "accepted", OK: true, Control: true}}}}}
	var b bytes.Buffer
	if err := report.Proof(&b, p, report.Look{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "proof.txt", b.Bytes())
}

func TestJSONRoundTrip(t *testing.T) {
	var b bytes.Buffer
	if err := report.JSON(&b, sample()); err != nil {
		t.Fatal(err)
	}
	var back check.Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if !back.At.Equal(noon.Time) || !back.Clauses[2].Findings[0].ObservedAt.IsZero() || back.Counts != sample().Counts {
		t.Errorf("round trip: %+v", back)
	}
}
