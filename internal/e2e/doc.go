// Package e2e holds tests that run the real program as its users do: they build writ,
// set up folders with `writ init`, start `writ serve`, speak HTTPS to it with the
// folder's authority, read its letters and ask it with the command line. Nothing of the
// house is faked; only the application behind, the mail server and, where a test needs
// one that fails, the way to the database are the test's own.
//
//	go build ./cmd/writ ─► writ init DIR ─► writ serve ─► visitors from 127.x.y.z ─► an application of the test
//	                                              ▲
//	                       writ check · prove · policy · journal · user (socket, or --as over HTTPS)
//
// It owns no code of the program. Stories that need no more than the command line are
// files of testdata/script at the root of the module, each named by the clause it
// shows. A test that lacks something of the machine (PostgreSQL, nginx, the right to
// mount) is skipped with a word that says what.
//
// Set WRIT_BINARY to test a program that is built already, such as a release.
//
// For: engineers of this house, and whoever wants to see a promise kept from outside.
//
// Read harness_test.go and visitor_test.go, then life_test.go; the others are by subject.
package e2e
