package canon_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"writ/internal/canon"
	"writ/internal/fault"
)

const limit = 1 << 20

// tree turns any JSON document into the value tree by way of encoding/json.
func tree(t testing.TB, b []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return integers(t, v)
}

func integers(t testing.TB, v any) any {
	t.Helper()
	switch v := v.(type) {
	case json.Number:
		n, err := v.Int64()
		if err != nil {
			t.Fatal(err)
		}
		return n
	case []any:
		for i := range v {
			v[i] = integers(t, v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = integers(t, v[k])
		}
	}
	return v
}

// testdata/*.in.json are documents in free form, *.out.json their canonical form.
// rfc8785-* are the examples of RFC 8785 without their floating-point numbers.
func TestVectors(t *testing.T) {
	ins, _ := filepath.Glob("testdata/*.in.json")
	if len(ins) < 4 {
		t.Fatalf("found %d vectors", len(ins))
	}
	for _, in := range ins {
		t.Run(filepath.Base(in), func(t *testing.T) {
			src, err := os.ReadFile(in)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.Replace(in, ".in.", ".out.", 1))
			if err != nil {
				t.Fatal(err)
			}
			v := tree(t, src)
			got, err := canon.Encode(v)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("got  %s\nwant %s\n%v", got, want, err)
			}
			back, err := canon.Parse(want, limit)
			if err != nil || !reflect.DeepEqual(back, v) {
				t.Fatalf("parsed %v, %v", back, err)
			}
		})
	}
}

func TestEncode(t *testing.T) {
	for _, c := range []struct {
		in   any
		want string
	}{
		{nil, "null"}, {true, "true"}, {false, "false"}, {0, "0"}, {-1, "-1"},
		{int64(canon.MaxInt), "9007199254740991"}, {-canon.MaxInt, "-9007199254740991"},
		{"", `""`}, {"<a>&'/\u2028\x7f", "\"<a>&'/\u2028\x7f\""}, {"\x00\x1f\b\t\n\f\r\"\\", `"\u0000\u001f\b\t\n\f\r\"\\"`},
		{[]any{}, "[]"}, {[]any(nil), "[]"}, {map[string]any{}, "{}"}, {map[string]any(nil), "{}"},
		{map[string]any{"b": []any{1, nil}, "a": map[string]any{"": "x"}, "ab": 2}, `{"a":{"":"x"},"ab":2,"b":[1,null]}`},
	} {
		got, err := canon.Encode(c.in)
		if err != nil || string(got) != c.want {
			t.Errorf("%v: got %s, want %s, %v", c.in, got, c.want, err)
		}
	}
}

func nest(depth int) any {
	var v any = []any{}
	for i := 1; i < depth; i++ {
		if i%2 == 0 {
			v = []any{v}
		} else {
			v = map[string]any{"a": v}
		}
	}
	return v
}

func TestEncodeRefuses(t *testing.T) {
	loop := []any{nil}
	loop[0] = loop
	for name, v := range map[string]any{
		"float": 1.5, "whole float": 1.0, "nan": math.NaN(), "uint": uint(1), "bytes": []byte("x"), "typed list": []string{"x"},
		"2^53": int64(1 << 53), "-2^53": int64(-1 << 53), "max": int64(math.MaxInt64), "min": int64(math.MinInt64),
		"not utf-8": "a\xff", "surrogate": "\xed\xa0\x80", "not nfc": "A\u030a", "key not utf-8": map[string]any{"\xff": 1},
		"key not nfc": map[string]any{"e\u0301": 1}, "deep": nest(canon.MaxDepth + 1), "loop": loop,
	} {
		if _, err := canon.Encode(v); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := canon.Encode([]any{map[string]any{"k": v}}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s inside: %v", name, err)
		}
	}
	if _, err := canon.Encode(nest(canon.MaxDepth)); err != nil {
		t.Errorf("depth %d: %v", canon.MaxDepth, err)
	}
	defer func() {
		if recover() == nil {
			t.Error("MustEncode took a float")
		}
	}()
	canon.MustEncode(1.5)
}

