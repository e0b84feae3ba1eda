package sigma_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/watch/sigma"
)

var (
	start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	logs  = &sigma.Log{Sources: []sigma.Source{{Category: "webserver", Product: "p", Service: "s"}}}
)

// rule wraps a detection in a whole rule.
func rule(detection string) string {
	return "title: A rule\nid: 11111111-2222-3333-4444-555555555555\nlogsource: {category: webserver}\nlevel: high\ndetection:\n" + detection
}

func load(t testing.TB, text string) []*sigma.Rule {
	t.Helper()
	rs, errs := sigma.Load("f.yml", []byte(text), map[string][]string{"admins": {"ana", "ben*"}})
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	return rs
}

func engine(t testing.TB, text string) *sigma.Engine {
	t.Helper()
	e, errs := sigma.New(sigma.Unit{Key: "u", Rules: load(t, text)})
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	return e
}

func event(at time.Time, fields ...any) *sigma.Event {
	ev := &sigma.Event{Log: logs, At: at, Ref: at.UnixMicro()}
	for i := 0; i+1 < len(fields); i += 2 {
		v := fields[i+1]
		if n, ok := v.(int); ok {
			v = int64(n)
		}
		ev.Fields = append(ev.Fields, sigma.Field{Name: fields[i].(string), Value: v})
	}
	return ev
}

