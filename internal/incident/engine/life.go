package engine

// The words of guards and parameters that stand in more than one row.
const (
	reason   = "reason-given"
	told     = "told-monitoring"
	green    = "impact-over"
	ack      = "inc.categorise/ack"
	triage   = "inc.categorise/triage"
	first    = "inc.public-notice/within"
	interval = "inc.updates/every"
	learn    = "inc.learn/postmortem"
	lasting  = "inc.patch/temp_expires"
	notify   = "inc.breach-notify/within"
)

// life is the lifecycle.
var life = Machine{Region: L, Name: "Lifecycle", Start: "L0", // clause: inc.process
	States: []State{
		{ID: "L0", Name: "signal", Says: "Somebody or something has raised it. Nobody has taken it yet."},
		{ID: "L1", Name: "triage", Says: "It is taken. What kind it is, how bad it is and who commands is not decided yet."},
		{ID: "L2", Name: "active", Says: "It is being worked on, and the impact lasts."},
		{ID: "L3", Name: "mitigated", Says: "The impact is over for now. It is watched for a while."},
		{ID: "L4", Name: "resolved", Says: "The impact is over. Those affected are being told so."},
		{ID: "L5", Name: "review", Says: "What happened and what prevents the next one is being written down."},
		{ID: "L6", Name: "closed", Says: "It is reviewed, and what follows from it has owners and dates.", Rest: true},
		{ID: "LX", Name: "cancelled", Says: "It was a false alarm, or part of another incident.", Rest: true},
	},
	Steps: []Step{
		{From: "L0", Event: "acknowledge", To: "L1", Says: "I take it", Due: ack, Proof: "who took it", Duty: Sort, Clause: "inc.categorise"},
		{From: "L0", Event: "cancel", To: "LX", Says: "Cancel it", Guards: []string{reason, "not-public"}, Proof: "reason", Duty: Sort, Clause: "inc.categorise"},
		{From: "L1", Event: "categorise", To: "L2", Says: "Decide what it is", Guards: []string{"has-category", "has-severity", "has-commander"}, Due: triage, Act: "open-regions", Proof: "decision and who", Duty: Sort, Clause: "inc.categorise"},
		{From: "L1", Event: "cancel", To: "LX", Says: "Cancel it", Guards: []string{reason, "not-public"}, Proof: "reason", Duty: Sort, Clause: "inc.categorise"},
		{From: "L2", Event: "mitigate", To: "L3", Says: "The impact is over", Guards: []string{green, "fixed-or-up", told}, Role: Commander, Proof: "who saw it end", Duty: Contain, Clause: "inc.process"},
		{From: "L2", Event: "cancel", To: "LX", Says: "Cancel it", Guards: []string{reason, "not-public"}, Role: Commander, Proof: "reason", Duty: Sort, Clause: "inc.process"},
		{From: "L3", Event: "relapse", To: "L2", Says: "It is back", Proof: "who or what saw it", Duty: Contain, Clause: "inc.process"},
		{From: "L3", Event: "resolve", To: "L4", Says: "It is resolved", Guards: []string{green, "soaked", "public-ended", "data-back"}, Role: Commander, Act: "tell-affected", Proof: "time without impact", Duty: Inform, Clause: "inc.process"},
		{From: "L4", Event: "review", To: "L5", Says: "Begin the review", Guards: []string{"public-ended", "affected-told", "subscribers-told"}, Proof: "messages delivered", Duty: Inform, Clause: "inc.tell-affected"},
		{From: "L4", Event: "reopen", To: "L2", Says: "Reopen it", Guards: []string{reason}, Act: "open-regions", Proof: "reason", Duty: Contain, Clause: "inc.process"},
		{From: "L5", Event: "close", To: "L6", Says: "Close it", Guards: []string{"review-approved", "measures", "breach-ended", "fix-lasts"}, Role: Commander, Due: learn, Proof: "hash of the review", Duty: Repair, Clause: "inc.learn"},
		{From: "L5", Event: "reopen", To: "L2", Says: "Reopen it", Guards: []string{reason}, Act: "open-regions", Proof: "reason", Duty: Contain, Clause: "inc.process"},
		{From: "L6", Event: "reopen", To: "L2", Says: "Reopen it", Guards: []string{reason}, Act: "open-regions", Proof: "reason", Duty: Contain, Clause: "inc.process"},
	},
}

