package engine

const (
	lossClause    = "inc.loss-maintenance"
	restoreClause = "inc.loss-restore"
	breachClause  = "inc.breach-notify"
)

// loss is lost data: the application goes down, is proved frozen, restored and opened again.
// What the guards hold against comes from package recovery and the gate.
var loss = Machine{Region: R, Name: "Lost data", Start: "R0",
	States: []State{
		{ID: "R0", Name: "suspected", Says: "Data may be lost. Backups are kept from expiring."},
		{ID: "R1", Name: "taking down", Says: "The application is being closed."},
		{ID: "R2", Name: "frozen", Says: "The application is down, and nothing is written."},
		{ID: "R3", Name: "preserved", Says: "A copy of the damaged state is kept."},
		{ID: "R4", Name: "point chosen", Says: "The point to go back to is chosen and signed by two people."},
		{ID: "R5", Name: "rehearsed", Says: "The same restore worked on the side."},
		{ID: "R6", Name: "restoring", Says: "The database is being restored."},
		{ID: "R7", Name: "verifying", Says: "The restored data is being checked."},
		{ID: "R8", Name: "dry run", Says: "The application runs for the operator alone."},
		{ID: "R9", Name: "reconciled", Says: "What was revoked or erased since then is gone again."},
		{ID: "R10", Name: "up", Says: "The application opens step by step."},
		{ID: "R11", Name: "ledger of customers", Says: "For each team it is known which writes are gone."},
		{ID: "R12", Name: "protected", Says: "A fresh backup is made and proved. The holds are lifted.", Rest: true},
		{ID: "RX", Name: "failed", Says: "A check failed. The application stays down, and the damaged state is untouched."},
	},
	Steps: []Step{
		{From: "R0", Event: "take-down", To: "R1", Says: "Take the application down", Guards: []string{"has-operator"}, Role: Commander, Act: "gate-down", Proof: "result of each step", Duty: Contain, Clause: lossClause},
		{From: "R0", Event: "false-alarm", To: "R8", Says: "No data is lost", Guards: []string{reason}, Role: Commander, Act: "dry-run", Proof: "reason", Duty: Contain, Clause: restoreClause},
		{From: "R1", Event: "certify", To: "R2", Says: "Prove that nothing is written", Guards: []string{"gate-closed"}, Role: Recovery, Act: "certify-frozen", Proof: "certificate", Duty: Contain, Clause: "inc.loss-freeze"},
		{From: "R1", Event: "false-alarm", To: "R8", Says: "No data is lost", Guards: []string{reason}, Role: Commander, Act: "dry-run", Proof: "reason", Duty: Contain, Clause: restoreClause},
		{From: "R2", Event: "preserve", To: "R3", Says: "Keep the damaged state", Guards: []string{"frozen-proved"}, Role: Recovery, Act: "preserve", Proof: "hash of the copy", Duty: Contain, Clause: restoreClause},
		{From: "R2", Event: "false-alarm", To: "R8", Says: "No data is lost", Guards: []string{reason}, Role: Commander, Act: "dry-run", Proof: "reason", Duty: Contain, Clause: restoreClause},
		{From: "R3", Event: "choose", To: "R4", Says: "Sign the plan", Guards: []string{"copy-kept", "point-before-onset", "plan-signed"}, Role: Recovery, Proof: "hash of the plan", Duty: Contain, Clause: restoreClause},
		{From: "R4", Event: "rehearse", To: "R5", Says: "Rehearse the restore", Guards: []string{"plan-signed", "point-before-onset"}, Role: Recovery, Act: "rehearse", Proof: "list of checks", Duty: Contain, Clause: restoreClause},
		{From: "R4", Event: "fail", To: "RX", Says: "It failed", Role: Recovery, Proof: "what failed", Duty: Contain, Clause: restoreClause},
		{From: "R5", Event: "restore", To: "R6", Says: "Restore", Guards: []string{"rehearsal-green", "plan-signed", "point-before-onset"}, Role: Recovery, Act: "restore", Proof: "position reached", Duty: Contain, Clause: restoreClause},
		{From: "R5", Event: "fail", To: "RX", Says: "It failed", Role: Recovery, Proof: "what failed", Duty: Contain, Clause: restoreClause},
		{From: "R6", Event: "verify", To: "R7", Says: "Check the restored data", Guards: []string{"restored"}, Role: Recovery, Act: "verify", Proof: "pass or fail of each", Duty: Contain, Clause: "inc.loss-reopen"},
		{From: "R6", Event: "fail", To: "RX", Says: "It failed", Role: Recovery, Proof: "what failed", Duty: Contain, Clause: restoreClause},
		{From: "R7", Event: "dry-run", To: "R8", Says: "Run it for the operator alone", Guards: []string{"checks-green"}, Role: Recovery, Act: "dry-run", Proof: "result", Duty: Contain, Clause: "inc.loss-reopen"},
		{From: "R7", Event: "fail", To: "RX", Says: "It failed", Role: Recovery, Proof: "what failed", Duty: Contain, Clause: restoreClause},
		{From: "R8", Event: "reconcile", To: "R9", Says: "Replay what was revoked and erased", Guards: []string{"dry-run-green"}, Role: Recovery, Act: "reconcile", Proof: "counts", Duty: Contain, Clause: "inc.loss-reopen"},
		{From: "R8", Event: "fail", To: "RX", Says: "It failed", Role: Recovery, Proof: "what failed", Duty: Contain, Clause: restoreClause},
		{From: "R9", Event: "open", To: "R10", Says: "Open the application to staff", Guards: []string{"reconciled"}, Role: Commander, Act: "gate-up", Proof: "who is let in", Duty: Contain, Clause: "inc.loss-reopen"},
		{From: "R9", Event: "fail", To: "RX", Says: "It failed", Role: Recovery, Proof: "what failed", Duty: Contain, Clause: restoreClause},
		{From: "R10", Event: "open-some", To: "R10", Says: "Open it to one team in twenty", Guards: []string{"staff-in", "some-out"}, Role: Commander, Act: "gate-some", Proof: "who is let in", Duty: Contain, Clause: "inc.loss-reopen"},
		{From: "R10", Event: "open-all", To: "R10", Says: "Open it to everybody", Guards: []string{"some-in", "all-out"}, Role: Commander, Act: "gate-all", Proof: "time down, data lost", Duty: Contain, Clause: "inc.loss-reopen"},
		{From: "R10", Event: "red", To: "R1", Says: "Close it again", Role: Anybody, Act: "gate-down", Proof: "what was seen", Duty: Contain, Clause: lossClause},
		{From: "R10", Event: "tell-customers", To: "R11", Says: "List what each team lost", Guards: []string{"all-in"}, Role: Recovery, Act: "lost-writes", Proof: "hash of the list", Duty: Inform, Clause: restoreClause},
		{From: "R11", Event: "back-up", To: "R11", Says: "Make a fresh backup", Guards: []string{"losses-listed", "backup-owed"}, Role: Recovery, Act: "back-up", Proof: "id of the backup", Duty: Contain, Clause: "inc.loss-reopen"},
		{From: "R11", Event: "red", To: "R1", Says: "Close it again", Role: Anybody, Act: "gate-down", Proof: "what was seen", Duty: Contain, Clause: lossClause},
		{From: "R11", Event: "protect", To: "R12", Says: "It is protected again", Guards: []string{"losses-listed", "backup-proved"}, Role: Recovery, Act: "lift-hold", Proof: "id of the backup", Duty: Contain, Clause: "inc.loss-reopen"},
		{From: "R12", Event: "lost-again", To: "R0", Says: "Data is lost again", Guards: []string{"impact-back"}, Role: Commander, Proof: "who saw it", Duty: Contain, Clause: lossClause},
		{From: "RX", Event: "older-point", To: "R3", Says: "Take another point", Role: Commander, Proof: "reason", Duty: Contain, Clause: restoreClause},
	},
}