// Each modifier and each kind of value takes what the format says, and nothing else.
func TestMatching(t *testing.T) {
	for name, c := range map[string]struct {
		sel  string // of the selection "s"
		yes  []any  // values of the field f
		no   []any
		cond string
	}{
		"whole, any case":             {"f: Admin", []any{"admin", "ADMIN"}, []any{"admins", "", nil, 7}, ""},
		"one of":                      {"f: [a1x, B2x]", []any{"A1X", "b2x"}, []any{"a1xb2x"}, ""},
		"empty":                       {"f: ''", []any{""}, []any{"x", nil}, ""},
		"star":                        {"f: 'a*c'", []any{"abc", "ac", "aXXc"}, []any{"abcd", "xac"}, ""},
		"stars within":                {"f: '*one*two*three'", []any{"xoneytwozthree", "onetwothree"}, []any{"onethreetwo", "onetwothreex"}, ""},
		"question mark":               {"f: 'a?c'", []any{"abc", "aéc"}, []any{"ac", "abbc"}, ""},
		"question marks at the end":   {"f: '*.p?p?'", []any{"x.php5", "a.b.phpx"}, []any{"x.php", ".p?"}, ""},
		"a star that is none":         {`f: 'a\*c'`, []any{"a*c"}, []any{"abc"}, ""},
		"backslashes":                 {`f: 'c:\dir\\file'`, []any{`C:\dir\file`}, []any{`c:\dir\\file`}, ""},
		"backslash before a star":     {`f: 'c:\\*'`, []any{`c:\x`}, []any{`c:*`, `cx`}, ""},
		"contains":                    {"f|contains: mid", []any{"amidb", "MID"}, []any{"mi", nil}, ""},
		"contains with a wildcard":    {"f|contains: 'a*b'", []any{"xaxxbx"}, []any{"ba"}, ""},
		"contains all":                {"f|contains|all: [one, two]", []any{"two and one"}, []any{"one", "two"}, ""},
		"startswith":                  {"f|startswith: [ab, cd]", []any{"abc", "CDE"}, []any{"xab"}, ""},
		"endswith":                    {"f|endswith: .php", []any{"x.PHP"}, []any{".php.txt"}, ""},
		"cased":                       {"f|cased: Admin", []any{"Admin"}, []any{"admin"}, ""},
		"cased contains":              {"f|contains|cased: Adm", []any{"xAdmx"}, []any{"xadmx"}, ""},
		"re":                          {"f|re: 'a[0-9]+b'", []any{"xa12bx"}, []any{"A12B", "ab"}, ""},
		"re i":                        {"f|re|i: 'a[0-9]+b'", []any{"XA12BX"}, []any{"ab"}, ""},
		"re m":                        {"f|re|m: '^two$'", []any{"one\ntwo\nthree"}, []any{"one two"}, ""},
		"re s":                        {"f|re|s: 'one.two'", []any{"one\ntwo"}, []any{"onetwo"}, ""},
		"re without s":                {"f|re: 'one.two'", []any{"one two"}, []any{"one\ntwo"}, ""},
		"cidr":                        {"f|cidr: 198.51.100.0/24", []any{"198.51.100.7", "198.51.100.0/25", "::ffff:198.51.100.7"}, []any{"198.51.101.7", "198.51.0.0/16", "x"}, ""},
		"cidr of IPv6":                {"f|cidr: 2001:db8::/32", []any{"2001:db8::1"}, []any{"2001:db9::1", "198.51.100.7"}, ""},
		"windash":                     {"f|windash|contains: ' -exec'", []any{"x -exec", "x /EXEC", "x –exec"}, []any{"x exec", "x +exec"}, ""},
		"base64":                      {"f|base64: foo", []any{"Zm9v"}, []any{"foo"}, ""},
		"base64offset":                {"f|base64offset|contains: foobar", []any{"xx Zm9vYmFy", "AGZvb2Jhcg==", "AABmb29iYXI="}, []any{"foobar"}, ""},
		"wide":                        {"f|wide|base64: ab", []any{"YQBiAA=="}, []any{"YWI="}, ""},
		"utf16be":                     {"f|utf16be|base64: ab", []any{"AGEAYg=="}, []any{"YQBiAA=="}, ""},
		"utf16":                       {"f|utf16|base64: a", []any{"//5hAA=="}, []any{"YQA="}, ""},
		"wide base64offset":           {"f|wide|base64offset|contains: ab", []any{"YQBiA", "xhAGIAx"}, []any{"ab"}, ""},
		"expand":                      {"f|expand: '%admins%'", []any{"ana", "benjamin"}, []any{"%admins%", "anabel"}, ""},
		"exists":                      {"f|exists: true", []any{"x", "", nil}, nil, ""},
		"exists not":                  {"g|exists: true", []any{}, []any{"x"}, ""},
		"gone":                        {"g|exists: no", []any{"x"}, nil, ""},
		"null":                        {"f: null", []any{nil}, []any{"", "x"}, ""},
		"null of what is not there":   {"g: null", []any{"x"}, nil, ""},
		"null or":                     {"f: [null, x1y]", []any{nil, "x1y"}, []any{"y"}, ""},
		"number":                      {"f: 404", []any{404, 404.0, "404"}, []any{"0404", 40, "x"}, ""},
		"number as text":              {"f: '404'", []any{404, "404"}, []any{4040}, ""},
		"number within":               {"f|startswith: 40", []any{404, "40x"}, []any{504}, ""},
		"truth":                       {"f: true", []any{true, "True"}, []any{false, 1}, ""},
		"gt":                          {"f|gt: 5", []any{6, "6", 5.5}, []any{5, "x", nil}, ""},
		"gte":                         {"f|gte: 5", []any{5}, []any{4}, ""},
		"lt":                          {"f|lt: 5", []any{-1}, []any{5}, ""},
		"lte":                         {"f|lte: 5", []any{5}, []any{5.1}, ""},
		"neq":                         {"f|neq: x", []any{"y", nil}, []any{"X"}, ""},
		"fieldref":                    {"f|fieldref: other", []any{"Same"}, []any{"different"}, ""},
		"fieldref startswith":         {"f|fieldref|startswith: other", []any{"Same thing"}, []any{"a same"}, ""},
		"hour":                        {"f|hour|gte: 22", []any{"2026-11-02T23:10:00Z"}, []any{"2026-11-02T21:10:00Z", "x"}, ""},
		"month":                       {"f|month: [11, 12]", []any{"2026-11-02T23:10:00Z"}, []any{"2026-10-02T21:10:00Z"}, ""},
		"a list of the event":         {"f: b1b", []any{[]any{"a", "B1B"}}, []any{[]any{"a"}}, ""},
		"not, of what is not there":   {"g: x", []any{"anything"}, nil, "not s"},
		"not":                         {"f: xyz", []any{"a", nil}, []any{"xyz"}, "not s"},
		"both of a mapping":           {"{f: xyz, other: same}", []any{"xyz"}, []any{"x"}, ""},
		"mapping that does not match": {"{f: xyz, other: else}", nil, []any{"xyz"}, ""},
		"mappings of a list":          {"[{f: xyz}, {f: abc}]", []any{"xyz", "abc"}, []any{"x"}, ""},
		"words":                       {"[needle, 'two*parts']", []any{"hay needle hay", "x two and parts"}, []any{"hay"}, ""},
		"all words":                   {"{'|all': [needle, hay]}", []any{"hay needle"}, []any{"needle"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			sel := c.sel
			if !strings.HasPrefix(sel, "[") && !strings.HasPrefix(sel, "{") {
				sel = "\n    " + sel
			}
			cond := c.cond
			if cond == "" {
				cond = "s"
			}
			e := engine(t, rule("  s: "+sel+"\n  condition: "+cond+"\n"))
			for _, v := range c.yes {
				for _, ev := range both(e, event(start, "other", "same", "f", v)) {
					if got := e.Feed(ev); len(got) != 1 {
						t.Errorf("%#v is not taken", v)
					}
				}
			}
			for _, v := range c.no {
				for _, ev := range both(e, event(start, "other", "same", "f", v)) {
					if got := e.Feed(ev); len(got) != 0 {
						t.Errorf("%#v is taken", v)
					}
				}
			}
		})
	}
}

