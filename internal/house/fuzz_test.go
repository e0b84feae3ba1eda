package house_test

import (
	"go/ast"
	"testing"
)

// fuzzed are the ways by which foreign bytes reach sign-in, each with the target that throws
// at it whatever comes. scripts/fuzz.sh runs every target there is; one of these must not
// go missing.
var fuzzed = map[string]string{
	"hashes of passwords":             "internal/passhash FuzzPHC",
	"templates of an import":          "internal/identity/legacy FuzzStored",
	"rows of an import":               "internal/identity/legacy FuzzRow",
	"addresses":                       "internal/identity FuzzParseAddress",
	"redirects of applications":       "internal/identity/oidc FuzzMatches",
	"requests at authorize":           "internal/identity/oidc FuzzRequest",
	"pushed requests":                 "internal/identity/oidc FuzzPushed",
	"credentials of applications":     "internal/identity/oidc FuzzCredentials",
	"return paths":                    "internal/web FuzzReturnPath",
	"Bearer":                          "internal/web FuzzBearer",
	"headers of forward-auth":         "internal/gateway FuzzForwarded",
	"answers of passkeys, made":       "internal/identity/passkey FuzzCreated",
	"answers of passkeys, proved":     "internal/identity/passkey FuzzProved",
	"answers of another's directory":  "internal/identity/scim FuzzFilter",
	"what another's directory brings": "internal/identity/scim FuzzPatch",
	"packs of repositories":           "internal/leak FuzzPack",
	"lists of exceptions of a scan":   "internal/leak FuzzIgnore",
	"rules of scanners":               "internal/leak FuzzRules",
	"bundles":                         "internal/parcel FuzzBundle",
	"files of settings, brought over": "internal/vault/transfer FuzzRead",
}

func TestWaysInAreFuzzed(t *testing.T) {
	have := map[string]bool{}
	for _, p := range theTree(t).pkgs {
		for _, s := range p.files {
			for _, d := range s.parsed.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && s.test && fn.Recv == nil {
					have[p.path+" "+fn.Name.Name] = true
				}
			}
		}
	}
	for way, target := range fuzzed {
		if !have[target] {
			t.Errorf("%s: there is no %s", way, target)
		}
	}
}
