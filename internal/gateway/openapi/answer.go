package openapi

import (
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// answer is what is described of one status.
type answer struct {
	media []answerMedia
}

type answerMedia struct {
	kind   string
	schema *judged // nil: nothing is said of it
	masks  []Mask
	fields []Field
}

// Mask is a field of an answer that staff do not see in clear, by x-writ-mask.
type Mask struct {
	Pointer string // into the answer; * is any item of a list
	How     string // last4, all or email
}

var goodStatus = regexp.MustCompile(`^(?:[1-5][0-9][0-9]|[1-5]XX|default)$`)

// maxAnswer is how much of an answer is looked at.
const maxAnswer = 256 << 10

const maxMaskLooks = 100_000 // at schemas of one answer

// MaxAnswer is the longest answer that CheckAnswer wants to see.
const MaxAnswer = maxAnswer

func (c *compiler) responses(op *Operation, m map[string]any, at string) error {
	v, place, err := c.d.at(at + "/responses")
	if m["responses"] == nil {
		return nil
	}
	all, ok := v.(map[string]any)
	if err != nil || !ok {
		return c.d.fault(at+"/responses", "an object was expected")
	}
	for _, status := range sorted(all) {
		if strings.HasPrefix(status, "x-") {
			continue
		}
		if !goodStatus.MatchString(status) {
			return c.d.fault(place+"/"+escape(status), "a status such as 200, 2XX or default was expected")
		}
		a, err := c.answer(place + "/" + status)
		if err != nil {
			return err
		}
		op.answers[status] = a
		if status[0] == '2' || status == "default" {
			for _, md := range a.media {
				op.accept = append(op.accept, md.kind)
			}
		}
	}
	return nil
}

func (c *compiler) answer(at string) (*answer, error) {
	v, place, err := c.d.at(at)
	if err != nil {
		return nil, err
	}
	a := &answer{}
	content, _ := child(v, "content").(map[string]any)
	for _, text := range sorted(content) {
		kind, _, err := mime.ParseMediaType(text)
		if err != nil {
			return nil, c.d.fault(place+"/content/"+escape(text), "it is no media type")
		}
		md := answerMedia{kind: kind}
		p := place + "/content/" + escape(text) + "/schema"
		if child(content[text], "schema") != nil && formOf(kind) == asJSON {
			if md.schema, err = c.schema(asAnswer, p); err != nil {
				return nil, err
			}
			looks := 0
			if err := c.masks(&md.masks, &looks, p, "", 0); err != nil {
				return nil, err
			}
		}
		md.fields = []Field{{}}
		if child(content[text], "schema") != nil {
			if md.fields, err = c.fields(p); err != nil {
				return nil, err
			}
		}
		a.media = append(a.media, md)
	}
	return a, nil
}

// masks finds the fields that are marked, through lists, references and joined schemas.
func (c *compiler) masks(out *[]Mask, looks *int, pointer, at string, depth int) error {
	if *looks++; *looks > maxMaskLooks { // what is not looked at would go out in clear
		return c.d.fault(pointer, "the schemas of an answer refer to one another in more ways than can be looked through")
	}
	v, place, err := c.d.at(pointer)
	m, ok := v.(map[string]any)
	if err != nil || !ok || depth > 12 || len(*out) > 500 {
		return err
	}
	if how, said := m["x-writ-mask"]; said {
		text, _ := how.(string)
		if text != "last4" && text != "all" && text != "email" {
			return c.d.fault(place+"/x-writ-mask", "last4, all or email was expected")
		}
		*out = append(*out, Mask{at, text})
	}
	props, _ := m["properties"].(map[string]any)
	for _, name := range sorted(props) {
		if err := c.masks(out, looks, place+"/properties/"+escape(name), at+"/"+escape(name), depth+1); err != nil {
			return err
		}
	}
	for _, k := range []string{"items", "additionalProperties"} {
		if _, ok := m[k].(map[string]any); ok {
			if err := c.masks(out, looks, place+"/"+k, at+"/*", depth+1); err != nil {
				return err
			}
		}
	}
	for _, k := range listsJoin {
		list, _ := m[k].([]any)
		for i := range list {
			if err := c.masks(out, looks, fmt.Sprintf("%s/%s/%d", place, k, i), at, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// answerOf is what is described of a status.
func (o *Operation) answerOf(status int) *answer {
	text := strconv.Itoa(status)
	if a := o.answers[text]; a != nil {
		return a
	}
	if a := o.answers[text[:1]+"XX"]; a != nil {
		return a
	}
	return o.answers["default"]
}

func (a *answer) of(contentType string) *answerMedia {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil
	}
	family, _, _ := strings.Cut(kind, "/")
	for _, want := range []string{kind, family + "/*", "*/*"} {
		for i := range a.media {
			if a.media[i].kind == want {
				return &a.media[i]
			}
		}
	}
	return nil
}

// Masks are the fields of an answer that are marked with x-writ-mask.
func (o *Operation) Masks(status int, contentType string) []Mask {
	if a := o.answerOf(status); a != nil {
		if m := a.of(contentType); m != nil {
			return m.masks
		}
	}
	return nil
}

// Wants reports whether the body of an answer is worth keeping for CheckAnswer.
func (o *Operation) Wants(status int, h http.Header) bool {
	a := o.answerOf(status)
	if a == nil {
		return false
	}
	m := a.of(h.Get("Content-Type"))
	return m != nil && m.schema != nil
}

// CheckAnswer judges an answer of the application. Nothing is done about it but counting:
// the first word says how it differs, "" that it does not.
func (o *Operation) CheckAnswer(status int, contentType string, body []byte) (keyword string, err error) {
	defer caught(&err)
	a := o.answerOf(status)
	switch {
	case status == http.StatusNotModified, a == nil && len(o.answers) == 0:
		return "", nil
	case a == nil:
		return "status", nil
	case len(a.media) == 0 && (contentType == "" || len(body) == 0):
		return "", nil
	}
	m := a.of(contentType)
	switch {
	case m == nil:
		return "media", nil
	case m.schema == nil, len(body) == 0:
		return "", nil
	}
	v, keyword := jsonBody(body)
	if keyword != "" {
		return keyword, nil
	}
	keyword, bad := judge(m.schema, v)
	if bad != nil {
		keyword = leaf(bad)
	}
	return keyword, nil
}