// both is an event, and the same with the fields alone that are asked for: it makes no difference.
func both(e *sigma.Engine, ev *sigma.Event) []*sigma.Event {
	few, asks := *ev, e.Asks(logs)
	if asks != nil {
		few.Fields = slices.DeleteFunc(slices.Clone(ev.Fields), func(f sigma.Field) bool { return !asks[f.Name] })
	}
	return []*sigma.Event{ev, &few}
}

// What a correlation groups and compares is asked for, under the names that its rules have for it.
func TestAsks(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want string
	}{
		"a rule":         {rule("  s: {a: yes1, b|contains: yes2}\n  n: {c: null}\n  condition: s and not n\n"), "a b c"},
		"words anywhere": {rule("  s: [yes1]\n  condition: s\n"), "all"},
		"a correlation":  {strings.NewReplacer("[who]", "[user]", "timespan", "aliases:\n    user: {base: who}\n  timespan").Replace(corr("value_count", "1m", "condition: {gte: 2, field: what}")), "f user what who"},
		"of other logs":  {strings.Replace(rule("  s: {a: yes1}\n  condition: s\n"), "webserver", "proxy", 1), ""},
	} {
		asks := engine(t, c.text).Asks(logs)
		got := strings.Join(slices.Sorted(maps.Keys(asks)), " ")
		if asks == nil {
			got = "all"
		}
		if got != c.want {
			t.Errorf("%s asks for %q, want %q", name, got, c.want)
		}
	}
}

func TestConditions(t *testing.T) {
	sels := "  a1: {a: yes1}\n  a2: {b: yes1}\n  b1: {c: yes1}\n  _x: {d: yes1}\n"
	for cond, want := range map[string]string{ // which of a, b, c, d are there → taken
		"a1 and b1":                   "ac abc acd abcd",
		"a1 or b1":                    "a c ab ac bc ad cd abc abd acd bcd abcd",
		"a1 or a2 and b1":             "a ab ac bc ad abc abd acd bcd abcd",
		"(a1 or a2) and b1":           "ac bc abc acd bcd abcd",
		"a1 and not b1":               "a ab ad abd",
		"not not a1 and not(b1)":      "a ab ad abd",
		"1 of a*":                     "a b ab ac bc ad bd abc abd acd bcd abcd",
		"any of a*":                   "a b ab ac bc ad bd abc abd acd bcd abcd",
		"all of a*":                   "ab abc abd abcd",
		"2 of them":                   "ab ac bc abc abd acd bcd abcd",
		"all of them":                 "abc abcd",
		"1 of _x":                     "d ad bd cd abd acd bcd abcd",
		"A1 AND B1":                   "!A1",
		"a1 AND NOT b1":               "a ab ad abd",
		"b1 and (a1 and (a2 or _x ))": "abc acd abcd",
	} {
		t.Run(cond, func(t *testing.T) {
			text := rule(sels + "  condition: " + cond + "\n")
			if strings.HasPrefix(want, "!") {
				if _, errs := sigma.Load("f.yml", []byte(text), nil); len(errs) != 1 || !strings.Contains(errs[0].Problem, want[1:]) {
					t.Fatal(errs)
				}
				return
			}
			e := engine(t, text)
			var got []string
			for n := 1; n <= 4; n++ {
				for m := range 16 {
					var fs []any
					name := ""
					for i, f := range []string{"a", "b", "c", "d"} {
						if m&(1<<i) != 0 {
							fs, name = append(fs, f, "yes1"), name+f
						}
					}
					if len(name) == n && len(e.Feed(event(start, fs...))) == 1 {
						got = append(got, name)
					}
				}
			}
			if g := strings.Join(got, " "); g != want {
				t.Errorf("%s\n%s, want", g, want)
			}
		})
	}
}