// public is the communication with everybody.
var public = Machine{Region: C, Name: "Public communication", Start: "C0",
	States: []State{
		{ID: "C0", Name: "required", Says: "A public notice is owed, and nothing is written yet."},
		{ID: "C1", Name: "drafted", Says: "A notice is written and not posted."},
		{ID: "C2", Name: "posted", Says: "The first notice stands on the status page."},
		{ID: "C3", Name: "current", Says: "The status page is up to date."},
		{ID: "C3'", Name: "overdue", Says: "The next update is late, and the status page says so."},
		{ID: "C4", Name: "final", Says: "The last update stands: it is resolved, or was a false alarm.", Rest: true},
		{ID: "C5", Name: "reviewed", Says: "What was learned is published.", Rest: true},
	},
	Steps: []Step{
		{From: "C0", Event: "draft", To: "C1", Says: "Keep a draft", Role: Communications, Proof: "hash of the text", Duty: Inform, Clause: "inc.public-notice"},
		{From: "C0", Event: "post", To: "C2", Says: "Post the notice", Guards: estimated, Role: Communications, Due: first, Act: "publish", Proof: "hash of the text", Duty: Inform, Clause: "inc.public-notice"},
		{From: "C1", Event: "draft", To: "C1", Says: "Change the draft", Role: Communications, Proof: "hash of the text", Duty: Inform, Clause: "inc.public-notice"},
		{From: "C1", Event: "post", To: "C2", Says: "Post the notice", Guards: estimated, Role: Communications, Due: first, Act: "publish", Proof: "hash of the text", Duty: Inform, Clause: "inc.public-notice"},
		retract("C0"), retract("C1"),
		update("C2"), lapse("C2"), final("C2"), retract("C2"),
		update("C3"), lapse("C3"), final("C3"), retract("C3"),
		update("C3'"), final("C3'"), retract("C3'"),
		{From: "C4", Event: "publish-review", To: "C5", Says: "Publish what was learned", Guards: []string{"no-leak", "review-approved"}, Role: Communications, Act: "publish", Proof: "hash of the text", Duty: Learn, Clause: "inc.learn"},
		retract("C4"),
		{From: "C4", Event: "reopen", To: "C0", Says: "Open it again", Guards: []string{"impact-back"}, Role: Writ, Proof: "round", Duty: Inform, Clause: "inc.public-notice"},
		{From: "C5", Event: "reopen", To: "C0", Says: "Open it again", Guards: []string{"impact-back"}, Role: Writ, Proof: "round", Duty: Inform, Clause: "inc.public-notice"},
	},
}

var estimated = []string{"estimate-given", "no-leak"}

func update(from string) Step {
	return Step{From: from, Event: "update", To: "C3", Says: "Post an update", Guards: estimated, Role: Communications, Due: interval, Act: "publish", Proof: "hash of the text", Duty: Inform, Clause: "inc.updates"}
}

func lapse(from string) Step {
	return Step{From: from, Event: "lapse", To: "C3'", Says: "The update is late", Guards: []string{"interval-over"}, Role: Writ, Act: "publish", Proof: "time of the last update", Duty: Inform, Clause: "inc.updates"}
}

func final(from string) Step {
	return Step{From: from, Event: "finish", To: "C4", Says: "Post that it is resolved", Guards: []string{green, "no-leak"}, Role: Communications, Act: "publish", Proof: "hash of the text", Duty: Inform, Clause: "inc.updates"}
}

// retract takes back what stands there. It asks for no end of the impact: there was none.
func retract(from string) Step {
	return Step{From: from, Event: "retract", To: "C4", Says: "Take the notice back", Guards: []string{"was-public", "no-leak"}, Role: Communications, Act: "publish", Proof: "hash of the text", Duty: Inform, Clause: "inc.public-notice"}
}

// fix is the repair: a temporary one first if needed, then one that lasts.
var fix = Machine{Region: F, Name: "Fix", Start: "F0", // clause: inc.patch
	States: []State{
		{ID: "F0", Name: "none", Says: "No fix is proposed.", Rest: true},
		{ID: "F1", Name: "proposed", Says: "A temporary fix waits for somebody who reviews it."},
		{ID: "F2", Name: "approved", Says: "A temporary fix may be put in place."},
		{ID: "F3", Name: "deployed", Says: "A temporary fix holds, and ends by itself. The lasting repair has no owner yet."},
		{ID: "F4", Name: "lasting", Says: "The lasting repair has an owner and a date."},
		{ID: "F5", Name: "replaced", Says: "The lasting repair is in place, with a test; the temporary fix is gone.", Rest: true},
	},
	Steps: []Step{
		{From: "F0", Event: "propose", To: "F1", Says: "Propose a temporary fix", Guards: []string{"kind-decided"}, Role: Technical, Proof: "hash of the fix", Duty: Repair, Clause: "inc.patch"},
		{From: "F0", Event: "plan", To: "F4", Says: "Plan the lasting repair", Guards: []string{"kind-decided", "lasting-owned"}, Role: Technical, Proof: "owner and date", Duty: Repair, Clause: "inc.patch"},
		{From: "F1", Event: "approve-fix", To: "F2", Says: "Approve the fix", Guards: []string{"other-person"}, Proof: "hash of the fix", Duty: Repair, Clause: "inc.patch"},
		{From: "F1", Event: "withdraw-fix", To: "F0", Says: "Withdraw the fix", Role: Technical, Proof: "reason", Duty: Repair, Clause: "inc.patch"},
		{From: "F2", Event: "deploy", To: "F3", Says: "It is in place", Guards: []string{"expiry-set"}, Role: Technical, Proof: "when it ends", Duty: Repair, Clause: "inc.patch"},
		{From: "F2", Event: "withdraw-fix", To: "F0", Says: "Withdraw the fix", Role: Technical, Proof: "reason", Duty: Repair, Clause: "inc.patch"},
		{From: "F3", Event: "plan", To: "F4", Says: "Plan the lasting repair", Guards: []string{"lasting-owned"}, Role: Technical, Due: lasting, Proof: "owner and date", Duty: Repair, Clause: "inc.patch"},
		{From: "F4", Event: "replace", To: "F5", Says: "The lasting repair is in place", Guards: []string{"regression-test"}, Role: Technical, Due: lasting, Proof: "name of the test", Duty: Repair, Clause: "inc.patch"},
		{From: "F5", Event: "propose", To: "F1", Says: "Propose another temporary fix", Guards: []string{"impact-back"}, Role: Technical, Proof: "hash of the fix", Duty: Repair, Clause: "inc.patch"},
		{From: "F5", Event: "plan", To: "F4", Says: "Plan another lasting repair", Guards: []string{"impact-back", "lasting-owned"}, Role: Technical, Proof: "owner and date", Duty: Repair, Clause: "inc.patch"},
	},
}
