package vault

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// Type is what kind of value a parameter has.
type Type string

// The types. A value of any type is sealed at rest; only a SecureString is withheld from
// those who do not ask for it decrypted.
const (
	String       Type = "String"
	StringList   Type = "StringList" // separated by commas
	SecureString Type = "SecureString"
)

// The tiers: how large a value may be at the wire's door.
const (
	Standard    = "Standard"
	Advanced    = "Advanced"
	Intelligent = "Intelligent-Tiering" // whichever of the two the value needs
)

// The limits of a parameter.
const (
	maxStandard    = 4 << 10 // bytes of a value
	maxAdvanced    = 8 << 10
	maxDescription = 1024
	maxPattern     = 1024
	defaultKey     = "alias/aws/ssm"
)

// Param is a parameter as it is listed: all but its value.
type Param struct {
	ID          string
	Name        string
	Type        Type
	Version     int64
	KeyID       string // of a SecureString
	Tier        string
	DataType    string
	Pattern     string
	Description string
	Lifecycle   []Lifecycle
	Made        time.Time
	Changed     time.Time
	ChangedBy   string // kind/id

	was indexed // when it was read for a change
}

// indexed is what lies in columns with an index: SQLite writes every index of a column that
// an UPDATE names, also where the value stays.
type indexed struct {
	tier string
	due  bool // there may be something
}

// Value is one version of a parameter with its value.
type Value struct {
	Param
	Text   secret.Text
	Sealed bool     // the value was not asked for decrypted: Text is empty
	Origin int64    // version at which this value first came
	Labels []string // of a history

	planted bool // nobody should read it
}

// Put is the wish for a new version. Nil fields keep what the parameter has.
type Put struct {
	Name        string
	Value       secret.Text
	Type        Type // "" keeps the parameter's
	New         Type // of a name that is not there yet, where Type is ""
	Overwrite   bool
	Description *string
	Pattern     *string
	KeyID       *string
	Tier        string
	DataType    string
	Lifecycle   *[]Lifecycle
	Tags        []Tag
	Once        string // names the call, so that its repetition within ten minutes is answered and not done
	MostKept    int    // versions; 0 keeps all
	Wire        bool   // the limits of the wire on how many there are hold
}

// Done is what a change of a parameter answers.
type Done struct {
	Version int64
	Tier    string
}

// errNoParam is the one answer to a name that is not there.
func errNoParam(name string) *fault.Error {
	return fault.New(fault.NotFound, "param_unknown", fault.Public{Problem: "There is no parameter " + name + ".", Next: "Look at the list of names."})
}

// Put writes a new version of a parameter, the first one where there is none.
func (s *Service) Put(ctx context.Context, who actor.Actor, in Put) (Done, error) {
	name, err := s.named(ctx, who, access.VaultWrite, in.Name)
	if err != nil {
		return Done{}, err
	}
	return s.putAt(ctx, who, name, in)
}

// putAt is Put of somebody who may, by a name that was read.
func (s *Service) putAt(ctx context.Context, who actor.Actor, name string, in Put) (Done, error) {
	if in.Type == "" || in.Type == SecureString {
		if err := s.knownKey(in.KeyID); err != nil {
			return Done{}, err
		}
	}
	k, err := s.Keys.Ensure(ctx, keyFor(teamOf(who)))
	if err != nil {
		return Done{}, fmt.Errorf("put parameter: %w", err)
	}
	if err := s.room(ctx, teamOf(who), in); err != nil {
		return Done{}, err
	}
	if err := s.refusedValue(ctx, who, name, s.CheckDatabase(in.Value)); err != nil {
		return Done{}, err
	}
	done, err := s.put(ctx, who, name, in, k)
	for range maxAgain { // a first version, or the repetition of a call, that another was quicker with
		if code, _ := fault.PublicOf(err); code != changedCode {
			break
		}
		done, err = s.put(ctx, who, name, in, k)
	}
	if err = s.refusedValue(ctx, who, name, err); err != nil {
		return Done{}, fmt.Errorf("put parameter: %w", err)
	}
	return done, nil
}

func (s *Service) put(ctx context.Context, who actor.Actor, name string, in Put, k envelope.Key) (done Done, err error) {
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := repeated(ctx, tx, in.Once, &done); err != nil {
			return nil, err
		}
		p, err := s.writeNext(ctx, tx, who, name, in, k)
		if err != nil {
			return nil, err
		}
		done = Done{Version: p.Version, Tier: p.Tier}
		if err := remember(ctx, tx, in.Once, done); err != nil {
			return nil, err
		}
		return ParamPut{Param: p.ID, Name: name, Version: p.Version, Type: string(p.Type), Tier: p.Tier, Key: p.KeyID, Value: in.Value}, nil
	})
	if errors.Is(err, errRepeated) {
		return done, nil
	}
	return done, err
}