// What is not read says where and why, and stops no other rule of the file.
func TestLoadErrors(t *testing.T) {
	ok := "  s: {f: x}\n  condition: s\n"
	for name, c := range map[string]struct{ text, want string }{
		"modifier":        {rule("  s:\n    f|foo: x\n  condition: s\n"), `f.yml:7:5: rule 11111111-2222-3333-4444-555555555555: modifier "foo" is not part of Sigma 2.1`},
		"modifiers":       {rule("  s:\n    f|re|contains: x\n  condition: s\n"), `f.yml:7:5: rule 11111111-2222-3333-4444-555555555555: modifier "contains" cannot stand beside "re"`},
		"flag":            {rule("  s:\n    f|i: x\n  condition: s\n"), `modifier "i" belongs behind re`},
		"look-around":     {rule("  s:\n    f|re: 'a(?=b)'\n  condition: s\n"), `f.yml:7:11: rule 11111111-2222-3333-4444-555555555555: modifier "re": "(?=": look-around is not supported by RE2; rewrite it with another selection and "not"`},
		"look-behind":     {rule("  s:\n    f|re: '(?<!a)b'\n  condition: s\n"), "look-around is not supported"},
		"reference back":  {rule("  s:\n    f|re: '(a)\\1'\n  condition: s\n"), "not supported by RE2"},
		"long expression": {rule("  s:\n    f|re: '" + strings.Repeat("a", 1025) + "'\n  condition: s\n"), "longer than 1 KiB"},
		"pipe":            {rule("  s: {f: x}\n  condition: s | count() by f > 5\n"), `f.yml:7:16: rule 11111111-2222-3333-4444-555555555555: counts behind a pipe are of long ago; use a correlation rule`},
		"no selection":    {rule("  s: {f: x}\n  condition: s and other\n"), `"other" stands in the condition: there is no selection of this name; there are s`},
		"unended":         {rule("  s: {f: x}\n  condition: (s\n"), "ends too early"},
		"of none":         {rule("  s: {f: x}\n  condition: 1 of t*\n"), "fewer selections"},
		"cidr":            {rule("  s: {f|cidr: 10.0.0.0}\n  condition: s\n"), "takes a network"},
		"number":          {rule("  s: {f|gt: many}\n  condition: s\n"), `modifier "gt" takes a number`},
		"placeholder":     {rule("  s: {f|expand: '%others%'}\n  condition: s\n"), "%others% stands for nothing here"},
		"wildcards coded": {rule("  s: {f|base64: 'a*'}\n  condition: s\n"), "takes no wildcards"},
		"alias":           {rule("  s: &x {f: x}\n  t: *x\n  condition: s\n"), "f.yml:6:6: aliases and anchors"},
		"tag":             {rule("  s: !!str x\n  condition: s\n"), "tags, directives"},
		"deep":            {rule("  s: " + strings.Repeat("[", 5000) + "\n  condition: s\n"), "nests deeper"},
		"deep dashes":     {rule("  s:\n  " + strings.Repeat("- ", 5000) + "x\n  condition: s\n"), "nests deeper"},
		"no YAML":         {"title: [", "this is not YAML"},
		"twice":           {rule("  s: {f: x}\n  s: {f: y}\n  condition: s\n"), "this is not YAML"},
		"too long":        {strings.Repeat("#", 256<<10+1), "at most 262144 are read"},
		"selections":      {rule(selections(201) + "  condition: s1\n"), "more than 200 selections"},
		"values":          {rule("  s:\n    f: [" + strings.Repeat("a,", 10_000) + "a]\n  condition: s\n"), "more than 10000 values"},
		"title":           {strings.Replace(rule(ok), "title: A rule", "title: ''", 1), "a rule has a title"},
		"id":              {strings.Replace(rule(ok), "11111111", "1", 1), "the id is no UUID"},
		"level":           {strings.Replace(rule(ok), "high", "huge", 1), "the level is"},
		"logsource":       {strings.Replace(rule(ok), "{category: webserver}", "{}", 1), "names no category"},
		"action":          {"action: global\n" + rule(ok), "collections with action"},
		"window":          {corr("event_count", "25h", "condition: {gte: 2}"), "at most a day"},
		"type":            {corr("counting", "1h", "condition: {gte: 2}"), "the type of a correlation is one of"},
		"no condition":    {corr("event_count", "1h", ""), "has no condition"},
		"bound":           {corr("event_count", "1h", "condition: {about: 2}"), `"about" is no condition`},
		"many":            {corr("event_count", "1h", "condition: {gte: 10000}"), "at most 10000 are counted"},
		"no field":        {corr("value_sum", "1h", "condition: {gte: 2}"), "needs a field"},
	} {
		t.Run(name, func(t *testing.T) {
			rs, errs := sigma.Load("f.yml", []byte(c.text), nil)
			if len(errs) != 1 || !strings.Contains(errs[0].Error(), c.want) {
				t.Fatalf("%v, want %s", errs, c.want)
			}
			_ = rs
			if strings.HasPrefix(c.text, "title") && strings.HasPrefix(errs[0].Problem, "modifier") {
				rs, errs = sigma.Load("f.yml", []byte(c.text+"---\n"+rule(ok)), nil)
				if len(rs) != 1 || len(errs) != 1 {
					t.Errorf("a bad rule stops another: %d read, %v", len(rs), errs)
				}
			}
		})
	}
	for name, text := range map[string]string{
		"nowhere": strings.Replace(corr("event_count", "1h", "condition: {gte: 2}"), "[base]", "[other]", 1),
		"round":   strings.Replace(corr("event_count", "1h", "condition: {gte: 2}"), "[base]", "[count]", 1),
		"same":    strings.Replace(corr("event_count", "1h", "condition: {gte: 2}"), "name: count", "name: base", 1),
	} {
		if _, errs := sigma.New(sigma.Unit{Key: "u", Rules: load(t, text)}); len(errs) != 1 {
			t.Errorf("%s: %v", name, errs)
		}
	}
}

