// Package pool reaches one application at several places in named zones: it knows which
// of them are well, leaves out those that are not, and asks again elsewhere where that
// cannot do a thing twice.
//
//	RoundTrip ─► choose (well, local zone first, slow start) ─► Way ─► answer
//	                 ▲                                           │ no answer
//	                 └── once, in another zone if there is one ◄─┘
//	Run ─► every 2 s: GET at each place ─► 2 bad: out, 2 good: in
//
// Promises (host.two-zones, host.auto-recovery as far as a gate can): the loss of a zone
// costs at most the requests that were on their way to it and may not be sent twice.
//
// Refuses: to ask when no place is well (ErrAllOut); to send again what may have been
// done; to send again more than a tenth of the requests, so that a sick application is
// not asked twice as often.
//
// Threats: a client who makes one request fail on purpose, over and over, to have places
// taken out: the breaker never opens at the last one whose own health checks are good.
//
// For: engineer.
//
// Read pool.go, then health.go, rehearse.go.
package pool