// writeNext writes the next version of a name inside a change.
func (s *Service) writeNext(ctx context.Context, tx *ledger.Tx, who actor.Actor, name string, in Put, k envelope.Key) (Param, error) {
	team := teamOf(who)
	p, isNew, err := takeParam(ctx, tx, team, name, in.Overwrite)
	if err == nil {
		err = p.apply(in, isNew, s.ChangeType)
	}
	if err == nil {
		err = noPlainHere(ctx, tx, team, p)
	}
	if err == nil {
		err = s.makeRoom(ctx, tx, team, p, in.MostKept)
	}
	if err != nil {
		return p, err
	}
	p.Changed, p.ChangedBy = tx.Now(), who.String()
	box := k.Seal([]byte(in.Value.Reveal()), valueAt(team, p.ID, p.Version)) // clause: vault.encrypted-store (of any type)
	if err := p.write(ctx, tx, team, isNew, box, p.Version); err != nil {
		return p, err
	}
	if isNew {
		if err := putTags(ctx, tx, p.ID, in.Tags); err != nil {
			return p, err
		}
	}
	return p, saw(ctx, tx, who, "param/"+p.ID, p.Version, 0) // who wrote it knows it
}

// maxAgain bounds how often a put that came too late is tried once more.
const maxAgain = 3

const changedCode = "param_changed"

// errChanged tells somebody who was as quick as another.
func errChanged() *fault.Error {
	return fault.New(fault.Conflict, changedCode, fault.Public{Problem: "The parameter was changed at the same moment.", Next: "Try again."})
}

// knownKey refuses a key that the vault does not have.
func (s *Service) knownKey(id *string) error {
	if id == nil || *id == defaultKey || s.AutoAlias && strings.HasPrefix(*id, "alias/") {
		return nil
	}
	return fault.New(fault.Invalid, "key_alias", fault.Public{Problem: "There is no such key.", Expected: defaultKey + ", or no key at all.", Next: "Leave the key out, or have the operator set vault.auto_alias."})
}

// takeParam finds the parameter inside a change, or begins a new one.
func takeParam(ctx context.Context, tx *ledger.Tx, team, name string, overwrite bool) (Param, bool, error) {
	var p Param
	err := ledger.One(ctx, tx.Holding(), selectParamAt, p.dest(), team, []byte(name))
	switch {
	case errors.Is(err, fault.NotFound):
		return Param{ID: tx.ID(), Name: name, DataType: "text"}, true, nil
	case err != nil:
		return Param{}, false, err
	case !overwrite:
		return Param{}, false, fault.New(fault.Conflict, "param_exists", fault.Public{
			Problem: "The parameter already exists.", Expected: "To overwrite this value, set the overwrite option in the request to true."})
	}
	p.was = indexed{tier: p.Tier, due: len(p.Lifecycle) > 0}
	return p, false, nil
}

// apply makes the next version of what was asked, or says what is wrong with it.
func (p *Param) apply(in Put, isNew, retype bool) error {
	if !isNew && len(in.Tags) > 0 {
		return fault.New(fault.Invalid, "tags_on_overwrite", fault.Public{Problem: "Tags and overwrite can't be used together.", Next: "To change the tags of an existing parameter use AddTagsToResource or RemoveTagsFromResource."})
	}
	if err := p.applyType(in, isNew, retype); err != nil {
		return err
	}
	if in.Description != nil {
		p.Description = *in.Description
	}
	if in.Pattern != nil {
		p.Pattern = *in.Pattern
	}
	if in.Lifecycle != nil {
		p.Lifecycle = *in.Lifecycle
	}
	if in.DataType != "" {
		p.DataType = in.DataType
	}
	if len(p.Description) > maxDescription || !utf8.ValidString(p.Description) {
		return fault.New(fault.Invalid, "description_long", fault.Public{Problem: "The description is too long.", Expected: "At most 1024 characters."})
	}
	switch p.DataType {
	case "text", "aws:ec2:image", "aws:ssm:integration":
	default:
		return fault.Newf(fault.Invalid, "data_type", "The data type %q is not one of text, aws:ec2:image and aws:ssm:integration.", p.DataType)
	}
	if err := checkLifecycle(p.Lifecycle); err != nil {
		return err
	}
	if err := p.applyValue(in); err != nil {
		return err
	}
	p.Version++
	return nil
}

