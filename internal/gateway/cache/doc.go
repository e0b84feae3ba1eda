// Package cache is a shared cache of public files by RFC 9111, kept in memory. It knows
// nothing of routes, callers or policies: the gate says which file is asked for, which
// class it must belong to and how to fetch it.
//
//	Ask ─► fresh in store? ──yes──► answer (whole, 304 or 206)
//	           │ no
//	           ├─ stale, within stale-while-revalidate ─► answer, fetch beside
//	           └─ fetch, once a key; who asks meanwhile reads along
//	                 ├─ 304 ─► the stored answer, freshened
//	                 ├─ error or 5xx ─► the stored answer, where that is allowed
//	                 └─ else ─► stored while it is read, if it may be
//
// Promises (host.cdn): what is said to be private is never kept: private, no-store,
// Set-Cookie, Vary: *, an answer to an Authorization that does not say public, an
// answer whose type does not fit the class, an answer that the gate marks. An answer is
// given again only for the same host and target and the same values of what it varies by.
//
// Refuses: to hold more than Options.Max bytes, those under way included; a file larger
// than an eighth of that is passed on and not kept.
//
// Threats: a private page under the name of a picture (its type does not fit); a header
// that changes the answer and is not part of its key (the gate forwards none); many
// askers at once (one fetch); an asker who reads slowly (the fetch goes at its own pace);
// one who makes up names (the least used goes first); a purge that races with a fetch
// (what was on its way is not kept).
//
// For: customer users (pictures come fast), engineer.
//
// Read control.go (directives), item.go (age and freshness), store.go, serve.go, flight.go.
package cache
