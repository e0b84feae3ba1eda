// Package holders says who holds the root key together, while the vault is open: it appoints
// people, takes their keys, makes shares for them, has them practised and made anew.
//
//	owner ─► appoint ─► letter ─► holder enrols a passkey or a key file's line
//	all enrolled ─► prepared (entry) ─► [next root added] ─► boot.json ─► [former roots forgotten] ─► live (entry)
//	holder leaves, is removed, joins; quorum or root changes ─► a new set is due ─► reshare
//	owner ─► drill ─► holders give their shares (package seal) ─► they fit: entry, letters
//	start ─► what happened while sealed (boot.json) ─► the first entries
//
// The step in square brackets is taken where the vault opens by shares alone
// (vault.unseal.kind: shares): then each set is of a new root, so that old shares and old
// copies of boot.json lead to nothing. Where the server also opens by itself the same root
// is split again. While root.key still lies in the folder it goes on working until the new
// shares have been tried once; then it is void and may be dropped.
//
// A process that dies at any point leaves a vault that opens: until boot.json is replaced
// the old set counts, from then on the new one, and the root of either works until the last
// step. Resume finishes or abandons what was begun.
//
// Promises: people.no-sole-holder (min_holders, quorum_need, quorum_of; a drill at most
// 90 days old).
//
// Refuses: a holder who is no active member of staff; an enrolment without a factor shown
// shortly before; the removal of the last but one; a set of too few; to seal what nobody
// could open; to drop root.key before new shares were tried.
//
// Threats: a holder who leaves with a share (the set is due; with shares alone the root is
// another one then); an owner who appoints friends (every appointment is an entry and a
// letter to all owners); an enrolment by somebody else (a factor, and a letter).
//
// BUG(nodes): boot.json and the mark of a sealed vault are of one folder. Where the keys lie in
// a database that other servers may use (keys.url), shares are no way of opening and nothing is
// sealed by command: both are refused. A question to enrol a passkey and the shares of a drill wait in the memory of
// one process: with several nodes they must come to the same one.
//
// Tables: vault_holder*, vault_seal_line; the schema says who may export and erase each.
//
// For: owners, holders. Read holders.go, holder.go, set.go, drill.go, told.go; then tend.go,
// letters.go; http.go is the table of addresses, page.go the pages, clauses.go the proofs.
package holders