func (p *Param) applyType(in Put, isNew, retype bool) error {
	if isNew && in.Type == "" {
		in.Type = in.New
	}
	switch {
	case in.Type == "" && isNew:
		return fault.New(fault.Invalid, "type_needed", fault.Public{Problem: "A parameter type is required when you create a parameter."})
	case in.Type == "":
	case in.Type != String && in.Type != StringList && in.Type != SecureString:
		return fault.Newf(fault.Invalid, "type_unknown", "The type %q is not one of String, StringList and SecureString.", string(in.Type))
	case !isNew && in.Type != p.Type && !retype:
		return fault.New(fault.Conflict, "type_changed", fault.Public{
			Problem: "The parameter type cannot be changed.", Expected: "The type " + string(p.Type) + ".", Next: "Delete the parameter and create it again with another type."})
	default:
		p.Type = in.Type
	}
	if p.Type != SecureString {
		p.KeyID = ""
	}
	switch {
	case p.Type == SecureString && in.KeyID != nil:
		p.KeyID = *in.KeyID
	case p.Type == SecureString && p.KeyID == "":
		p.KeyID = defaultKey
	case p.Type != SecureString && in.KeyID != nil:
		return fault.New(fault.Invalid, "key_on_string", fault.Public{Problem: "KeyId is allowed with SecureString only."})
	}
	return nil
}

// reference is the notation of other documents for a parameter: a value with it would be
// replaced by somebody else's later.
const reference = "{{"

func (p *Param) applyValue(in Put) error {
	v := in.Value.Reveal()
	switch {
	case v == "":
		return fault.New(fault.Invalid, "value_empty", fault.Public{Problem: "A value has at least one character."})
	case !utf8.ValidString(v):
		return fault.New(fault.Invalid, "value_text", fault.Public{Problem: "A value is text in UTF-8.", Next: "Encode other data, for example in base64."})
	case strings.Contains(v, reference+"ssm:") || strings.Contains(v, reference+" ssm:"):
		return fault.New(fault.Invalid, "value_nested", fault.Public{Problem: "A value cannot refer to another parameter."})
	case len(v) > maxAdvanced:
		return fault.New(fault.Invalid, "value_long", fault.Public{Problem: "The value is too long.", Expected: "At most 8192 bytes."})
	}
	tier := in.Tier
	switch tier {
	case "":
		tier = p.Tier
		if tier == "" {
			tier = Standard
		}
	case Standard, Advanced:
		if p.Tier == Advanced && tier == Standard {
			return fault.New(fault.Invalid, "tier_lower", fault.Public{Problem: "An advanced parameter cannot become a standard one.", Next: "Delete it and create it again."})
		}
	case Intelligent:
		if tier = Standard; len(v) > maxStandard || len(p.Lifecycle) > 0 || p.Tier == Advanced {
			tier = Advanced
		}
	default:
		return fault.Newf(fault.Invalid, "tier_unknown", "The tier %q is not one of Standard, Advanced and Intelligent-Tiering.", tier)
	}
	if tier == Standard && len(v) > maxStandard {
		return fault.New(fault.Invalid, "value_long_for_tier", fault.Public{Problem: "Standard tier parameters support a maximum parameter value of 4096 characters.",
			Next: "To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier."})
	}
	p.Tier = tier
	return matches(p.Pattern, v)
}

