// Package limit counts: how often somebody may ask in a time, and how often on a day.
//
//	Rate (100/m) ─ ÷ live nodes ─► Bucket ─► Table.Take(now, key) ─► go on, with what is left | wait so long
//	Quotas.Take(day, key) ─► go on | the day's number is used up     (Drain ─► store ─► Learn)
//
// A Rate of 100/m lets 100 requests come at once and one more each 0.6 s: GCRA, the
// generic cell rate algorithm (ITU-T I.371), one number a key. It is the same meaning on
// one node or many: each node enforces its part of the rate.
//
// Promises: use.public-api (limits): a rate holds for each key alone; what was not let
// through costs nothing.
//
// Threats: an attacker who sprays keys until his own is forgotten (a key is forgotten only
// when its time has passed and it means nothing any more; when there is no room, new keys
// share one of their whole network); memory without bounds (rooms are fixed); a clock that
// ran ahead and was set back (what it dated is cut to what the rate could have made).
//
// It knows neither requests nor people, and has no clock of its own.
//
// For: engineer, programs.
package limit
