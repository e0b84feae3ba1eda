package rotate

import (
	"errors"

	"writ/internal/fault"
)

// troubles are what a rotation stands still for, with what to do. The text of another
// server is never kept: it may name what should not be read here.
var troubles = map[string]fault.Public{
	"unreachable": {Problem: "The database cannot be reached.", Next: "See that it runs and that this server may reach it. It is tried again by itself."},
	"database_error": {Problem: "The database refused a statement that it should take.", Expected: "PostgreSQL 12 or newer.",
		Next: "Look at its log at that time. It is tried again by itself."},
	"address_form":       {Problem: "The administrator's parameter holds no address that this server uses.", Expected: "postgres://USER:PASSWORD@HOST/DATABASE, with sslmode=require or stricter where the host is another machine.", Next: "Write it again: writ vault put."},
	"admin_gone":         {Problem: "The parameter with the administrator's address is not there.", Next: "Write it again: writ vault put."},
	"admin_refused":      {Problem: "The database refuses the administrator.", Next: "Write the address that works now to the administrator's parameter: writ vault put."},
	"admin_right":        {Problem: "The administrator may not do this at the database.", Expected: "A role with CREATEROLE, the owner role with ADMIN OPTION, and pg_signal_backend.", Next: "Grant it these rights."},
	"owner_gone":         {Problem: "The owner is not there: the role at the database, or whoever the access key or the token stands on.", Next: "Make it again, or end this rotation and set up another."},
	"owner_strong":       {Problem: "The owner role rules the server.", Expected: "A role that is no superuser and makes no roles or databases.", Next: "Take these attributes from it."},
	"role_taken":         {Problem: "A role of a slot is there already and is no member of the owner role: it may be somebody else's.", Next: "Set the rotation up with other roles, or grant the owner role to it."},
	"login_refused":      {Problem: "The new value was made, and the log-in with it is refused.", Next: "See that the database lets the role in from this server (pg_hba.conf). The former value is in use still, and it is tried again by itself."},
	"login_other":        {Problem: "The log-in with the new value works, and has other rights than the owner role.", Next: "See what the address leads to. The former value is in use still."},
	"password_unchecked": {Problem: "The database lets the role in with a wrong password, so a test says nothing.", Expected: "scram-sha-256 for this host in pg_hba.conf.", Next: "Have it ask for the password. The former value is in use still."},
	"value_foreign":      {Problem: "The value is of neither slot: somebody wrote another one.", Next: "Write a value that logs in as one of both slots or as the owner role, or with an access key or a token of the team; or end this rotation."},
	"value_plain":        {Problem: "The parameter is no SecureString any more.", Next: "Delete it and write it again as one."},
	"value_refused":      {Problem: "The vault does not take the new value: its pattern, its size or the policy refuses it.", Next: "Look at the parameter's pattern and at the template. The former value is in use still."},
	"written_by_hand":    {Problem: "Somebody wrote another value while this one was replaced.", Next: "Nothing of theirs was changed. It is begun again by itself."},
	"put_back":           {Problem: "Somebody went back to the former value. The new one is ended instead.", Next: "Find out why it did not serve, then: writ vault rotation now."},
	"param_gone":         {Problem: "The parameter was deleted.", Next: "End this rotation, and the role or key at its source."},
	"token_bound":        {Problem: "The token works from some networks alone, and this server could not try it.", Next: "Write one that works from everywhere, or replace this one by hand."},
	"tokens_full":        {Problem: "The service has as many tokens as it may have.", Next: "End some of them. It is tried again by itself."},
	"still_open":         {Problem: "The former value was ended at its source, and still logs in.", Next: "See whether the address leads to that server. It is ended again by itself."},
	"door_away":          {Problem: "The server's own door gave no answer.", Next: "It is tried again by itself."},
}

// stuck is an error for one of the troubles.
func stuck(code string) *fault.Error {
	return fault.New(fault.Conflict, code, troubles[code])
}

// troubleOf is the code where an error is one of the troubles.
func troubleOf(err error) (string, bool) {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return "", false
	}
	_, ok = troubles[e.Code]
	return e.Code, ok
}

func isTrouble(err error, code string) bool {
	got, ok := troubleOf(err)
	return ok && got == code
}
