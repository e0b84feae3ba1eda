package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"writ/internal/actor"
	"writ/internal/gateway/guard"
)

const (
	needToSee  = "use.need-to-see"
	mostUnseen = 1 << 20 // bytes of an answer in which fields are masked
)

var errUnseen = errors.New("gateway: an answer whose fields must be masked cannot be")

// maskFields masks what the description of the interface tags with x-writ-mask while a
// member of staff looks as a customer. It ends when a second person has agreed that the
// look may change things, since nobody mends what they cannot see; the customer was told of
// that by then. What cannot be masked is not shown.
func (v *visit) maskFields(res *http.Response) error { // clause: use.need-to-see
	if v.who.Kind != actor.Support || v.who.Writes || res.Body == nil || res.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	tagged := v.masks(res.StatusCode, res.Header)
	if len(tagged) == 0 || v.r.Method == http.MethodHead {
		return nil
	}
	how := packing(res.Header)
	if how == foreign {
		return errUnseen
	}
	if err := v.plainly(res, how); err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, mostUnseen+1))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if len(text) > mostUnseen || res.StatusCode == http.StatusPartialContent {
		return errUnseen
	}
	if len(text) == 0 {
		res.Body = http.NoBody
		return nil
	}
	masks := make([]guard.FieldMask, len(tagged))
	for i, m := range tagged {
		masks[i] = guard.FieldMask{Pointer: m.Pointer, How: m.How}
	}
	out, n, err := guard.Fields(text, masks)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnseen, err)
	}
	if n > 0 {
		v.g.sights.note(sight{done: guard.Mask, class: "staff", route: v.need.node.pattern})
	}
	changed(res.Header)
	res.Header.Del("Content-Encoding")
	res.Header["Cache-Control"] = []string{"no-store"}
	res.ContentLength = int64(len(out))
	res.Header["Content-Length"] = []string{strconv.Itoa(len(out))}
	res.Body = io.NopCloser(bytes.NewReader(out))
	return nil
}
