package kms

import (
	"cmp"
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"time"

	"writ/internal/access"
	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/aws"
)

// Name is what signatures for this service are for.
const Name = "kms"

const (
	prefix    = "TrentService."
	algorithm = "SYMMETRIC_DEFAULT"

	maxPlain  = 4096
	maxCipher = 6144
	maxData   = 1024 // bytes of a data key
	maxRef    = 2048
)

// Service is what the address of package aws hands calls to.
func (s *Service) Service() aws.Service {
	ops := map[string]aws.Operation{
		"Encrypt": s.wireEncrypt, "Decrypt": s.wireDecrypt, "ReEncrypt": s.wireReEncrypt, "DescribeKey": s.describe, "ListAliases": s.listAliases, "ListKeys": s.listKeys,
		"GenerateDataKey":                 func(c *aws.Call) (any, error) { return s.dataKey(c, true) },
		"GenerateDataKeyWithoutPlaintext": func(c *aws.Call) (any, error) { return s.dataKey(c, false) },
	}
	for _, op := range []string{"CreateKey", "CreateAlias", "UpdateAlias", "DeleteAlias", "EnableKey", "DisableKey", "ScheduleKeyDeletion"} {
		ops[op] = s.managed
	}
	return aws.Service{Name: Name, Prefix: prefix, Operations: ops, Code: code}
}

// codes are the clients' names of our refusals.
var codes = map[string]string{
	"kms_key_unknown":   "NotFoundException",
	"kms_key_disabled":  "DisabledException",
	"kms_key_destroyed": "KMSInvalidStateException",
	"kms_ciphertext":    "InvalidCiphertextException",
	"kms_key_other":     "IncorrectKeyException",
	"alias_invalid":     "InvalidAliasNameException",
}

func code(ours string, kind fault.Kind) string {
	if c := codes[ours]; c != "" {
		return c
	}
	switch kind {
	case fault.NotFound:
		return "NotFoundException"
	case fault.Gone, fault.Conflict:
		return "KMSInvalidStateException"
	}
	return ""
}

// managed refuses what only a person does, and not over this wire.
func (s *Service) managed(c *aws.Call) (any, error) {
	if err := s.manages(c.Context(), c.Who, vault.PathOf(c.Who), ""); err != nil {
		return nil, err
	}
	return nil, aws.Refuse("AccessDeniedException", "Keys are made and disabled with writ vault kms, by a person.")
}

// common is what several calls have.
type common struct {
	KeyId               string //nolint:revive // the wire's name
	EncryptionContext   Context
	EncryptionAlgorithm string
	DryRun              bool
}

func (in common) check(refs ...string) error {
	if in.EncryptionAlgorithm != "" && in.EncryptionAlgorithm != algorithm {
		return aws.Refuse("InvalidKeyUsageException", "The keys here encrypt with "+algorithm+" only.")
	}
	for _, r := range refs {
		if r == "" || len(r) > maxRef {
			return aws.Invalid("1 validation error detected: Value at 'keyId' failed to satisfy constraint: Member must have length between 1 and 2048.")
		}
	}
	return nil
}

// dry ends a call that was asked only whether it could be done.
func (in common) dry() error {
	if in.DryRun {
		return aws.Refuse("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
	}
	return nil
}

// plaintext is data that comes in base64, as every blob of the wire.
type plaintext struct{ b secret.Bytes }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *plaintext) UnmarshalText(text []byte) error {
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(raw, text)
	if err == nil {
		p.b = secret.NewBytes(raw[:n])
	}
	clear(raw)
	return err
}

func sized(what string, n, most int) error {
	if n < 1 || n > most {
		return aws.Invalid("1 validation error detected: Value at '" + what + "' failed to satisfy constraint: Member must have length between 1 and " + strconv.Itoa(most) + ".")
	}
	return nil
}

func (s *Service) arn(c *aws.Call, k Key) string { return c.ARN(Name, "key/"+k.ID) }

