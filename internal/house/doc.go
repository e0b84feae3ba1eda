// Package house holds the plan of the tree as tests. It has no code of its own:
// it reads every file of the module and fails where the tree and the plan part.
//
//	tree_test.go      the tree, parsed once: packages, files, constants
//	floors_test.go    imports go down only; capabilities do not know each other
//	imports_test.go   rare imports stay with the package that owns the matter
//	calls_test.go     clock, contexts and standard output stay where they belong
//	docs_test.go      every package says what it owns, promises and refuses
//	clauses_test.go   clause ↔ control ↔ enforcing mark ↔ test that breaks it
//	index_test.go     docs/index.md is that relation, written out
//	controls_test.go  finds the controls in the code
//	marks_test.go     finds the marks in the comments
//	sql_test.go       a module's statements name its own tables
//	events_test.go    each field of an event has a class, each name its module
//	canary_test.go    enforcing code cannot tell a canary from a stranger
//	words_test.go     no unfinished work, no path of one machine, no foreign name
//	size_test.go      functions and files stay small
//
// An exception is a line in a table with its reason. A line that nothing needs any
// more fails too, so that the tables tell the truth.
//
// Promises: law 8 of the design (a clause without control, mark and breaking test
// fails the build) and law 6 (capabilities do not import one another).
//
// Threat: a rule that everybody agreed to and nobody kept. Not answered: a mark on
// a line that enforces nothing; the breaking test beside it is the answer to that.
//
// For: whoever changes the tree. `go test ./internal/house -update` writes docs/index.md.
package house
