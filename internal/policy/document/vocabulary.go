package document

import (
	"fmt"
	"regexp"
	"slices"
)

// Vocabulary is what the build knows, and so what a file may name. An empty list
// is not checked.
type Vocabulary struct {
	Modules    []string                  // by:
	Forms      []string                  // record.form
	Roles      []string                  // record.signed_by, role/… references
	Controls   []string                  // check: module.name
	People     []string                  // person/… handles that exist
	Frameworks map[string]*regexp.Regexp // maps: framework -> what its ids look like
	Upheld     []string                  // Lint: clauses that a control of this build checks; nil is not known
}

// Shipped is the vocabulary of the product: its modules, forms, roles and
// frameworks. Controls, People and Upheld depend on the running build and stay nil.
func Shipped() Vocabulary {
	return Vocabulary{
		Modules: []string{"policy", "journal", "identity", "vault", "gateway", "bastion", "watch", "incident", "recovery", "supply", "change", "people"},
		Forms: []string{
			"statement", "vendor-claim", "interview", "hiring.exam", "reference-check", "hire-decision", "training", "code-of-conduct",
			"vulnerability-review", "seen-elsewhere", "third-party-procedure", "root-cause", "continuity-plan", "terms-notice",
			"link-check", "session-review", "post-incident",
		},
		Roles: []string{"owner", "engineer", "support", "auditor", "admin", "member", "staff", "hiring-manager", "interviewer"},
		Frameworks: map[string]*regexp.Regexp{
			// AICPA Trust Services Criteria 2017 (rev. 2022)
			"soc2": regexp.MustCompile(`^(CC1\.[1-5]|CC2\.[1-3]|CC3\.[1-4]|CC4\.[12]|CC5\.[1-3]|CC6\.[1-8]|CC7\.[1-5]|CC8\.1|CC9\.[12]|` +
				`A1\.[1-3]|C1\.[12]|PI1\.[1-5]|P1\.1|P2\.1|P3\.[12]|P4\.[1-3]|P5\.[12]|P6\.[1-7]|P7\.1|P8\.1)$`),
			// ISO/IEC 27001:2022 Annex A
			"iso27001": regexp.MustCompile(`^A\.(5\.([1-9]|[12][0-9]|3[0-7])|6\.[1-8]|7\.([1-9]|1[0-4])|8\.([1-9]|[12][0-9]|3[0-4]))$`),
			// NIST CSF 2.0
			"csf2": regexp.MustCompile(`^(GV\.(OC|RM|RR|PO|OV|SC)|ID\.(AM|RA|IM)|PR\.(AA|AT|DS|PS|IR)|DE\.(CM|AE)|RS\.(MA|AN|CO|MI)|RC\.(RP|CO))-[0-9]{2}$`),
		},
	}
}

func (v Vocabulary) frameworks() []string {
	names := make([]string, 0, len(v.Frameworks))
	for n := range v.Frameworks {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Standards are the names that may stand in a sentence with their digits.
func Standards() []string {
	return []string{
		"HMAC-SHA-256", "NIST SP 800-88", "NIST 800-88", "OAuth 2.0", "RFC 9116",
		"SHA-256", "AES-256", "TLS 1.2", "TLS 1.3", "SHA-1", "3DES", "MD5",
	}
}

var (
	policyID    = regexp.MustCompile(`^[A-Z][A-Z0-9]*(-[A-Z0-9]+)*$`)
	clauseID    = regexp.MustCompile(`^[a-z][a-z0-9]*(\.[a-z0-9]+(-[a-z0-9]+)*)+$`)
	sectionID   = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	paramName   = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	controlName = regexp.MustCompile(`^[a-z][a-z0-9]*\.[a-z0-9]+(-[a-z0-9]+)*$`)
	wordForm    = regexp.MustCompile(`^[a-z][a-z0-9]*([.-][a-z0-9]+)*$`)
	reference   = regexp.MustCompile(`^(person|role|vendor)/[a-z0-9][a-z0-9._-]*$`)
	personRef   = regexp.MustCompile(`^person/[a-z0-9][a-z0-9._-]*$`)
	number      = regexp.MustCompile(`^[A-Za-z0-9]+(\.[A-Za-z0-9]+)*$`)
	placeholder = regexp.MustCompile(`\{\{([^{}]*)\}\}`)
)

const (
	maxFile       = 1 << 20
	maxMarks      = 250_000 // structural bytes: bounds what the YAML reader may allocate
	maxNesting    = 16
	maxSections   = 64
	maxClauses    = 1000
	maxParams     = 16
	maxChecks     = 8
	maxOwners     = 16
	maxSays       = 1000
	maxText       = 2000
	maxLine       = 200
	maxID         = 64
	maxMembers    = 500
	maxColumns    = 8
	maxFrameworks = 8
)

func atMost(n int, what string) string { return fmt.Sprintf("at most %d %s", n, what) }
