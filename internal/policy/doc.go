// Package policy is the law of the house: the revisions of the policy, who approved
// them, which one is in force, the exceptions from it, and the records people sign.
//
// The document is the configuration. A revision in force drives every module's rules;
// nothing else does.
//
//	file ─► Try ─► what it changes, and what it would do to who and what is there
//	file ─► Propose ─► the same, and texts to sign ─► Approve (owners of the revision before)
//	                                       │ enough, none the author's
//	                                       ▼
//	        Slots: check all ─► one ledger change ─► set all ─► modules obey
//	                                       ▲
//	        exceptions, effective dates ───┘ as a timeline: they take hold by the clock
//
// Promises: gov.policy-id, gov.effective-date, gov.author, gov.owners,
// gov.signed-dated, gov.revision-history, gov.approver-is-owner, gov.sod,
// gov.contact-change, gov.review-cadence, gov.exceptions, gov.published (the page
// itself is a face's).
//
// Refuses: a revision that its parent's owners could never approve, a back-dated one,
// one that a module could not obey, a version with a gap or used before; a signature of
// the author, of somebody who is no owner of the revision before, of an inactive person,
// by a revoked key, or over any other text; an exception outside the parameter's range,
// beyond gov.exceptions/max, approved by whoever asked, or from a clause that protects
// the approval itself; a proposal that changes nothing, unless half of gov.review-cadence
// is over; a record from the future, one that never ends, one without the signature of
// somebody active.
//
// Who posts a signature does not matter, whose it is does. The operator of the machine
// proposes and carries files; he never counts. What he proposes is in the name of its
// author, who must sign it beside the owners before it is adopted, and an exception he
// asks for is signed by its requester first: otherwise an owner with a shell would name
// somebody else and approve what they wrote themself (gov.sod). Signatures are OpenSSH's (namespace
// writ-policy), so `ssh-keygen -Y verify` judges every one without Writ.
//
// Threats: an approval replayed on another body, version, date or parent (the text
// names them all, and a revision that was closed cannot be proposed again unchanged); an
// edited row (each start, each reading and each run of gov.revision-history hashes the
// chain and verifies the signatures; an edited exception does not hold); a half-adopted revision (all rules are checked before the
// change and set after it); an exception that somebody forgot (its end is in the
// timeline); a newer binary on an older revision (a parameter it lacks takes the shipped
// default, and its clause shows as unbound until a revision adds it; so does a value
// that the newer rules refuse, while a proposal with such a value is refused as ever). Not answered: an
// operator with the database's key who rewrites the whole chain and registers keys of
// his own; the journal's checkpoints answer that.
//
// For: the owner who signs, the engineer who proposes, the auditor who reads.
// Tables policy_*; nothing of them is erased, people stand in them by handle.
// Read policy.go, revision.go, propose.go, forecast.go, approve.go, bind.go; then key.go,
// exception.go, record.go; clauses.go holds the controls, rehearsal.go their canaries.
package policy