func (s *Service) wireEncrypt(c *aws.Call) (any, error) {
	in, err := aws.Read[struct {
		common
		Plaintext plaintext
	}](c)
	if err != nil {
		return nil, err
	}
	defer in.Plaintext.b.Wipe()
	if err := cmp.Or(in.check(in.KeyId), sized("plaintext", in.Plaintext.b.Len(), maxPlain)); err != nil {
		return nil, err
	}
	k, err := s.use(c.Context(), c.Who, access.VaultWrite, in.KeyId)
	if err != nil {
		return nil, err
	}
	blob, err := s.encrypt(c.Context(), c.Who, k, in.Plaintext.b, in.EncryptionContext)
	if err := cmp.Or(err, in.dry()); err != nil {
		return nil, err
	}
	return struct {
		CiphertextBlob             []byte
		KeyId, EncryptionAlgorithm string //nolint:revive // the wire's name
	}{blob, s.arn(c, k), algorithm}, s.record(c.Context(), c.Who, Used{Op: "Encrypt", Key: k.ID}, in.EncryptionContext, c.Note)
}

func (s *Service) wireDecrypt(c *aws.Call) (any, error) {
	in, err := aws.Read[struct {
		common
		CiphertextBlob []byte
		Recipient      *struct{}
	}](c)
	if err != nil {
		return nil, err
	}
	if in.Recipient != nil {
		return nil, aws.Refuse("UnsupportedOperationException", "Enclaves are not known here.")
	}
	if err := cmp.Or(in.check(), sized("ciphertextBlob", len(in.CiphertextBlob), maxCipher)); err != nil {
		return nil, err
	}
	k, plain, err := s.decrypt(c.Context(), c.Who, in.CiphertextBlob, in.EncryptionContext, in.KeyId)
	if err != nil {
		return nil, err
	}
	defer plain.Wipe()
	if err := cmp.Or(in.dry(), s.record(c.Context(), c.Who, Used{Op: "Decrypt", Key: k.ID}, in.EncryptionContext, c.Note)); err != nil {
		return nil, err
	}
	return struct {
		KeyId, EncryptionAlgorithm string //nolint:revive // the wire's name
		Plaintext                  []byte
	}{s.arn(c, k), algorithm, slices.Clone(plain.Reveal())}, nil
}

func (s *Service) wireReEncrypt(c *aws.Call) (any, error) {
	in, err := aws.Read[struct {
		CiphertextBlob                                            []byte
		SourceEncryptionContext, DestinationEncryptionContext     Context
		SourceKeyId, DestinationKeyId                             string //nolint:revive // the wire's names
		SourceEncryptionAlgorithm, DestinationEncryptionAlgorithm string
		DryRun                                                    bool
	}](c)
	if err != nil {
		return nil, err
	}
	to := common{EncryptionAlgorithm: in.DestinationEncryptionAlgorithm, DryRun: in.DryRun}
	if err := cmp.Or(common{EncryptionAlgorithm: in.SourceEncryptionAlgorithm}.check(), to.check(in.DestinationKeyId), sized("ciphertextBlob", len(in.CiphertextBlob), maxCipher)); err != nil {
		return nil, err
	}
	k, err := s.use(c.Context(), c.Who, access.VaultWrite, in.DestinationKeyId)
	if err != nil {
		return nil, err
	}
	from, plain, err := s.decrypt(c.Context(), c.Who, in.CiphertextBlob, in.SourceEncryptionContext, in.SourceKeyId)
	if err != nil {
		return nil, err
	}
	defer plain.Wipe()
	blob, err := s.encrypt(c.Context(), c.Who, k, plain, in.DestinationEncryptionContext)
	if err := cmp.Or(err, to.dry()); err != nil {
		return nil, err
	}
	return struct {
		CiphertextBlob                                                                []byte
		SourceKeyId, KeyId, SourceEncryptionAlgorithm, DestinationEncryptionAlgorithm string //nolint:revive // the wire's names
	}{blob, s.arn(c, from), s.arn(c, k), algorithm, algorithm}, s.record(c.Context(), c.Who, Used{Op: "ReEncrypt", Key: k.ID, From: from.ID}, in.DestinationEncryptionContext, c.Note)
}

