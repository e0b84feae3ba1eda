// Package baseline knows what is usual, and says how far something is from it.
//
//	value of a minute ─► Model: level + trend + season of the week ─► band ─► above, below
//	sum of an hour    ─► Usual: mean, deviation, peak of active hours ─► how far above
//	a sight of a person ─► Person: networks, agents, endpoints, hours ─► what is new
//
// A Model is Holt and Winters' additive method (Winters, Management Science 1960) on
// log(1+value), with one season an hour of the week, interpolated to minutes. Its band is the
// median of the residuals of the same hour of the week, and of the hours before and after,
// plus and minus k times 1.4826 of their median absolute deviation (below it by the
// lowest fifth, if that is more). Residuals are counted in
// buckets that fade week by week, so that a Model takes 8 KB however long it learns.
//
// Promises: nothing is judged before two weeks were observed (Learned says how far it is);
// small numbers are never an alarm (Floor); what lies outside the band is clipped to it before
// it is learned, so that an attack does not become usual; a slow ramp shows against the level
// of four weeks ago (Drift); hours around a change of the clocks are not learned, and have a
// band twice as wide; a minute nobody observed is not learned, because the caller leaves it out.
//
// Refuses: to learn a minute twice, or one before those it has learned; so whoever learned
// up to a minute may be given all of it again.
//
// Threats: poisoning (clipping, Drift); a person whose habits tell more than is needed (64
// values of a kind, then only "many"; 90 days, then forgotten).
//
// BUG(bursts): what is empty more than half of the time has a band around nothing; only its
// floors keep its bursts from being an alarm.
//
// Pure: no clock, no I/O, no names; the caller says when, and keeps what MarshalBinary gives.
//
// For: engineer. Read model.go, residuals.go, usual.go, person.go.
package baseline
