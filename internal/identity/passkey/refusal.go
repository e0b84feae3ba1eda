package passkey

import (
	"errors"

	"writ/internal/fault"
)

// Cause is why an answer was refused, for the record.
type Cause string

// The causes.
const (
	TooLarge          Cause = "too-large"
	Unreadable        Cause = "unreadable"
	WrongCeremony     Cause = "wrong-ceremony"  // an answer to the other kind of question
	WrongChallenge    Cause = "wrong-challenge" // to another question, or to one answered before
	WrongOrigin       Cause = "wrong-origin"
	WrongHost         Cause = "wrong-host"
	Framed            Cause = "framed"
	NobodyPresent     Cause = "nobody-present"
	NotVerified       Cause = "not-verified"
	NotResident       Cause = "not-resident"
	Attested          Cause = "attested"    // a statement about the device that nobody asked for
	NotVouched        Cause = "not-vouched" // no maker's word, and the site asks for one
	NotListed         Cause = "not-listed"  // of a maker or model that the site does not take
	Expired           Cause = "expired"
	UnknownCredential Cause = "unknown-credential"
	WrongOwner        Cause = "wrong-owner"
	BackupChanged     Cause = "backup-changed"
	BadSignature      Cause = "bad-signature"
	Cloned            Cause = "cloned"
	TooMany           Cause = "too-many"
)

// Refusal is an answer that was not accepted. What leaves the server is its fault.
type Refusal struct {
	Cause Cause
	err   error // of the library; for the log
}

func refuse(c Cause, err error) error { return &Refusal{Cause: c, err: err} }

// Unknown refuses an answer whose credential the caller does not find.
func Unknown() error { return refuse(UnknownCredential, nil) }

// Full refuses one passkey more than MaxPerPerson.
func Full() error { return refuse(TooMany, nil) }

// CauseOf is the cause of a refusal, "" for any other error.
func CauseOf(err error) Cause {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Cause
	}
	return ""
}

// Error is the private text.
func (r *Refusal) Error() string {
	if r.err != nil {
		return "passkey refused: " + string(r.Cause) + ": " + r.err.Error()
	}
	return "passkey refused: " + string(r.Cause)
}

// Unwrap is the refusal in words for people.
func (r *Refusal) Unwrap() error {
	switch r.Cause {
	case TooLarge:
		return fault.Newf(fault.TooLarge, "too_large", "The answer of the passkey is larger than %d KiB.", maxResponse>>10)
	case TooMany:
		return fault.New(fault.Conflict, "passkey_limit", fault.Public{Problem: "There are too many passkeys.",
			Expected: "At most 20 for one person.", Next: "Remove one that you do not use."})
	case Unreadable:
		return fault.New(fault.Malformed, "malformed", fault.Public{Problem: "The answer of the passkey cannot be read.",
			Expected: "What PublicKeyCredential.toJSON gives.", Next: "Try again, or with another browser."})
	}
	w := words[r.Cause]
	return fault.New(fault.Invalid, "passkey_refused", fault.Public{Problem: w[0], Expected: w[1], Next: w[2]})
}

const again = "Try again."

// words are problem, expectation and next step of each cause.
var words = map[Cause][3]string{
	WrongCeremony:     {"This is the answer to another question.", "The answer to the question that was asked last.", again},
	WrongChallenge:    {"This is the answer to another question, or to one that was answered before.", "Each question is answered once.", again},
	WrongOrigin:       {"The passkey was used at another site.", "It works at this site only.", "Look at the address in your browser."},
	WrongHost:         {"The passkey belongs to another site.", "One that was made at this site.", "Choose another passkey."},
	Framed:            {"The passkey was asked for from within a page of another site.", "A page of this site alone.", "Open this site in a window of its own."},
	NobodyPresent:     {"The device did not make sure that somebody is there.", "A touch or a look.", "Use a device that asks you."},
	NotVerified:       {"The device did not verify who you are.", "A fingerprint, a face or a PIN.", "Set one up on the device, then try again."},
	NotResident:       {"The device did not keep the passkey.", "A device that keeps passkeys.", "Use another device, or the passwords app of your phone or computer."},
	Attested:          {"The device sent a statement about its maker that nobody asked for.", "A passkey without one.", "Use another browser or device."},
	NotVouched:        {"The device sent no word of its maker, and this site takes passkeys of listed makers only.", "A security key or phone of a maker on the list, and a browser that lets its word through.", "Allow the browser to show the make of the key, or use a key that your administrator has approved."},
	NotListed:         {"This site does not take passkeys of this make, or its maker's word is not good.", "A security key or phone of a maker on the list.", "Use a key that your administrator has approved."},
	Expired:           {"The answer came too late.", "An answer within five minutes.", again},
	UnknownCredential: {"This passkey is not known here.", "One that you have set up.", "Choose another passkey."},
	WrongOwner:        {"This passkey belongs to somebody else.", "One of your own.", "Choose another passkey."},
	BackupChanged:     {"The passkey says of its copies what it did not say before.", "The passkey as it was made.", "Remove it and make a new one."},
	BadSignature:      {"The proof of the passkey is not right.", "A proof by the key that was made here.", "Try again, or with another passkey."},
	Cloned:            {"There seems to be a copy of this passkey: it counts less than it did before.", "A count that rises with each use.", "Sign in another way, remove this passkey and make a new one."},
}