func selections(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  s%d: {f: x}\n", i)
	}
	return b.String()
}

// corr is a correlation over the rules base and then.
func corr(kind, span, more string) string {
	return `title: Base
name: base
logsource: {category: webserver}
detection: {s: {f: hit1}, condition: s}
---
title: Then
name: then
logsource: {category: webserver}
detection: {s: {f: hit2}, condition: s}
---
title: Together
name: count
level: medium
correlation:
  type: ` + kind + `
  rules: [base]
  group-by: [who]
  timespan: ` + span + "\n  " + more + "\n"
}

// fired tells after which of the events the correlation is true.
func fired(e *sigma.Engine, evs ...*sigma.Event) (at []int) {
	for i, ev := range evs {
		if len(e.Feed(ev)) > 0 {
			at = append(at, i)
		}
	}
	return at
}

func TestCorrelations(t *testing.T) {
	minute := func(n int, fs ...any) *sigma.Event { return event(start.Add(time.Duration(n)*time.Minute), fs...) }
	a, b := []any{"f", "hit1", "who", "ana"}, []any{"f", "hit1", "who", "ben"}
	with := func(base []any, more ...any) []any { return append(append([]any{}, base...), more...) }
	two := func(s string) string { return strings.Replace(s, "[base]", "[base, then]", 1) }
	then := []any{"f", "hit2", "who", "ana"}
	for name, c := range map[string]struct {
		text string
		evs  []*sigma.Event
		want string
	}{
		"count":              {corr("event_count", "10m", "condition: {gte: 3}"), []*sigma.Event{minute(0, a...), minute(1, b...), minute(2, a...), minute(10, a...), minute(11, a...), minute(21, a...)}, "[3 4]"},
		"count, late":        {corr("event_count", "10m", "condition: {gte: 3}"), []*sigma.Event{minute(20, a...), minute(19, a...), minute(9, a...), minute(12, a...)}, "[3]"},
		"between":            {corr("event_count", "10m", "condition: {gt: 1, lte: 2}"), []*sigma.Event{minute(0, a...), minute(1, a...), minute(2, a...)}, "[1]"},
		"no group":           {corr("event_count", "10m", "condition: {gte: 1}"), []*sigma.Event{minute(0, "f", "hit1"), minute(1, a...)}, "[1]"},
		"values":             {corr("value_count", "10m", "condition: {field: u, gte: 2}"), []*sigma.Event{minute(0, with(a, "u", "x")...), minute(1, with(a, "u", "x")...), minute(2, with(a, "u", "y")...), minute(11, with(a, "u", "y")...), minute(12, with(a, "u", "y")...), minute(13, a...)}, "[2 3]"},
		"pairs of values":    {corr("value_count", "10m", "condition: {field: [u, v], gte: 2}"), []*sigma.Event{minute(0, with(a, "u", "x", "v", 1)...), minute(1, with(a, "u", "x", "v", 2)...)}, "[1]"},
		"sum":                {corr("value_sum", "10m", "condition: {field: n, gt: 10}"), []*sigma.Event{minute(0, with(a, "n", 6)...), minute(1, with(a, "n", "x")...), minute(2, with(a, "n", "5")...), minute(13, with(a, "n", 6)...)}, "[2]"},
		"average":            {corr("value_avg", "10m", "condition: {field: n, gte: 5}"), []*sigma.Event{minute(0, with(a, "n", 2)...), minute(1, with(a, "n", 8)...), minute(2, with(a, "n", 4)...)}, "[1]"},
		"percentile":         {corr("value_percentile", "10m", "condition: {field: n, percentile: 50, gte: 5}"), []*sigma.Event{minute(0, with(a, "n", 1)...), minute(1, with(a, "n", 9)...), minute(2, with(a, "n", 9)...), minute(13, with(a, "n", 2)...)}, "[2]"},
		"share":              {corr("value_percentile", "10m", "condition: {field: n, lte: 40}"), []*sigma.Event{minute(0, with(a, "n", "x")...), minute(1, with(a, "n", "x")...), minute(2, with(a, "n", "y")...)}, "[2]"},
		"together":           {two(corr("temporal", "10m", "")), []*sigma.Event{minute(0, then...), minute(1, b...), minute(2, a...), minute(20, a...)}, "[2]"},
		"one after another":  {two(corr("temporal_ordered", "10m", "")), []*sigma.Event{minute(0, then...), minute(2, a...), minute(3, then...)}, "[2]"},
		"one of two is":      {two(corr("temporal", "10m", "condition: {gte: 1}")), []*sigma.Event{minute(0, then...)}, "[0]"},
		"under other names":  {two(corr("temporal", "10m", "aliases: {who: {base: a, then: b}}")), []*sigma.Event{minute(0, "f", "hit1", "a", "x"), minute(1, "f", "hit2", "b", "y"), minute(2, "f", "hit2", "b", "x")}, "[2]"},
		"each by itself too": {corr("event_count", "10m", "condition: {gte: 3}\n  generate: true"), []*sigma.Event{minute(0, a...)}, "[0]"},
		"of a correlation": {corr("event_count", "10m", "condition: {gte: 2}") + "---\ntitle: Again\ncorrelation: {type: event_count, rules: [count], group-by: [who], timespan: 1h, condition: {gte: 2}}\n",
			[]*sigma.Event{minute(0, a...), minute(1, a...), minute(20, a...), minute(21, a...)}, "[3]"},
	} {
		t.Run(name, func(t *testing.T) {
			text := c.text
			if !strings.Contains(text, "[base, then]") { // nothing fires but the correlation
				text = strings.Replace(text, "title: Then\nname: then\nlogsource: {category: webserver}\ndetection: {s: {f: hit2}, condition: s}\n---\n", "", 1)
			}
			if got := fmt.Sprint(fired(engine(t, text), c.evs...)); got != c.want {
				t.Errorf("fires after %s, want %s", got, c.want)
			}
			for cut := range c.evs { // and likewise where the process begins anew
				e := engine(t, text)
				var kept []sigma.Point
				var at []int
				for i, ev := range c.evs {
					if i == cut {
						e = engine(t, text)
						e.Restore(kept)
					}
					if len(e.Feed(ev)) > 0 {
						at = append(at, i)
					}
					kept = append(kept, e.Made()...)
				}
				if got := fmt.Sprint(at); got != c.want {
					t.Errorf("restored before event %d it fires after %s, want %s", cut, got, c.want)
				}
			}
		})
	}
}

