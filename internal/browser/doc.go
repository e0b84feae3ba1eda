// Package browser holds tests that look at Writ as people do: with a real browser, at a
// real server in front of the sample application. They sign up, read the letter, sign
// in, lose the password, read the policy and follow a sentence to its proof, once with
// JavaScript and once without. Then they open every page that is mounted, in both
// themes, wide and narrow, and hold it to what was promised of a page: axe finds
// nothing, nothing scrolls sideways, the keyboard reaches the one act of the page and
// the eye sees where it is, nothing is blocked or thrown, and it weighs little.
//
//	app.Make ─► app.Start ─► Serve ◄── https://localhost:PORT ── chromium ── axe
//	                           │                                     │
//	                     sample application                 story · pages · pictures
//
// A page that is mounted and not in the list of pages_test.go fails a test, so the list
// stays whole.
//
// Chromium and npm (which fetches axe-core, nothing else) are taken where they are;
// without them the tests are skipped with a word. WRIT_SHOTS=DIR writes a picture of
// each page into DIR.
//
// It owns no code of the program. For: engineers of this house, and whoever changes how
// a page looks. Read house_test.go, tab_test.go, story_test.go, then pages_test.go.
package browser
