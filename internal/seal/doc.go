// Package seal keeps the root key from everybody and gives it back to several people
// together: the shares, the file that a sealed server reads, and its one page.
//
//	root ── split ──► shares ── each to one holder's key (HPKE) ──► boot.json
//	holder ── passkey or key file ──► own share ── to this gathering's key (HPKE) ──► Gate
//	Gate ── set, holder, fingerprint ──► k of M ── combine ── root's fingerprint ──► root
//
//	new ─► sealed ─► unsealing (k of M) ─► open ─► sealing ─► sealed
//
// Promises: people.no-sole-holder (no one person opens the vault). A share leaves its
// holder's hands only sealed for the process that asks; no page and no command shows one.
// The root is used only after it was found to be the one that was split.
//
// One way for every holder: a P-256 key, and shares sealed to it with HPKE (RFC 9180) of
// the standard library, which the FIPS profile has too. A key file holds its private half
// (`writ vault holder-key`), or a passkey does: the browser makes the key and wraps it under
// what the passkey's PRF gives for a salt. So new shares can be made for the same holders
// without calling them together, and what must be kept by them never changes.
//
// Refuses: a share of a set that is over, by the set's id; a wrong one at once, by its
// fingerprint; the same holder twice; a passkey's share without its proof for the operation
// that is shown; the sixth wrong try of a holder in ten minutes. What was given is dropped
// after 15 minutes.
//
// What happens while nothing can be recorded is a list in boot.json, each line holding the
// hash of the one before. It becomes the first entries of the journal after the opening.
// Refusals and starts take a part of its room, and are only counted beyond that; a share and
// an opening that cannot be noted do not happen.
//
// Threats: a stolen folder or backup (boot.json holds no key that opens a share); a holder
// alone; a stranger who guesses (256 bits) or floods (wrong tries are counted and stop being
// written; right shares are taken however full the counters are); an old copy of boot.json
// (the root it leads to was replaced, see keyring); a page that stands between (the proof of
// a passkey names the key of the gathering). Not answered: need holders who conspire, and
// whoever reads the memory of an open server; whoever writes the folder, who may cut the tail
// of the list (the hashes have no key) and is seen only when a line in its middle is changed.
//
// boot.json is in clear: ids, public keys, sealed shares, fingerprints, counters. There is
// no name and no address in it, and nothing of a person but the public keys; package
// vault/holders knows whose they are. Export: nobody needs it. Erased with the folder.
//
// For: key holders, at three in the morning; the engineer. Read boot.go, share.go, key.go,
// gate.go; door.go is the page and the wire of it.
package seal