// The state of a correlation is bounded, and what is beyond is told.
func TestCorrelationIsBounded(t *testing.T) {
	e := engine(t, corr("event_count", "1h", "condition: {gte: 3}"))
	for i := range 100_001 {
		e.Feed(event(start, "f", "hit1", "who", fmt.Sprint("p", i)))
	}
	if e.Lost() != 1 {
		t.Errorf("%d lost of the 100,001st group, want 1", e.Lost())
	}
	if e.Feed(event(start.Add(2*time.Hour), "f", "hit1", "who", "new")); e.Lost() != 1 {
		t.Error("groups whose time is over keep others out")
	}
	e = engine(t, corr("event_count", "1h", "condition: {gte: 9999}"))
	n := 0
	for range 10_050 {
		n += len(e.Feed(event(start, "f", "hit1", "who", "ana")))
	}
	if n != 10_050-9998 || e.Lost() != 50 {
		t.Errorf("fired %d times, %d lost", n, e.Lost())
	}
}

func TestFilters(t *testing.T) {
	text := rule("  s: {f: xyz}\n  condition: s\n") + `---
title: But not of ours
logsource: {category: webserver}
filter:
  rules: [11111111-2222-3333-4444-555555555555]
  ours: {who: ana}
  condition: not ours
`
	if got := fired(engine(t, text), event(start, "f", "xyz", "who", "ana"), event(start, "f", "xyz", "who", "ben")); fmt.Sprint(got) != "[1]" {
		t.Error(got)
	}
}

