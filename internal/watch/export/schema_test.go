package export_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// schema resolves the files of OCSF's schema, and says what an event breaks of it. It
// stands beside the encoder and knows nothing of it.
type schema struct {
	claimed         []string // profiles, by the event that is judged
	events, objects map[string]node
	files           map[string]node // profiles and other pieces that are included
	words           map[string]node // the dictionary
	categories      map[string]node
}

type node map[string]any

// theSchema reads the schema where the data of tests lies; it skips where it does not.
func theSchema(t *testing.T) *schema {
	t.Helper()
	f, err := os.Open(filepath.FromSlash("../../../../shared/data/ocsf-schema.tar.gz"))
	if err != nil {
		t.Skip("the schema of OCSF (ocsf-schema.tar.gz) is not here, so nothing is judged by it")
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	s := &schema{events: map[string]node{}, objects: map[string]node{}, files: map[string]node{}}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, ".json") || strings.HasPrefix(h.Name, "extensions/") || strings.HasPrefix(h.Name, "metaschema/") {
			continue
		}
		var n node
		if err := json.NewDecoder(r).Decode(&n); err != nil {
			t.Fatalf("%s: %v", h.Name, err)
		}
		s.files[h.Name] = n
		name, _ := n["name"].(string)
		if name == "" {
			name, _ = n["extends"].(string)
		}
		switch {
		case strings.HasPrefix(h.Name, "events/"):
			s.events[name] = n
		case strings.HasPrefix(h.Name, "objects/"):
			s.objects[name] = n
		}
	}
	s.words, s.categories = nodes(s.files["dictionary.json"]["attributes"]), nodes(s.files["categories.json"]["attributes"])
	return s
}

func nodes(v any) map[string]node {
	out := map[string]node{}
	m, _ := v.(map[string]any)
	for k, v := range m {
		if n, ok := v.(map[string]any); ok {
			out[k] = n
		}
	}
	return out
}

// attributes are what a class or object may have, with what it extends and includes. What
// an included profile brings counts only where that profile is claimed.
func (s *schema) attributes(n node, all map[string]node) map[string]node {
	out := map[string]node{}
	if up, ok := all[text(n["extends"])]; ok {
		out = s.attributes(up, all)
	}
	m, _ := n["attributes"].(map[string]any)
	for _, piece := range list(m["$include"]) {
		for k, v := range nodes(s.files[piece]["attributes"]) {
			v = maps.Clone(v)
			if strings.HasPrefix(piece, "profiles/") {
				v["profile"] = strings.TrimSuffix(strings.TrimPrefix(piece, "profiles/"), ".json")
			}
			out[k] = over(out[k], v)
		}
	}
	for k, v := range nodes(m) {
		out[k] = over(out[k], v)
	}
	return out
}

// over lays an attribute over what it was; numbers of an enumeration add up.
func over(was, is node) node {
	out := node{}
	maps.Copy(out, was)
	for k, v := range is {
		if k == "enum" {
			enum := node{}
			if had, ok := out["enum"].(map[string]any); ok {
				maps.Copy(enum, had)
			}
			maps.Copy(enum, v.(map[string]any))
			v = map[string]any(enum)
		}
		out[k] = v
	}
	return out
}

func text(v any) string { s, _ := v.(string); return s }

func list(v any) (out []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, x := range v {
			out = append(out, text(x))
		}
	}
	return out
}

// class finds an event's class by its number.
func (s *schema) class(uid int) (name string, category node) {
	for name, n := range s.events {
		own, ok := n["uid"].(float64)
		if !ok {
			continue
		}
		c := s.categories[s.category(n)]
		if base, ok := c["uid"].(float64); ok && int(base)*1000+int(own) == uid {
			return name, c
		}
	}
	return "", nil
}

func (s *schema) category(n node) string {
	if c := text(n["category"]); c != "" {
		return c
	}
	if up, ok := s.events[text(n["extends"])]; ok {
		return s.category(up)
	}
	return ""
}

// judge lists what an event breaks.
func (s *schema) judge(event map[string]any) (broken []string) {
	uid, _ := event["class_uid"].(float64)
	name, category := s.class(int(uid))
	if name == "" {
		return []string{fmt.Sprintf("there is no class %v", event["class_uid"])}
	}
	if event["category_uid"] != category["uid"] {
		broken = append(broken, fmt.Sprintf("category_uid: %v", event["category_uid"]))
	}
	activity, _ := event["activity_id"].(float64)
	if event["type_uid"] != uid*100+activity {
		broken = append(broken, fmt.Sprintf("type_uid: %v", event["type_uid"]))
	}
	meta, _ := event["metadata"].(map[string]any)
	s.claimed = list(meta["profiles"])
	as := s.attributes(s.events[name], s.events)
	delete(as["class_uid"], "enum") // of the base class alone
	delete(as["category_uid"], "enum")
	return append(broken, s.object(name, event, as, s.constraints(s.events[name], s.events))...)
}