// breach is what an exposure of data asks for. No guard of it can be passed by one person.
var breach = Machine{Region: B, Name: "Breach", Start: "B0",
	States: []State{
		{ID: "B0", Name: "suspected", Says: "Data may have been exposed. What tells of it is held unchanged."},
		{ID: "B1", Name: "confirmed", Says: "It is a breach. The clocks of the law run."},
		{ID: "B2", Name: "scoped", Says: "It is known whose data it is, and frozen as a list."},
		{ID: "B3", Name: "risk decided", Says: "It is decided how great the risk is for those concerned."},
		{ID: "B4", Name: "authority", Says: "The authority has its report, or need not have one."},
		{ID: "B5", Name: "notifying", Says: "Those concerned are being told."},
		{ID: "B6", Name: "notified", Says: "Each of those concerned was told, or cannot be reached and it is known why."},
		{ID: "B7", Name: "researched", Says: "It is known by which way the data got out, and a rule fires on it."},
		{ID: "B8", Name: "prevented", Says: "Something is in place that failed before and works now.", Rest: true},
		{ID: "BX", Name: "no breach", Says: "Two people found that no data was exposed.", Rest: true},
	},
	Steps: []Step{
		{From: "B0", Event: "confirm", To: "B1", Says: "It is a breach", Guards: []string{"has-officer"}, Role: Privacy, Due: notify, Act: "hold-evidence", Proof: "decision", Duty: Contain, Clause: breachClause},
		{From: "B0", Event: "dismiss", To: "BX", Says: "No data was exposed", Guards: []string{reason, "dismissal-signed"}, Role: Privacy, Proof: "reason", Duty: Contain, Clause: breachClause},
		{From: "B1", Event: "scope", To: "B2", Says: "Freeze the list", Guards: []string{"scope-saved", "scope-signed"}, Role: Privacy, Due: notify, Proof: "hash of the list", Duty: Contain, Clause: "inc.breach-scope"},
		{From: "B2", Event: "scope", To: "B2", Says: "Add to the list", Guards: []string{"scope-saved", "scope-signed"}, Role: Privacy, Proof: "hash of the list", Duty: Contain, Clause: "inc.breach-scope"},
		{From: "B2", Event: "decide-risk", To: "B3", Says: "Decide the risk", Guards: []string{"risk-signed"}, Role: Privacy, Due: notify, Proof: "decision", Duty: Contain, Clause: breachClause},
		{From: "B3", Event: "report", To: "B4", Says: "Report to the authority", Guards: []string{"authority-told"}, Role: Privacy, Due: notify, Act: "authority-pack", Proof: "receipt", Duty: Inform, Clause: breachClause},
		{From: "B4", Event: "notify", To: "B5", Says: "Tell those concerned", Guards: []string{"letter-signed"}, Role: Privacy, Due: notify, Act: "letters", Proof: "hashes of the letters", Duty: Inform, Clause: breachClause},
		{From: "B5", Event: "told", To: "B6", Says: "Everybody was told", Guards: []string{"letters-final"}, Role: Privacy, Proof: "ledger of letters", Duty: Inform, Clause: breachClause},
		{From: "B6", Event: "research", To: "B7", Says: "It is known how it happened", Guards: []string{"contained", "way-known", "rule-fires"}, Role: Technical, Proof: "report", Duty: Learn, Clause: "inc.breach-research"},
		{From: "B7", Event: "prevent", To: "B8", Says: "It cannot happen again", Guards: []string{"measure-proved"}, Role: Technical, Proof: "the measure and its test", Duty: Repair, Clause: "inc.breach-prevent"},
	},
}
