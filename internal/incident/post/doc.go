// Package post tells the public on other networks what stands on the status page: Mastodon,
// Bluesky and X, by their documented API.
//
//	Cut (at a word, the link kept, as each network counts) ─► Send ─► posted │ rejected │ deferred │ unsure
//	unsure, or a process that died ─► Find (own posts with the link) ─► posted, or Send again
//	                                     └─ X cannot be looked through ─► unknown: a person looks
//
// Promises: inc.public-notice, with incident.
//
// Refuses: to post a text twice where it is not known whether the first one arrived; a text
// without its link.
//
// Threats: a network that takes a post and answers with an error, slowly or not at all (the key
// of the post, the record's own name, or a look at one's own posts tell); one that never stops
// answering (64 KiB, ten seconds); a secret in an error (errors tell codes alone).
//
// For: communications. Read post.go; then mastodon.go, bluesky.go, x.go.
package post