// Rules see events of their log alone.
func TestSources(t *testing.T) {
	for src, want := range map[string]int{"{category: webserver}": 1, "{product: p}": 1, "{product: p, service: s}": 1, "{product: q}": 0, "{category: proxy}": 0, "{category: webserver, service: t}": 0} {
		e := engine(t, strings.Replace(rule("  s: {f: xyz}\n  condition: s\n"), "{category: webserver}", src, 1))
		if got := len(e.Feed(event(start, "f", "xyz"))); got != want || e.Wants(logs) != (want > 0) {
			t.Errorf("%s: %d, want %d", src, got, want)
		}
	}
}

// files reads a packed folder beside the project, or skips.
func files(t testing.TB, archive string) map[string][]byte {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "..", "shared", "data", archive))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the public rules are not here: " + archive)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(io.LimitReader(r, 10<<20))
		if err != nil {
			t.Fatal(err)
		}
		out[h.Name] = b
	}
}

// At least 99 of a hundred public rules are read; each other one says why.

func TestPublicRules(t *testing.T) {
	n, bad := 0, 0
	var all []*sigma.Rule
	fs := files(t, "sigma-rules.tar.gz")
	for name, b := range fs {
		if !strings.HasSuffix(name, ".yml") {
			continue
		}
		rs, errs := sigma.Load(name, b, nil)
		for _, err := range errs {
			t.Log(err)
		}
		n, bad, all = n+len(rs)+len(errs), bad+len(errs), append(all, rs...)
	}
	t.Logf("%d of %d rules are read", n-bad, n)
	if n < 100 || 100*bad > n {
		t.Errorf("%d of %d rules are not read", bad, n)
	}
	if _, errs := sigma.New(sigma.Unit{Key: "public", Rules: all}); len(errs) > 0 {
		t.Error(errs)
	}
}