// dataKey makes a key for data that lies elsewhere: sealed, and in clear where that was asked.
func (s *Service) dataKey(c *aws.Call, shown bool) (any, error) {
	in, err := aws.Read[struct {
		common
		NumberOfBytes *int
		KeySpec       string
		Recipient     *struct{}
	}](c)
	if err != nil {
		return nil, err
	}
	if in.Recipient != nil {
		return nil, aws.Refuse("UnsupportedOperationException", "Enclaves are not known here.")
	}
	n, err := dataSize(in.KeySpec, in.NumberOfBytes)
	if err := cmp.Or(in.check(in.KeyId), err); err != nil {
		return nil, err
	}
	action, op := access.VaultWrite, "GenerateDataKeyWithoutPlaintext"
	if shown {
		op = "GenerateDataKey"
	}
	k, err := s.use(c.Context(), c.Who, action, in.KeyId)
	if err != nil {
		return nil, err
	}
	plain := secret.Random(n)
	defer plain.Wipe()
	blob, err := s.encrypt(c.Context(), c.Who, k, plain, in.EncryptionContext)
	if err := cmp.Or(err, in.dry()); err != nil {
		return nil, err
	}
	if err := s.record(c.Context(), c.Who, Used{Op: op, Key: k.ID}, in.EncryptionContext, c.Note); err != nil {
		return nil, err
	}
	out := struct {
		CiphertextBlob []byte
		Plaintext      []byte `json:",omitempty"`
		KeyId          string //nolint:revive // the wire's name
	}{CiphertextBlob: blob, KeyId: s.arn(c, k)}
	if shown {
		out.Plaintext = slices.Clone(plain.Reveal())
	}
	return out, nil
}

func dataSize(spec string, n *int) (int, error) {
	switch {
	case (spec == "") == (n == nil):
		return 0, aws.Invalid("Please specify either number of bytes or key spec.")
	case spec == "AES_256":
		return 32, nil
	case spec == "AES_128":
		return 16, nil
	case spec != "":
		return 0, aws.Invalid("1 validation error detected: Value at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: [AES_256, AES_128].")
	case *n < 1 || *n > maxData:
		return 0, aws.Invalid("1 validation error detected: Value at 'numberOfBytes' failed to satisfy constraint: Member must have value between 1 and 1024.")
	}
	return *n, nil
}

func (s *Service) describe(c *aws.Call) (any, error) {
	in, err := aws.Read[common](c)
	if err != nil {
		return nil, err
	}
	if err := in.check(in.KeyId); err != nil {
		return nil, err
	}
	k, err := s.use(c.Context(), c.Who, access.VaultList, in.KeyId)
	if err != nil {
		return nil, err
	}
	state := "Disabled"
	if k.Enabled {
		state = "Enabled"
	}
	if _, err := s.Keys.Key(c.Context(), subject(k.ID)); err != nil {
		if state = "PendingDeletion"; fault.KindOf(err) != fault.Gone {
			return nil, err
		}
	}
	type metadata struct {
		AWSAccountId, KeyId, Arn, Description, KeyUsage, KeyState, Origin, KeyManager, CustomerMasterKeySpec, KeySpec string //nolint:revive // the wire's names
		CreationDate                                                                                                  float64
		Enabled, MultiRegion                                                                                          bool
		EncryptionAlgorithms                                                                                          []string
	}
	return struct{ KeyMetadata metadata }{metadata{AWSAccountId: c.Account, KeyId: k.ID, Arn: s.arn(c, k), Description: k.Description, KeyUsage: "ENCRYPT_DECRYPT", KeyState: state, Origin: "AWS_KMS", KeyManager: "CUSTOMER",
		CustomerMasterKeySpec: algorithm, KeySpec: algorithm, CreationDate: epoch(k.Made), Enabled: state == "Enabled", EncryptionAlgorithms: []string{algorithm}}}, s.record(c.Context(), c.Who, Used{Op: "DescribeKey", Key: k.ID}, nil, c.Note)
}

