package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// bundled are the events that record what a bundle says beside the journal, and in which folder.
var bundled = map[string]string{"incident.bundled": "incident/", "incident.account-proved": "incident/", "watch.alarm-bundled": "alarm/"}

// beside checks that what lies in a folder is what one proved entry recorded, whole. It reports
// whether there is anything, and all of it is so.
func (b *bundle) beside(folder string) bool {
	names := b.under(folder)
	if len(names) == 0 {
		return false
	}
	var list []string
	for _, name := range names {
		body, err := b.read(name)
		if err != nil {
			b.wrong(name, err.Error())
			return false
		}
		sum := sha256.Sum256(body)
		list = append(list, hex.EncodeToString(sum[:])+"  "+strings.TrimPrefix(name, folder))
	}
	for _, told := range b.told[folder] {
		if all, ok := told.([]any); ok && same(all, list) {
			b.step("%d files under %s are those that an entry recorded when the bundle was made", len(names), folder)
			return true
		}
	}
	b.wrong(folder, "no entry in the bundle recorded these files: they are not what was written then")
	return false
}

func same(told []any, list []string) bool {
	if len(told) != len(list) {
		return false
	}
	for i := range told {
		if told[i] != list[i] {
			return false
		}
	}
	return true
}

// alarm has the rule of an alarm asked once more about the entries that were proved.
func (b *bundle) alarm(opt Options) {
	const folder = "alarm/"
	if len(b.Problems) > 0 { // what is false already is no ground for a rule
		return
	}
	if opt.Alarm == nil {
		b.unasked = true
		b.step("the rule of the alarm was not asked again: nobody here knows the rules")
		return
	}
	a := Alarm{Files: map[string][]byte{}, Leaf: func(n int64) ([]byte, error) {
		if _, ok := b.seen[n]; !ok {
			return nil, fmt.Errorf("entry %d is not in the bundle, or not proved", n)
		}
		return b.raw(n)
	}}
	for _, name := range b.under(folder) {
		body, err := b.read(name)
		if err != nil {
			b.wrong(name, err.Error())
			return
		}
		a.Files[strings.TrimPrefix(name, folder)] = body
	}
	says, err := opt.Alarm(a)
	switch {
	case errors.Is(err, ErrNotAsked):
		b.unasked = true
		b.step("%s", err)
	case err != nil:
		b.wrong(folder, err.Error())
	default:
		b.step("%s", says)
	}
}
