package vault

import (
	"regexp"
	"strings"

	"writ/internal/fault"
)

// The limits of names.
const (
	maxName   = 1011 // characters
	maxLevels = 15
)

var goodName = regexp.MustCompile(`^[a-zA-Z0-9_.\-/]+$`)

// parseName reads a parameter's name as somebody typed it: levels separated by slashes,
// with one at the beginning where there is more than one level.
func parseName(typed string) (string, error) {
	name := strings.TrimSpace(typed)
	bad := func(code, problem, expected string) (string, error) {
		return "", fault.New(fault.Invalid, code, fault.Public{Problem: problem, Expected: expected, Next: "Choose another name."})
	}
	switch {
	case name == "" || name == "/":
		return bad("name_empty", "A parameter needs a name.", "Letters, digits and . _ - in levels: /service/database/password.")
	case len(name) > maxName:
		return bad("name_long", "The name is too long.", "A name has at most 1011 characters.")
	case !goodName.MatchString(name):
		return bad("name_characters", "The name has characters that a parameter cannot have.", "Letters, digits, . _ - and / between levels.")
	case strings.Contains(name, "//") || strings.HasSuffix(name, "/"):
		return bad("name_level_empty", "A level of the name is empty.", "One / before each level, and none at the end.")
	case strings.Contains(strings.TrimPrefix(name, "/"), "/") && !strings.HasPrefix(name, "/"):
		return bad("name_not_rooted", "A name with levels must be fully qualified.", "Write it with / at the beginning.")
	case strings.Count(name, "/") > maxLevels:
		return bad("name_depth", "The name has too many levels.", "A name has at most 15 levels.")
	}
	first, _, levels := strings.Cut(strings.ToLower(strings.TrimPrefix(name, "/")), "/")
	if strings.HasPrefix(first, "aws") || strings.HasPrefix(first, "ssm") {
		if levels && first == "aws" {
			return "", fault.New(fault.Denied, "path_reserved", fault.Public{Problem: "Names under /aws/ are the provider's.", Next: "Choose another name."})
		}
		return bad("name_reserved", "Names that begin with aws or ssm are reserved.", "Another first level.")
	}
	return name, nil
}

// parsePath reads a path of the hierarchy; "/" is all of it.
func parsePath(typed string) (string, error) {
	path := strings.TrimSpace(typed)
	if path == "/" {
		return path, nil
	}
	if !strings.HasPrefix(path, "/") {
		return "", fault.New(fault.Invalid, "path_not_rooted", fault.Public{Problem: "A path begins with /.", Expected: "/service or /service/database."})
	}
	path = strings.TrimSuffix(path, "/")
	if !goodName.MatchString(path) || strings.Contains(path, "//") || len(path) > maxName || strings.Count(path, "/") > maxLevels {
		return "", fault.New(fault.Invalid, "path_invalid", fault.Public{Problem: "This is no path of parameters.", Expected: "/service or /service/database, with letters, digits and . _ -."})
	}
	return path, nil
}

// rooted is a name with the slash that a name of one level may lack.
func rooted(name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	return "/" + name
}

// under reports whether a name lies at or below a path.
func under(name, path string) bool {
	name = rooted(name)
	return path == "/" || name == path || strings.HasPrefix(name, path+"/")
}
