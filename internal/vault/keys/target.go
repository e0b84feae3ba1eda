package keys

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
)

// target is what a hold keeps and a destruction ends.
type target struct {
	subject keyring.Subject
	name    string // as the tables have it: person/ID, team/ID, kms/ID, class/NAME, stranger/2026-11, backup/NAME
	label   string // as people see it; of a person the kind alone
}

// everything is what a hold may name instead of one thing.
const everything = "everything"

// home is the company's own vault, which its programs and this server live on.
const home = "staff"

func teamVault(team string) keyring.Subject { return keyring.Subject{Kind: "vault", ID: team} }

func unknownTarget(typed string) error {
	return fault.New(fault.Invalid, "target_invalid", fault.Public{Problem: fmt.Sprintf("%.80q is nothing that has a key of its own.", typed),
		Expected: "person/HANDLE, team/ID, kms/ID, class/NAME, stranger/2026-11 or backup/NAME.", Next: "Correct it and try again.",
		Fields: []fault.Field{{Name: "target", Code: "target_invalid", Problem: "This has no key of its own."}}})
}

// find reads what somebody typed.
func (s *Service) find(ctx context.Context, who actor.Actor, typed string) (target, error) {
	kind, ref, ok := strings.Cut(typed, "/")
	if !ok || ref == "" || len(typed) > 200 {
		return target{}, unknownTarget(typed)
	}
	switch kind {
	case "person":
		id, err := s.People.Erasable(ctx, who, ref)
		return target{keyring.Person(id), "person/" + id, "a person"}, err
	case "team":
		id, err := s.Teams.TeamRef(ctx, ref)
		return target{teamVault(id), "team/" + id, "the vault of team/" + id}, err
	case "class", "backup":
		return target{keyring.Subject{Kind: kind, ID: ref}, typed, typed}, nil
	case "kms":
		return target{keyring.Subject{Kind: kind, ID: ref}, typed, "the key " + typed}, nil
	case "stranger":
		month, err := time.Parse("2006-01", ref)
		if err != nil {
			return target{}, unknownTarget(typed)
		}
		return target{keyring.Strangers(month), typed, "strangers of " + ref}, nil
	}
	return target{}, unknownTarget(typed)
}

// endable refuses the end of a key that the server itself works with.
func (s *Service) endable(t target) error {
	refuse := func(problem, next string) error {
		return fault.New(fault.Conflict, "key_needed", fault.Public{Problem: problem, Expected: "A key that nothing needs any more.", Next: next})
	}
	switch {
	case t.subject == teamVault(home):
		return refuse("The company's own vault is what its programs live on; a key that was destroyed never comes back.", "Delete its parameters instead: writ vault delete NAME.")
	case t.subject.Kind == "class" && !slices.Contains(s.Classes, t.subject.ID):
		return refuse("The server itself works with the key of this class.", "Replace it instead: writ vault rotate --now.")
	case t.subject == keyring.Strangers(s.Now()):
		return refuse("This month is not over: what is known about strangers is still being written under its key.", "Ask again next month.")
	}
	return nil
}
