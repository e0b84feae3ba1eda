package openapi

import (
	"fmt"
	"slices"
	"strings"
)

// Field is a field of an answer, and what data it is by x-writ-data.
type Field struct {
	Pointer string // into the answer; * is any item of a list, "" is all of it
	Data    string // one of DataWords; "" = the description does not say
}

// DataWords are what x-writ-data may say: of a field, or of an object or a list for all below it.
func DataWords() []string {
	return []string{"contact", "credential", "financial", "special", "content", "none"}
}

// The bounds of what is looked at for the fields of one answer. What lies beyond is one field
// of which nothing is said.
const (
	maxFields = 500
	maxLooks  = 5000
)

// Fields are the fields of the good answers of an operation, by pointer.
func (o *Operation) Fields() []Field {
	var out []Field
	for status, a := range o.answers {
		if status[0] != '2' && (status != "default" || o.answersWell()) {
			continue
		}
		for _, md := range a.media {
			out = append(out, md.fields...)
		}
	}
	slices.SortFunc(out, func(a, b Field) int { return strings.Compare(a.Pointer+"\x00"+a.Data, b.Pointer+"\x00"+b.Data) })
	return slices.Compact(out)
}

// answersWell reports whether a good status is described: then default is for the others.
func (o *Operation) answersWell() bool {
	for status := range o.answers {
		if status[0] == '2' {
			return true
		}
	}
	return false
}

// fieldWalk goes through the schema of an answer.
type fieldWalk struct {
	c     *compiler
	out   []Field
	looks int
	above []string // places, from the top
}

// fields finds the fields of an answer with what x-writ-data says of them, or of what holds them.
func (c *compiler) fields(pointer string) ([]Field, error) {
	w := &fieldWalk{c: c}
	err := w.look(pointer, "", "")
	return w.out, err
}

func (w *fieldWalk) look(pointer, at, said string) error {
	if w.looks++; w.looks > maxLooks || len(w.out) >= maxFields {
		if n := len(w.out); n == 0 || w.out[n-1] != (Field{}) {
			w.out = append(w.out, Field{})
		}
		return nil
	}
	v, place, err := w.c.d.at(pointer)
	m, ok := v.(map[string]any)
	if err != nil || !ok || slices.Contains(w.above, place) { // a schema within itself adds nothing
		return err
	}
	if said, err = w.says(m, place, said); err != nil {
		return err
	}
	w.above = append(w.above, place)
	defer func() { w.above = w.above[:len(w.above)-1] }()
	below := func(x any, pointer, at string) error {
		is := said
		if beside, ok := x.(map[string]any); ok && beside["$ref"] != nil { // what is said beside a reference
			if is, err = w.says(beside, pointer, said); err != nil {
				return err
			}
		}
		return w.look(pointer, at, is)
	}
	leaf := true
	props, _ := m["properties"].(map[string]any)
	for _, name := range sorted(props) {
		leaf = false
		if err := below(props[name], place+"/properties/"+escape(name), at+"/"+escape(name)); err != nil {
			return err
		}
	}
	for _, k := range []string{"items", "additionalProperties"} {
		if _, ok := m[k].(map[string]any); ok {
			leaf = false
			if err := below(m[k], place+"/"+k, at+"/*"); err != nil {
				return err
			}
		}
	}
	for _, k := range listsJoin {
		list, _ := m[k].([]any)
		for i := range list {
			leaf = false
			if err := below(list[i], fmt.Sprintf("%s/%s/%d", place, k, i), at); err != nil {
				return err
			}
		}
	}
	if leaf {
		w.out = append(w.out, Field{at, said})
	}
	return nil
}

// says is the word at a place, or the one from above.
func (w *fieldWalk) says(m map[string]any, place, above string) (string, error) {
	v, said := m["x-writ-data"]
	if !said {
		return above, nil
	}
	if word, _ := v.(string); slices.Contains(DataWords(), word) {
		return word, nil
	}
	return "", w.c.d.fault(place+"/x-writ-data", strings.Join(DataWords()[:5], ", ")+" or none was expected")
}