// part is a page of a list: what comes after the marker, and where the next one begins.
func part[T any](all []T, name func(T) string, marker string, limit *int, usual, most int) (page []T, next string, err error) {
	n := usual
	if limit != nil {
		n = *limit
	}
	if n < 1 || n > most {
		return nil, "", aws.Invalid("1 validation error detected: Value at 'limit' failed to satisfy constraint: Member must have value between 1 and " + strconv.Itoa(most) + ".")
	}
	if marker != "" {
		i := slices.IndexFunc(all, func(v T) bool { return name(v) > marker })
		if i < 0 {
			i = len(all)
		}
		all = all[i:]
	}
	if len(all) > n {
		return all[:n], name(all[n-1]), nil
	}
	return all, "", nil
}

type listIn struct {
	KeyId, Marker string //nolint:revive // the wire's name
	Limit         *int
}

func (s *Service) listKeys(c *aws.Call) (any, error) {
	in, err := aws.Read[listIn](c)
	if err != nil {
		return nil, err
	}
	ks, err := s.List(c.Context(), c.Who)
	if err != nil {
		return nil, err
	}
	ks, next, err := part(ks, func(k Key) string { return k.ID }, in.Marker, in.Limit, 100, 1000)
	if err != nil {
		return nil, err
	}
	type entry struct{ KeyId, KeyArn string } //nolint:revive // the wire's name
	out := struct {
		Keys       []entry
		NextMarker string `json:",omitempty"`
		Truncated  bool
	}{[]entry{}, next, next != ""}
	for _, k := range ks {
		out.Keys = append(out.Keys, entry{k.ID, s.arn(c, k)})
	}
	return out, s.record(c.Context(), c.Who, Used{Op: "ListKeys"}, nil, c.Note)
}

func (s *Service) listAliases(c *aws.Call) (any, error) {
	in, err := aws.Read[listIn](c)
	if err != nil {
		return nil, err
	}
	only := Key{}
	if in.KeyId != "" {
		if only, err = s.use(c.Context(), c.Who, access.VaultList, in.KeyId); err != nil {
			return nil, err
		}
	}
	ks, err := s.List(c.Context(), c.Who)
	if err != nil {
		return nil, err
	}
	as, err := s.aliases(c.Context(), vault.TeamOf(c.Who))
	if err != nil {
		return nil, err
	}
	as = slices.DeleteFunc(as, func(a Alias) bool {
		return only.ID != "" && a.Key != only.ID || !slices.ContainsFunc(ks, func(k Key) bool { return k.ID == a.Key })
	})
	as, next, err := part(as, func(a Alias) string { return a.Name }, in.Marker, in.Limit, 50, 100)
	if err != nil {
		return nil, err
	}
	type entry struct {
		AliasName, AliasArn, TargetKeyId string //nolint:revive // the wire's names
		CreationDate, LastUpdatedDate    float64
	}
	out := struct {
		Aliases    []entry
		NextMarker string `json:",omitempty"`
		Truncated  bool
	}{[]entry{}, next, next != ""}
	for _, a := range as {
		out.Aliases = append(out.Aliases, entry{a.Name, c.ARN(Name, a.Name), a.Key, epoch(a.Made), epoch(a.Changed)})
	}
	return out, s.record(c.Context(), c.Who, Used{Op: "ListAliases", Key: only.ID}, nil, c.Note)
}

func epoch(t time.Time) float64 { return math.Round(float64(t.UnixMilli())) / 1000 }
