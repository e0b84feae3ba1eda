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
	"tables of places":                "internal/watch/place FuzzLoad",
	"Bearer":                          "internal/web FuzzBearer",
	"requests of Slack":               "internal/notify FuzzReadSlack",
	"bundles of alarms":               "internal/watch FuzzAsked",
	"directives of caches":            "internal/gateway/cache FuzzControl",
	"headers of forward-auth":         "internal/gateway FuzzForwarded",
	"requests at the way out":         "internal/gateway/egress FuzzConnect",
	"requests at the attack rules":    "internal/gateway/waf FuzzScreen",
	"descriptions of an interface":    "internal/gateway/openapi FuzzLoad",
	"bodies that are described":       "internal/gateway/openapi FuzzBody",
	"parameters that are described":   "internal/gateway/openapi FuzzQuery",
	"rates":                           "internal/gateway/limit FuzzRate",
	"answers of passkeys, made":       "internal/identity/passkey FuzzCreated",
	"answers of passkeys, proved":     "internal/identity/passkey FuzzProved",
	"answers of another's directory":  "internal/identity/scim FuzzFilter",
	"headers of signed calls":         "internal/vault/sigv4 FuzzParse",
	"calls of the parameter store":    "internal/vault/ssm FuzzCalls",
	"addresses of databases":          "internal/vault/ssm FuzzDatabaseAddress",
	"ciphertexts of programs":         "internal/vault/kms FuzzCiphertext",
	"forms of who am I":               "internal/vault/kms FuzzWhoAmI",
	"numbers of cards":                "internal/pan FuzzFind",
	"numbers in bodies":               "internal/gateway/guard FuzzScan",
	"parts of uploads":                "internal/gateway/guard FuzzParts",
	"frames of WebSockets":            "internal/gateway/guard FuzzFrames",
	"answers with fields to mask":     "internal/gateway/guard FuzzFields",
	"archives of 1Password":           "internal/vault/item/bring FuzzPUX",
	"exports of Bitwarden":            "internal/vault/item/bring FuzzBitwarden",
	"databases of KeePass":            "internal/kdbx FuzzOpen",
	"what lies in them":               "internal/kdbx FuzzContent",
	"key files of KeePass":            "internal/kdbx FuzzKeyFile",
	"exports of KeePass":              "internal/vault/item/bring FuzzKeePass",
	"tables of browsers":              "internal/vault/item/bring FuzzTable",
	"seeds of one-time codes":         "internal/vault/item FuzzSeed",
	"what another's directory brings": "internal/identity/scim FuzzPatch",
	"packs of repositories":           "internal/leak FuzzPack",
	"lists of exceptions of a scan":   "internal/leak FuzzIgnore",
	"rules of scanners":               "internal/leak FuzzRules",
	"bundles":                         "internal/parcel FuzzBundle",
	"addresses that are logged in to": "internal/vault/rotate FuzzAddress",
	"files of settings, brought over": "internal/vault/transfer FuzzRead",
	"backups of keys":                 "internal/keyring FuzzBackup",
	"when a webhook may be called":    "internal/notify FuzzRetryAfter",
	"notices about deliveries":        "internal/notify FuzzReadReport",
	"parameters of incidents":         "internal/incident FuzzAPI",
	"links of subscribers":            "internal/incident FuzzToken",
	"texts of a calendar":             "internal/incident FuzzCalendar",
	"texts of notices":                "internal/incident/wording FuzzParse",
	"texts for everybody":             "internal/incident FuzzLeaks",
	"sets of a breach":                "internal/incident/breach FuzzCheck",
	"audits of databases":             "internal/incident/breach FuzzAudit",
	"whose records are":               "internal/app FuzzOwners",
	"matchers of silences":            "internal/watch FuzzParseMatcher",
	"rules of Sigma":                  "internal/watch/sigma FuzzLoad",
	"conditions of such rules":        "internal/watch/sigma FuzzCondition",
	"bills of clouds":                 "internal/watch/budget FuzzRead",
	"lists of prices":                 "internal/watch/budget FuzzReadPrices",
	"amounts":                         "internal/watch/budget FuzzAmount",
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