// The samples of the specification are read, all of them.
func TestSpecification(t *testing.T) {
	n := 0
	for name, b := range files(t, "sigma-spec.tar.gz") {
		if strings.HasSuffix(name, ".yml") {
			if _, errs := sigma.Load(name, b, nil); len(errs) > 0 {
				t.Error(errs)
			}
			n++
		}
	}
	if n < 10 {
		t.Errorf("%d samples", n)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(rule("  s:\n    f|contains|all: [a, 'b*']\n  condition: not 1 of s*\n")))
	f.Add([]byte(corr("temporal_ordered", "1h", "aliases: {who: {base: a}}")))
	f.Fuzz(func(t *testing.T, b []byte) {
		rs, errs := sigma.Load("f", b, nil)
		for _, err := range errs {
			if err.Line < 1 || err.Problem == "" {
				t.Errorf("%+v", err)
			}
		}
		e, _ := sigma.New(sigma.Unit{Key: "u", Rules: rs})
		for i := range 3 {
			e.Feed(event(start.Add(time.Duration(i)*time.Second), "f", "hit1", "who", "ana", "n", 5))
		}
	})
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{"a and not b", "1 of a*", "all of them or (a)", "not not a", "((a", "a | count() > 5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := sigma.TryCondition(s)
		if err != nil && (at < 0 || at > len(s)) {
			t.Errorf("%q: wrong at %d", s, at)
		}
	})
}

// manyRules are a hundred rules of the shapes that public ones have.
func manyRules(from int) string {
	var b strings.Builder
	for i := from; i < from+100; i++ {
		fmt.Fprintf(&b, "---\ntitle: Rule %d\nlogsource: {category: webserver}\ndetection:\n  s:\n    cs-method: GET\n    c-uri|contains: ['/path%d/', '*/login%d/*.php', 'select%dfrom']\n  f: {sc-status: [404, 500]}\n  k: {cs-user-agent|startswith: 'tool%d/'}\n  condition: (s and not f) or k\n", i, i, i, i, i)
	}
	return b.String()
}

func BenchmarkFeed(b *testing.B) {
	var evs []*sigma.Event
	for i := range 1000 {
		uri := fmt.Sprintf("/shop/items/%d/detail", i)
		if i%100 == 0 {
			uri = fmt.Sprintf("/path%d/", i)
		}
		evs = append(evs, event(start.Add(time.Duration(i)*time.Millisecond), "cs-method", "GET", "c-uri", uri, "sc-status", 200, "cs-user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36", "c-ip", "198.51.100.0/24", "cs-username", "p:8f2d0cc", "sc-bytes", 5120, "cs-bytes", 120, "time-taken", 12, "cs-host", "app.example.test"))
	}
	for name, e := range map[string]*sigma.Engine{
		"one correlation": engine(b, strings.NewReplacer("f: hit1", "cs-method: GET", "[who]", "[cs-username]").Replace(corr("event_count", "1m", "condition: {gte: 100}"))),
		"3000 rules":      many(b, 3000),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				ev := evs[i%len(evs)]
				ev.At = start.Add(time.Duration(i) * 10 * time.Millisecond)
				e.Feed(ev)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// many loads rules by files of a size that is read.
func many(t testing.TB, n int) *sigma.Engine {
	var us []sigma.Unit
	for from := 0; from < n; from += 100 {
		us = append(us, sigma.Unit{Key: fmt.Sprint(from), Rules: load(t, manyRules(from))})
	}
	e, errs := sigma.New(us...)
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	return e
}
