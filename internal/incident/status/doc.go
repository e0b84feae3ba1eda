// Package status is the public page that says how the service is: components, incidents and
// their updates, maintenance, ninety days of bars, feeds, an API, and letters to subscribers.
//
//	Check (words, estimate, leak guard) ─► Put (in the change of the incident) ─► turn + 1
//	turn ─► every node, within a second: all pages, JSON and feeds made once ─► memory ─► GET
//	                                                                       └─► copies outside: a folder, object stores;
//	                                                                           sums ─► entry ─► proof, for writ verify
//	change ─► a notice for each subscriber, the newest alone ─► job ─► letter │ signed webhook ─► told, refused, unknown
//	minute ─► seen: a hole in it is time that nobody saw, and is shown so
//
// Promises: inc.public-notice, inc.updates, inc.eta (an update says when service returns, or
// when the next one comes, or is refused).
//
// Where the page has a name of its own (status.host), it answers there at /, for reading alone:
// nothing else of this server does, and no cookie is read or set. A sealed server answers with
// the copy in its folder.
//
// Refuses: an update without state or estimate; a text with a place that nobody filled; a text that holds an address, a name of a
// customer, a private host, a secret or a card number, unless two people have approved that
// very text; a link that changes something when it is only opened.
//
// Threats: a page that is down with what it tells of (it is made beforehand, and served from
// memory, whatever mode the gate is in); an outage of its own that reads as a hundred per
// cent; injected markup (texts are escaped everywhere, never HTML); finding out who
// subscribes (the same answer for known and unknown addresses); flooding a stranger's
// mailbox or a stranger's server (three questions an hour for an address, twenty for a
// network; a webhook is told only once it has echoed a challenge, and none that leads inside).
//
// Tables: incident_status_*; the schema says who may export and erase each.
//
// For: everybody; communications. Read status.go, post.go, promise.go, guard.go, component.go, window.go, remind.go;
// then page.go, wire.go, feed.go, ical.go; subscribe.go, subscriber.go, hook.go, notice.go, preview.go, bounce.go, export.go, share.go, takeout.go; http.go, alone.go.
package status
