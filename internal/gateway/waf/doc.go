// Package waf looks at requests and pages for attacks: the OWASP Core Rule Set in the
// engine Coraza, in this process. It is bytes in, verdict out: it knows nothing of the
// gate, of its routes or of who asks.
//
//	request ─► screen ─► no rule can match: the verdict is nothing        (nearly all)
//	              │
//	              └────► the whole set of rules ─► which rules, where, how much ─► refuse?
//
// Promises: use.no-automation (nothing but what the application's interface is for).
//
// It answers injection into databases, shells, templates and pages, requests that two
// servers read differently, scanners, and pages that show an application's inside. It
// refuses a body that cannot be read (a request nobody can read is not looked at), and
// keeps of a match the rule, the variable and the length, never the text.
//
// What the engine would do and this package does not let it: only detect when it is to
// refuse (config.go); write bodies and uploaded files to the temporary folder in clear
// (multipart.go); trust requests that come from loopback (config.go).
//
// The screen (screen.go, matcher.go, literals.go, seclang.go) makes it cheap. It is made
// of the same rules and can only say that none of them matches; whatever it is not sure of
// is asked of the whole set. Tests compare both on all cases of the rule set, on random
// requests, and by fuzzing.
//
// BUG(screen): the temporary folder must be writable when the rules are loaded: the engine
// looks, though nothing is written there.
//
// For: engineer (who sees what was found), customer users (who never notice it).
//
// Read engine.go, config.go, multipart.go, then screen.go.
package waf
