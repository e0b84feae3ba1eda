package passhash

// Derive lets the standard's vectors, whose salts are shorter than any this
// package reads, reach the hash function.
var Derive = derive
