// Package check runs the controls of all modules, keeps what they found, and says of
// each clause of the policy whether it holds.
//
//	clause.Control ─► Runner.tick (a job: due ones, two at a time, 60 s each)
//	                     │ Result, an error, a panic
//	                     ▼
//	   policy_result + entry check.ran ─► Report ─► writ check, console, trust page
//	   policy_finding + entry finding.opened/closed      ▲
//	   records, exceptions, the revision in force ───────┘
//
// Promises: it is the evidence of every clause; gov.program rests on it.
//
// Refuses: to call anything a pass that was not seen to pass. A control that errs twice,
// hangs or panics is unknown; a result that is too old, or older than the clause's
// present values, is stale; a clause that nothing in this build checks is carried by a
// signed record and is unknown without one. Stale and excepted are found at reading, so
// that they need no job.
//
// A clause is the worst of its controls and, where the policy asks for one, its record.
// Under a live exception that loosens it a passing clause is excepted: the modules obey
// the exception, so its controls measure against that. A failing one stays a failure
// then, unless no rule obeys the excepted parameter.
//
// Threats: evidence that goes stale in silence (everything expires); a check that
// always says yes (a canary's control case, tests that break each clause);
// a row of results that was edited behind the server's back (each is compared with what
// this process stored: unknown); a clock that was set back (the check runs again); a control
// that takes the rest down with it (own goroutine, time-out, recover). Known gap: a
// control that ignores its context keeps its goroutine until it returns.
//
// For: owner, engineer, auditor. Tables policy_result, policy_latest, policy_finding.
// Read check.go, run.go, store.go, report.go, prove.go.
package check
