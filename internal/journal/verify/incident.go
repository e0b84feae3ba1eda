package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// incidentBundled is the event that records what a bundle says of an incident.
const incidentBundled = "incident.bundled"

// incident checks that what lies under incident/ is what one proved entry recorded, whole.
func (b *bundle) incident() {
	const folder = "incident/"
	names := b.under(folder)
	if len(names) == 0 {
		return
	}
	var list []string
	for _, name := range names {
		body, err := b.read(name)
		if err != nil {
			b.wrong(name, err.Error())
			return
		}
		sum := sha256.Sum256(body)
		list = append(list, hex.EncodeToString(sum[:])+"  "+strings.TrimPrefix(name, folder))
	}
	for _, told := range b.told {
		if all, ok := told.([]any); ok && same(all, list) {
			b.step("%d files under incident/ are those that an entry recorded when the bundle was made", len(names))
			return
		}
	}
	b.wrong(folder, "no entry in the bundle recorded these files: they are not what was written then")
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
