package document

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
)

// Version is the number of a revision, "major.minor", compared as two numbers:
// 1.10 comes after 1.9. The zero Version is none.
type Version struct{ Major, Minor int }

var versionForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})$`)

// ParseVersion reads "major.minor" without leading zeros; "0.0" is refused.
func ParseVersion(s string) (Version, error) {
	m := versionForm.FindStringSubmatch(s)
	if m == nil || s == "0.0" {
		return Version{}, fmt.Errorf("parse version %s: expected major.minor such as 1.10", quote(s))
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return Version{major, minor}, nil
}

// String is "major.minor", and "" for none.
func (v Version) String() string {
	if v == (Version{}) {
		return ""
	}
	return strconv.Itoa(v.Major) + "." + strconv.Itoa(v.Minor)
}

// Compare orders versions by number.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor))
}

// Next is the following minor version; after none comes 1.0.
func (v Version) Next() Version {
	if v == (Version{}) {
		return Version{1, 0}
	}
	return Version{v.Major, v.Minor + 1}
}

// NextMajor is the following major version.
func (v Version) NextMajor() Version { return Version{v.Major + 1, 0} }

// Follows reports whether v may come right after w: no gap, no re-use.
func (v Version) Follows(w Version) bool { return v == w.Next() || v == w.NextMajor() }

// MarshalText implements encoding.TextMarshaler.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; empty is none.
func (v *Version) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*v = Version{}
		return nil
	}
	*v, err = ParseVersion(string(b))
	return err
}