// An error text must not carry the value: it may be personal.
func TestErrorHidesValue(t *testing.T) {
	_, err := canon.Encode(map[string]any{"field": "hidden\xff"})
	if err == nil || strings.Contains(err.Error(), "hidden") || !strings.Contains(err.Error(), "field") {
		t.Errorf("%v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("[", canon.MaxDepth+1) + strings.Repeat("]", canon.MaxDepth+1)
	for name, s := range map[string]string{
		"nothing": "", "space before": " 1", "space after": "1 ", "newline": "1\n", "space inside": "[1, 2]", "two values": "1 2", "trailing": "{}x",
		"float": "1.0", "exponent": "1e3", "big exponent": "1E3", "plus": "+1", "minus zero": "-0", "leading zero": "01", "bare minus": "-", "dot": ".5",
		"2^53": "9007199254740992", "-2^53": "-9007199254740992", "huge": strings.Repeat("9", 40), "nan": "NaN", "word": "nul", "case": "True",
		"duplicate key": `{"a":1,"a":2}`, "duplicate by escape": `{"a":1,"\u0061":2}`, "key order": `{"b":1,"a":2}`, "utf-16 order": "{\"\uffe5\":1,\"\U0001F600\":2}",
		"no key": `{1:2}`, "no colon": `{"a"1}`, "trailing comma": `[1,]`, "comma only": `[,]`, "object comma": `{"a":1,}`, "open array": "[1", "open object": `{"a":1`, "key only": `{"a"`,
		"open string": `"a`, "open escape": `"\`, "short escape": `"\u00`, "unknown escape": `"\x"`, "escaped slash": `"\/"`, "needless escape": `"\u0041"`, "upper escape": `"\u001F"`,
		"long newline": `"\u000a"`, "surrogates": `"\ud83d\ude00"`, "half surrogate": `"\ud800"`, "raw control": "\"\x01\"", "not utf-8": "\"\xff\"", "not nfc": "\"A\u030a\"",
		"bom": "\xef\xbb\xbf1", "single quotes": "'a'", "comment": "1//", "deep": deep, "sign in hex": `"\u00+1"`, "hex prefix": `"\u000x"`, "nul": "\x00",
	} {
		if v, err := canon.Parse([]byte(s), limit); fault.KindOf(err) != fault.Malformed {
			t.Errorf("%s: %q gave %v, %v", name, s, v, err)
		}
	}
}

func TestParseLimit(t *testing.T) {
	if _, err := canon.Parse([]byte("12345"), 4); fault.KindOf(err) != fault.TooLarge {
		t.Errorf("%v", err)
	}
	if v, err := canon.Parse([]byte("12345"), 5); err != nil || v != int64(12345) {
		t.Errorf("%v, %v", v, err)
	}
}

// The order of keys against an order made from real UTF-16.
func TestKeyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	runes := []rune{'a', 'b', 0x7f, 0xe9, 0x20ac, 0xd7ff, 0xe000, 0xffe5, 0xfffd, 0x10000, 0x1f600, 0x1f601, 0x10ffff}
	m := map[string]any{}
	for range 500 {
		k := make([]rune, r.IntN(4))
		for i := range k {
			k[i] = runes[r.IntN(len(runes))]
		}
		m[string(k)] = 1
	}
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int { return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b))) })
	var want strings.Builder
	for i, k := range keys {
		want.WriteString(map[bool]string{true: "{", false: ","}[i == 0] + `"` + k + `":1`)
	}
	want.WriteString("}")
	if got := string(canon.MustEncode(m)); got != want.String() {
		t.Errorf("got  %q\nwant %q", got, want.String())
	}
}

// What Parse takes, encoding/json reads as the same value and Encode writes as the same bytes.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2,null,true,false,"x\n\u001f"],"b":{}}`, `"é€😀"`, `9007199254740991`, `{"":0}`, `[[[[]]]]`, `1e3`, `{"a":1,"a":1}`, "\"A\u030a\"", "{\"\U0001F600\":1,\"\uffe5\":2}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := canon.Parse(b, 1<<16)
		if err != nil {
			if k := fault.KindOf(err); k != fault.Malformed && k != fault.TooLarge {
				t.Fatalf("kind %s: %v", k, err)
			}
			return
		}
		if again := canon.MustEncode(v); !bytes.Equal(again, b) {
			t.Fatalf("%q became %q", b, again)
		}
		if other := tree(t, b); !reflect.DeepEqual(v, other) {
			t.Fatalf("%q: %v here, %v by encoding/json", b, v, other)
		}
	})
}

// Whatever encoding/json can read and Encode can write survives Parse.
func FuzzEncode(f *testing.F) {
	f.Add([]byte(`{"b":[1,2,{"x":null}],"a":"\u0041/<>"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		d := json.NewDecoder(bytes.NewReader(b))
		var v any
		if d.Decode(&v) != nil {
			return
		}
		v = whole(v)
		enc, err := canon.Encode(v)
		if err != nil {
			return
		}
		back, err := canon.Parse(enc, 1<<20)
		if err != nil || !reflect.DeepEqual(back, v) {
			t.Fatalf("%s: %v, %v", enc, back, err)
		}
	})
}

// whole makes integers of the floats of encoding/json where that loses nothing.
func whole(v any) any {
	switch v := v.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) <= canon.MaxInt {
			return int64(v)
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = whole(v[k])
		}
	}
	return v
}

func BenchmarkEncode(b *testing.B) {
	v := nest(4)
	leaf := map[string]any{"v": 1, "n": 12345, "stream": "vault.read", "sn": 77, "body": map[string]any{"id": "0190a0b0c0d0", "act": "vault.value-read", "f": map[string]any{"path": "prod/db", "size": 12}}, "x": v}
	for b.Loop() {
		canon.MustEncode(leaf)
	}
}