// matches holds a value against the parameter's own pattern (RE2).
func matches(pattern, value string) error {
	if pattern == "" {
		return nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil || len(pattern) > maxPattern {
		return fault.New(fault.Invalid, "pattern_invalid", fault.Public{Problem: "The allowed pattern is no regular expression.", Expected: "A regular expression of at most 1024 characters, in the RE2 syntax."})
	}
	if !re.MatchString(value) {
		return fault.New(fault.Invalid, "pattern_mismatch", fault.Public{Problem: "Parameter value, cannot be validated against allowedPattern: " + pattern})
	}
	return nil
}

// write inserts the version and makes it the newest.
func (p *Param) write(ctx context.Context, tx *ledger.Tx, team string, isNew bool, box []byte, origin int64) error {
	life, due := lifecycleText(p.Lifecycle), nextDue(p.Lifecycle, p.Changed, p.Changed)
	if isNew {
		n, err := tx.Exec(ctx, insertParam, p.ID, team, []byte(p.Name), string(p.Type), p.Version, p.KeyID, p.Tier, p.DataType, p.Pattern, p.Description, life, us(p.Changed), p.ChangedBy, due)
		if err != nil {
			return err
		}
		if n != 1 {
			return errChanged()
		}
	} else if n, err := tx.Exec(ctx, updateParam, p.ID, p.Version, p.KeyID, p.DataType, p.Pattern, p.Description, life, us(p.Changed), p.ChangedBy, p.Version-1, string(p.Type)); err != nil {
		return err
	} else if n != 1 {
		return errChanged()
	} else if p.Tier != p.was.tier || p.was.due || due != nil {
		if _, err := tx.Exec(ctx, updateIndexed, p.ID, p.Tier, due); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, insertVersion, p.ID, p.Version, box, string(p.Type), p.KeyID, p.Tier, p.DataType, p.Pattern, p.Description, life, us(p.Changed), p.ChangedBy, origin)
	return err
}

// makeRoom drops the oldest versions where only some are kept. One with a label stays,
// and then there is no room. Under a legal hold all stay.
func (s *Service) makeRoom(ctx context.Context, tx *ledger.Tx, team string, p Param, most int) error {
	if most == 0 || p.Version <= int64(most) {
		return nil
	}
	oldest, gone := p.Version-int64(most), int64(0)
	err := s.held(ctx, tx, team)
	if err == nil {
		gone, err = tx.Exec(ctx, deleteVersions, p.ID, oldest)
	}
	if err != nil && !IsHeld(err) || gone > 0 {
		return err
	}
	var labels int64
	if err := ledger.One(ctx, tx, labelsBefore, []any{&labels}, p.ID, oldest); err != nil {
		return err
	}
	if labels > 0 {
		return fault.New(fault.Limited, "versions_full", fault.Public{Problem: "The oldest version has a label, and no more versions are kept.", Next: "Move the label to a newer version."})
	}
	return nil
}

// errRepeated ends a change that was done already.
var errRepeated = errors.New("vault: the call was repeated")

// onceFor is how long the answer of a call is remembered.
const onceFor = 10 * time.Minute

func repeated(ctx context.Context, tx *ledger.Tx, once string, done *Done) error {
	if once == "" {
		return nil
	}
	err := ledger.One(ctx, tx, readOnce, []any{&done.Version, &done.Tier}, once, us(tx.Now().Add(-onceFor)))
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return errRepeated
}

func remember(ctx context.Context, tx *ledger.Tx, once string, done Done) error {
	if once == "" {
		return nil
	}
	if _, err := tx.Exec(ctx, sweepOnce, us(tx.Now().Add(-onceFor))); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, insertOnce, once, done.Version, done.Tier, us(tx.Now()))
	if err == nil && n != 1 {
		err = errChanged()
	}
	return err
}

func readParam(ctx context.Context, r ledger.Reader, team, name string) (Param, error) {
	var p Param
	err := ledger.One(ctx, r, selectParamAt, p.dest(), team, []byte(name))
	if errors.Is(err, fault.NotFound) {
		return Param{}, errNoParam(name)
	}
	return p, err
}

// dest is where a row of selectParam goes.
func (p *Param) dest() []any {
	return []any{&p.ID, textInto{&p.Name}, (*string)(&p.Type), &p.Version, &p.KeyID, &p.Tier, &p.DataType, &p.Pattern, &p.Description, lifecycleInto{&p.Lifecycle}, timeInto{&p.Changed}, &p.ChangedBy, timeInto{&p.Made}}
}

// timeInto scans microseconds.
type timeInto struct{ t *time.Time }

// Scan implements sql.Scanner.
func (i timeInto) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a time of type %T", v)
	}
	*i.t = at(n)
	return nil
}

// textInto scans text that is kept as bytes.
type textInto struct{ s *string }

// Scan implements sql.Scanner.
func (i textInto) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok {
		return fmt.Errorf("a name of type %T", v)
	}
	*i.s = string(b)
	return nil
}

const (
	columns     = `id, name, type, version, key_id, tier, data_type, pattern, description, lifecycle, changed, changed_by, made`
	selectParam = `SELECT ` + columns + ` FROM vault_param`

	selectParamAt = selectParam + ` WHERE team = $1 AND name = $2`

	insertParam = `INSERT INTO vault_param (id, team, name, type, version, key_id, tier, data_type, pattern, description, lifecycle, made, changed, changed_by, due)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $14)
		ON CONFLICT (team, name) DO NOTHING`
	updateParam = `UPDATE vault_param SET version = $2, key_id = $3, data_type = $4, pattern = $5, description = $6, lifecycle = $7, changed = $8, changed_by = $9, type = $11
		WHERE id = $1 AND version = $10`
	updateIndexed = `UPDATE vault_param SET tier = $2, due = $3 WHERE id = $1`
	insertVersion = `INSERT INTO vault_version (param, version, value, type, key_id, tier, data_type, pattern, description, lifecycle, changed, changed_by, origin)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`
	labelsBefore   = `SELECT COUNT(*) FROM vault_label WHERE param = $1 AND version <= $2`
	deleteVersions = `DELETE FROM vault_version WHERE param = $1 AND version <= $2 AND NOT EXISTS (SELECT 1 FROM vault_label WHERE param = $1 AND version <= $2)`
	readOnce       = `SELECT version, tier FROM vault_once WHERE once = $1 AND at > $2`
	sweepOnce      = `DELETE FROM vault_once WHERE at <= $1`
	insertOnce     = `INSERT INTO vault_once (once, version, tier, at) VALUES ($1, $2, $3, $4) ON CONFLICT (once) DO NOTHING`
)
