package kms

import "writ/internal/ledger"

// KeyMade is a key that programs may encrypt with.
type KeyMade struct {
	Key   string `class:"public"`
	Alias string `class:"public"`
	Path  string `class:"public"`
}

// About implements ledger.Event.
func (e KeyMade) About() ledger.About {
	return ledger.About{Name: "vault.kms-key-made", Clause: "crypto.at-rest", Object: "kms/" + e.Key}
}

// KeyState is a key that may be used, or no more.
type KeyState struct {
	Key   string `class:"public"`
	State string `class:"public"` // Enabled, Disabled
}

// About implements ledger.Event.
func (e KeyState) About() ledger.About {
	return ledger.About{Name: "vault.kms-key-set", Clause: "crypto.at-rest", Object: "kms/" + e.Key}
}

// KeyRenewed is another version of a key, for what is encrypted from now on.
type KeyRenewed struct {
	Key     string `class:"public"`
	Version int64  `class:"public"`
}

// About implements ledger.Event.
func (e KeyRenewed) About() ledger.About {
	return ledger.About{Name: "vault.kms-key-renewed", Clause: "crypto.key-rotation", Object: "kms/" + e.Key}
}

// AliasSet is a name that points at a key.
type AliasSet struct {
	Key   string `class:"public"`
	Alias string `class:"public"`
}

// About implements ledger.Event.
func (e AliasSet) About() ledger.About {
	return ledger.About{Name: "vault.kms-alias-set", Clause: "crypto.at-rest", Object: "kms/" + e.Key}
}

// Used is one call, before its answer leaves. Of the context there are the names alone.
type Used struct {
	Op        string   `class:"public"`
	Key       string   `class:"public"` // "" where a list was asked for
	From      string   `class:"public"` // of ReEncrypt: the key that it opened with
	Context   []string `class:"public"`
	AccessKey string   `class:"public"`
}

// About implements ledger.Event.
func (e Used) About() ledger.About {
	a := ledger.About{Name: "vault.kms-used", Clause: "vault.access-logged"}
	if e.Key != "" {
		a.Object = "kms/" + e.Key
	}
	return a
}
