// Package rescue restores the sample application for real: it is what an incident with lost
// data is given in the demo, and what a drill is given over a copy of the sample.
//
//	backups (VACUUM INTO, SHA-256, read back) ─► plan ─► side copy, checked ─► in its place ─► checked
//	list of acknowledged writes ─► what is to be erased again · what each team lost
//
// Promises: inc.loss-restore (the copy is from before the incident and is what its hash says;
// the damaged state is kept first), inc.loss-reopen (checks, a fresh backup that was restored).
//
// Refuses: a copy whose hash has changed, whose schema is not that of the program, or for
// which there is no room; to overwrite a copy of a damaged state.
//
// Threats: a process that ends in the middle (each call may be made again and ends the same);
// one that was stopped and wakes when another has gone on (the number of the newest try lies
// beside the database, under a lock, with the name of the ledger that gave it); a file that somebody changed (hashes are compared at each use).
//
// For: the newcomer, in the demo. Read rescue.go, plan.go, restore.go, epoch.go.
package rescue