func (s *schema) constraints(n node, all map[string]node) any {
	if c, ok := n["constraints"]; ok {
		return c
	}
	if up, ok := all[text(n["extends"])]; ok {
		return s.constraints(up, all)
	}
	return nil
}

func (s *schema) object(at string, o map[string]any, as map[string]node, constraints any) (broken []string) {
	for k, a := range as {
		if a["requirement"] == "required" && s.counts(a) && o[k] == nil {
			broken = append(broken, at+"."+k+" is required")
		}
	}
	for k, v := range o {
		a, ok := as[k]
		if !ok || !s.counts(a) {
			broken = append(broken, at+"."+k+" is not known")
			continue
		}
		broken = append(broken, s.value(at+"."+k, v, over(s.words[k], a))...)
	}
	if c, ok := constraints.(map[string]any); ok {
		if one := list(c["at_least_one"]); len(one) > 0 && !slices.ContainsFunc(one, func(k string) bool { return o[k] != nil }) {
			broken = append(broken, at+" has none of "+strings.Join(one, ", "))
		}
	}
	return broken
}

// counts reports whether an attribute is there without a profile, or its profile is claimed.
func (s *schema) counts(a node) bool {
	p := text(a["profile"])
	return p == "" || slices.Contains(s.claimed, p)
}

func (s *schema) value(at string, v any, a node) (broken []string) {
	if a["is_array"] == true {
		vs, ok := v.([]any)
		if !ok {
			return []string{at + " is no list"}
		}
		one := maps.Clone(a)
		delete(one, "is_array")
		for i, v := range vs {
			broken = append(broken, s.value(fmt.Sprintf("%s[%d]", at, i), v, one)...)
		}
		return broken
	}
	ok := true
	switch kind := text(a["type"]); kind {
	case "integer_t", "long_t", "timestamp_t", "port_t":
		var n float64
		n, ok = v.(float64)
		ok = ok && n == float64(int64(n))
		if enum, has := a["enum"].(map[string]any); ok && has && enum[fmt.Sprint(int64(n))] == nil {
			return []string{fmt.Sprintf("%s: %v is not among its numbers", at, v)}
		}
	case "float_t":
		_, ok = v.(float64)
	case "boolean_t":
		_, ok = v.(bool)
	case "json_t":
	case "object":
		_, ok = v.(map[string]any)
	default:
		if obj, is := s.objects[kind]; is {
			var o map[string]any
			if o, ok = v.(map[string]any); ok {
				return s.object(at, o, s.attributes(obj, s.objects), s.constraints(obj, s.objects))
			}
			break
		}
		if ok = strings.HasSuffix(kind, "_t"); ok {
			_, ok = v.(string)
		}
	}
	if !ok {
		broken = append(broken, fmt.Sprintf("%s: %v is no %v", at, v, a["type"]))
	}
	return broken
}

// The judge itself must be able to say no.
func TestSchemaRefuses(t *testing.T) {
	s := theSchema(t)
	good := func() map[string]any {
		return map[string]any{"class_uid": 3002.0, "category_uid": 3.0, "activity_id": 1.0, "type_uid": 300201.0, "severity_id": 1.0, "time": 1.0, "user": map[string]any{"uid": "p:1"},
			"service": map[string]any{"name": "Writ"}, "metadata": map[string]any{"version": "1.3.0", "product": map[string]any{"name": "Writ"}}}
	}
	if b := s.judge(good()); len(b) > 0 {
		t.Fatalf("a good event breaks %v", b)
	}
	for want, spoil := range map[string]func(map[string]any){
		"no class":        func(o map[string]any) { o["class_uid"] = 3999.0 },
		"type_uid":        func(o map[string]any) { o["type_uid"] = 1.0 },
		"category_uid":    func(o map[string]any) { o["category_uid"] = 4.0 },
		"is required":     func(o map[string]any) { delete(o, "metadata") },
		"not known":       func(o map[string]any) { o["colour"] = "red" },
		"its numbers":     func(o map[string]any) { o["severity_id"] = 42.0 },
		"has none of":     func(o map[string]any) { delete(o, "service") },
		"no timestamp_t":  func(o map[string]any) { o["time"] = "now" },
		"none of account": func(o map[string]any) { o["user"] = map[string]any{} },
	} {
		o := good()
		spoil(o)
		if b := strings.Join(s.judge(o), "; "); !strings.Contains(b, want) {
			t.Errorf("want %q, got %q", want, b)
		}
	}
}
