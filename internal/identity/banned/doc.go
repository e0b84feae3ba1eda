// Package banned refuses passwords that an attacker tries first.
//
// It owns the list of such passwords and the rule for what counts as "on the
// list". It promises clause auth.banned: the answer is the same at all doors of
// identity, and dressing a listed password up does not get it past.
//
//	typed ──fold──┬─ as it is ──┬─ forward ──┐    cut digits and symbols    listed?
//	              └─ collapsed ─┴─ backward ─┴──> off both ends, every way ─> a unit repeated?
//	                                                                         a run, few characters?
//	                                                                         two common words?
//
// fold ignores case, accents and width. Look-alikes are not expanded: password and
// list are both mapped to one skeleton ("4", "@" and "a" are one letter; so are
// "1", "i", "l", "t", "7"), so any mixture of them is one look-up and a crafted
// password costs no more than another of its length.
//
// The sources: (a) the frequency lists that come with zxcvbn-go, read from that
// module and never copied here; (b) the operator's file; (c) words of product,
// company, domains and policy; (d) the person's own name and address. Lists are
// kept as sorted 8-byte prefixes of SHA-256.
//
// It refuses: a missing, unreadable, irregular or oversized operator file.
// It never shows the entry that matched, only the kind.
//
// Threat: guessing and spraying with leaked lists. It is not a strength meter: a
// password that passes is not on the list, no more.
//
// BUG(list): the embedded lists are English and small (1,919 entries of twelve
// characters or more). Without an operator file most leaked passwords of that
// length pass; Usable says how many entries count at the length in force.
//
// For: staff and customers, through identity. Read banned.go, judge.go, skeleton.go,
// runs.go, table.go.
package banned
