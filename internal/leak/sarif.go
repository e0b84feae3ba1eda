package leak

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// SARIF is the report in the Static Analysis Results Interchange Format (OASIS, 2.1.0),
// which code hosts show beside the code. Secrets are masked in it too.
func (r Report) SARIF(version string) ([]byte, error) {
	type text struct {
		Text string `json:"text"`
	}
	type obj = map[string]any
	rules, results := []obj{}, []obj{}
	var ids []string
	for _, h := range r.Hits {
		if !slices.Contains(ids, h.Rule) {
			ids = append(ids, h.Rule)
			rules = append(rules, obj{"id": h.Rule, "shortDescription": text{h.Says}})
		}
		says := h.Says + ": " + h.Masked
		if h.Name != "" {
			says += ", the value of " + h.Name
		}
		place := obj{"artifactLocation": obj{"uri": (&url.URL{Path: strings.TrimPrefix(h.File, "/")}).String()}}
		if h.Line > 0 {
			place["region"] = obj{"startLine": h.Line}
		}
		res := obj{"ruleId": h.Rule, "level": "error", "message": text{says}, "locations": []obj{{"physicalLocation": place}},
			"partialFingerprints": obj{"writ/v1": h.ID}}
		if h.Commit != "" {
			res["properties"] = obj{"commit": h.Commit}
		}
		if h.Excepted() {
			res["suppressions"] = []obj{{"kind": "external", "status": "accepted", "justification": h.Reason + " (until " + h.Until + ")"}}
		}
		results = append(results, res)
	}
	return json.MarshalIndent(obj{"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": []obj{{
		"tool":    obj{"driver": obj{"name": "writ vault scan", "version": version, "rules": rules}},
		"results": results}}}, "", "  ")
}
