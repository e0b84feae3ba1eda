// Package heavy finds the labels with the most, among too many to count each apart.
//
//	Add(label, n) ─► grid (count-min, 4 × 2,048) ─► is it more than the least that is kept?
//	                                                   └─► 2,048 labels (space-saving)
//	Hitters ─► Summary: 256 labels, each at least and at most ─► bytes ─► Join with others
//
// The labels are kept as in space-saving (Metwally, Agrawal, El Abbadi, ICDT 2005): whoever comes
// new takes the place of the least, and what that had is the new one's error. Beside it stands a
// count-min grid (Cormode, Muthukrishnan, J. Algorithms 2005) with conservative update (Estan,
// Varghese, SIGCOMM 2002): a label takes a place only if the grid says that it may have more than
// the least, and begins with no more than the grid has of it.
//
// Promises: of a label that is kept, the count lies between Least and Most, which differ by no
// more than the total over 2,048; one that has more than that is kept; one that is not has no more than
// Floor. Joining adds the bounds, so that what holds of parts holds of the whole.
//
// Threats: whoever may choose labels floods with new ones, each seen once, to push out the truth
// (the grid lets them pass by; what they do take has a Least of one, and lists go by Least); or
// seeks labels that fall on the cells of another (the grid's hash has a seed of the process, which
// nobody sees). What remains: of a flood of a total N, labels with less than N/2,048 may be lost.
//
// Refuses: bytes of more than 32 KiB, of more than 256 labels, or of labels over 64 bytes.
//
// Pure: no clock, no I/O. A Hitters is for one goroutine at a time, and takes 64 KiB and its labels.
//
// For: engineer. Read hitters.go, summary.go.
package heavy
