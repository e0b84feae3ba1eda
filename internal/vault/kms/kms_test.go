package kms_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/kms"
)

func each(t *testing.T, fn func(t *testing.T, w *world, c client, k kms.Key)) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := open(t, kit)
		k, err := w.kms.Create(t.Context(), operator, kms.NewKey{Alias: "alias/shop", Path: "/shop"})
		if err != nil {
			t.Fatal(err)
		}
		fn(t, w, w.client(vault.NewKey{Path: "/"}), k)
	}, vault.Schema())
}

// What is encrypted opens with the same context, by every name of its key, and no other way.
func TestEncryptAndDecrypt(t *testing.T) { // breaks: crypto.at-rest
	each(t, func(t *testing.T, w *world, c client, k kms.Key) {
		about := obj{"b": "2", "a": "1"}
		arn := "arn:aws:kms:eu-central-1:" + accountOf(t, c) + ":key/" + k.ID
		for _, ref := range []string{k.ID, arn, "alias/shop", strings.Replace(arn, "key/"+k.ID, "alias/shop", 1)} {
			e := c.good("Encrypt", obj{"KeyId": ref, "Plaintext": b64("planted-plain"), "EncryptionContext": about, "Else": true})
			if e.text("KeyId") != arn || e.text("EncryptionAlgorithm") != "SYMMETRIC_DEFAULT" || strings.Contains(e.bytes("CiphertextBlob"), "planted") {
				t.Errorf("%s: %s", ref, e.raw)
			}
			d := c.good("Decrypt", obj{"CiphertextBlob": e.text("CiphertextBlob"), "EncryptionContext": obj{"a": "1", "b": "2"}})
			if d.bytes("Plaintext") != "planted-plain" || d.text("KeyId") != arn {
				t.Errorf("%s: %s", ref, d.raw)
			}
			c.good("Decrypt", obj{"CiphertextBlob": e.text("CiphertextBlob"), "EncryptionContext": about, "KeyId": ref})
			for _, other := range []obj{nil, {"a": "1"}, {"a": "2", "b": "1"}, {"a": "1", "b": "2", "c": ""}, {"a": "1b", "": "2"}} {
				c.bad("InvalidCiphertextException", "Decrypt", obj{"CiphertextBlob": e.text("CiphertextBlob"), "EncryptionContext": other})
			}
		}
		e := c.good("Encrypt", obj{"KeyId": k.ID, "Plaintext": b64("x")}).bytes("CiphertextBlob")
		for i := range e { // each byte of it counts
			b := []byte(e)
			b[i] ^= 1
			c.bad("InvalidCiphertextException", "Decrypt", obj{"CiphertextBlob": b64(string(b))})
		}
		c.bad("InvalidCiphertextException", "Decrypt", obj{"CiphertextBlob": b64("x")})

		// A former version opens what it made.
		if err := w.kms.Rotate(t.Context(), operator, "alias/shop"); err != nil {
			t.Fatal(err)
		}
		after := c.good("Encrypt", obj{"KeyId": k.ID, "Plaintext": b64("x")}).bytes("CiphertextBlob")
		if n := 17 + 2 + int(e[18]); after[17:n] == e[17:n] { // the box names its key
			t.Error("the new version is the old one")
		}
		for _, blob := range []string{e, after} {
			if d := c.good("Decrypt", obj{"CiphertextBlob": b64(blob)}); d.bytes("Plaintext") != "x" {
				t.Error(d.raw)
			}
		}
		for _, e := range w.kit.Recorded("vault.kms-used") {
			if strings.Contains(e.Body, "planted") || strings.Contains(e.Body, b64("planted-plain")) {
				t.Errorf("an entry holds what was encrypted: %s", e.Body)
			}
		}
	})
}

func accountOf(t *testing.T, c client) string {
	t.Helper()
	d := c.good("DescribeKey", obj{"KeyId": "alias/shop"})
	m, _ := d.body["KeyMetadata"].(map[string]any)
	return fmt.Sprint(m["AWSAccountId"])
}

// Nobody gets a key of Writ's own data, and none of its boxes opened.
func TestOwnDataIsOutOfReach(t *testing.T) { // breaks: crypto.at-rest, vault.access-logged
	each(t, func(t *testing.T, w *world, c client, k kms.Key) {
		if _, err := w.vault.Put(t.Context(), operator, vault.Put{Name: "/shop/own", Value: secret.NewText("own"), Type: vault.SecureString}); err != nil {
			t.Fatal(err)
		}
		var box []byte
		if err := ledger.One(t.Context(), w.kit.DB, `SELECT value FROM vault_version`, []any{&box}); err != nil {
			t.Fatal(err)
		}
		head := []byte(c.good("Encrypt", obj{"KeyId": k.ID, "Plaintext": b64("x")}).bytes("CiphertextBlob"))[:17]
		c.bad("InvalidCiphertextException", "Decrypt", obj{"CiphertextBlob": base64.StdEncoding.EncodeToString(box)})
		c.bad("InvalidCiphertextException", "Decrypt", obj{"CiphertextBlob": base64.StdEncoding.EncodeToString(append(head, box...))})
		for _, ref := range []string{"vault/staff", "staff", "alias/aws/ssm", "arn:aws:kms:x", "kms/" + k.ID, "vault.access"} {
			c.bad("NotFoundException", "GenerateDataKey", obj{"KeyId": ref, "KeySpec": "AES_256"})
		}
	})
}

func TestDataKeys(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client, k kms.Key) {
		for spec, n := range map[string]int{"AES_256": 32, "AES_128": 16} {
			g := c.good("GenerateDataKey", obj{"KeyId": k.ID, "KeySpec": spec})
			if d := c.good("Decrypt", obj{"CiphertextBlob": g.text("CiphertextBlob")}); len(g.bytes("Plaintext")) != n || d.text("Plaintext") != g.text("Plaintext") {
				t.Errorf("%s: %s %s", spec, g.raw, d.raw)
			}
		}
		if g := c.good("GenerateDataKey", obj{"KeyId": k.ID, "NumberOfBytes": 1024}); len(g.bytes("Plaintext")) != 1024 {
			t.Error(g.raw)
		}
		if g := c.good("GenerateDataKeyWithoutPlaintext", obj{"KeyId": k.ID, "NumberOfBytes": 8}); g.body["Plaintext"] != nil || len(c.good("Decrypt", obj{"CiphertextBlob": g.text("CiphertextBlob")}).bytes("Plaintext")) != 8 {
			t.Error(g.raw)
		}
		for _, in := range []obj{{}, {"KeySpec": "AES_256", "NumberOfBytes": 8}, {"KeySpec": "AES_512"}, {"NumberOfBytes": 0}, {"NumberOfBytes": 1025}} {
			in["KeyId"] = k.ID
			c.bad("ValidationException", "GenerateDataKey", in)
		}
		other, err := w.kms.Create(t.Context(), operator, kms.NewKey{})
		if err != nil {
			t.Fatal(err)
		}
		e := c.good("Encrypt", obj{"KeyId": k.ID, "Plaintext": b64("moved"), "EncryptionContext": obj{"a": "1"}})
		r := c.good("ReEncrypt", obj{"CiphertextBlob": e.text("CiphertextBlob"), "SourceEncryptionContext": obj{"a": "1"}, "DestinationKeyId": other.ID, "DestinationEncryptionContext": obj{"b": "2"}})
		if !strings.HasSuffix(r.text("SourceKeyId"), k.ID) || !strings.HasSuffix(r.text("KeyId"), other.ID) || r.body["Plaintext"] != nil {
			t.Error(r.raw)
		}
		if d := c.good("Decrypt", obj{"CiphertextBlob": r.text("CiphertextBlob"), "EncryptionContext": obj{"b": "2"}, "KeyId": other.ID}); d.bytes("Plaintext") != "moved" {
			t.Error(d.raw)
		}
		c.bad("IncorrectKeyException", "Decrypt", obj{"CiphertextBlob": r.text("CiphertextBlob"), "EncryptionContext": obj{"b": "2"}, "KeyId": k.ID})
		c.bad("InvalidCiphertextException", "ReEncrypt", obj{"CiphertextBlob": e.text("CiphertextBlob"), "DestinationKeyId": other.ID})
	})
}

func TestLimits(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client, k kms.Key) {
		e := c.good("Encrypt", obj{"KeyId": k.ID, "Plaintext": b64(strings.Repeat("x", 4096))})
		if n := len(e.bytes("CiphertextBlob")); n > 6144 {
			t.Errorf("a ciphertext of %d bytes", n)
		}
		c.bad("ValidationException", "Encrypt", obj{"KeyId": k.ID, "Plaintext": b64(strings.Repeat("x", 4097))})
		c.bad("ValidationException", "Encrypt", obj{"KeyId": k.ID, "Plaintext": ""})
		c.bad("ValidationException", "Encrypt", obj{"Plaintext": b64("x")})
		c.bad("ValidationException", "Decrypt", obj{"CiphertextBlob": b64(strings.Repeat("x", 6145))})
		c.bad("ValidationException", "Encrypt", obj{"KeyId": k.ID, "Plaintext": b64("x"), "EncryptionContext": obj{"a": strings.Repeat("x", 8192)}})
		c.bad("SerializationException", "Encrypt", obj{"KeyId": k.ID, "Plaintext": "no base64 *"})
		c.bad("NotFoundException", "Encrypt", obj{"KeyId": "alias/none", "Plaintext": b64("x")})
		c.bad("NotFoundException", "DescribeKey", obj{"KeyId": "1234abcd-12ab-34cd-56ef-1234567890ab"})
		c.bad("InvalidKeyUsageException", "Encrypt", obj{"KeyId": k.ID, "Plaintext": b64("x"), "EncryptionAlgorithm": "RSAES_OAEP_SHA_1"})
		c.bad("DryRunOperationException", "Encrypt", obj{"KeyId": k.ID, "Plaintext": b64("x"), "DryRun": true})
		c.bad("UnknownOperationException", "Sign", obj{"KeyId": k.ID})
		c.bad("AccessDeniedException", "CreateKey", obj{})
		if s := c.send("ssm", "TrentService.ListKeys", "application/x-amz-json-1.1", "{}"); !strings.Contains(s.raw, "InvalidSignatureException") {
			t.Errorf("signed for another service: %s", s.raw)
		}
	})
}

// The states of a key, each under the clients' name.
func TestStates(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client, k kms.Key) {
		e := c.good("Encrypt", obj{"KeyId": k.ID, "Plaintext": b64("x")}).text("CiphertextBlob")
		state := func() any {
			m, _ := c.good("DescribeKey", obj{"KeyId": k.ID}).body["KeyMetadata"].(map[string]any)
			return m["KeyState"]
		}
		if err := w.kms.Enable(t.Context(), operator, "alias/shop", kms.Disabled); err != nil {
			t.Fatal(err)
		}
		c.bad("DisabledException", "Decrypt", obj{"CiphertextBlob": e})
		c.bad("DisabledException", "GenerateDataKey", obj{"KeyId": k.ID, "KeySpec": "AES_256"})
		if s := state(); s != "Disabled" {
			t.Error(s)
		}
		if one, err := w.kms.Show(t.Context(), operator, k.ID); err != nil || one.Enabled || one.Destroyed {
			t.Errorf("%+v %v", one, err)
		}
		if err := w.kms.Enable(t.Context(), operator, k.ID, kms.Enabled); err != nil {
			t.Fatal(err)
		}
		c.good("Decrypt", obj{"CiphertextBlob": e})
		if _, err := w.kit.Ring.Erase(t.Context(), keyring.Subject{Kind: "kms", ID: k.ID}); err != nil {
			t.Fatal(err)
		}
		c.bad("KMSInvalidStateException", "Decrypt", obj{"CiphertextBlob": e})
		c.bad("KMSInvalidStateException", "Encrypt", obj{"KeyId": k.ID, "Plaintext": b64("x")})
		if s := state(); s != "PendingDeletion" {
			t.Error(s)
		}
		one, err := w.kms.Show(t.Context(), operator, "alias/shop")
		if err != nil || !one.Destroyed || len(one.Aliases) != 1 {
			t.Errorf("%+v %v", one, err)
		}
		if all, err := w.kms.List(t.Context(), operator); err != nil || len(all) != 1 || !all[0].Destroyed {
			t.Errorf("%+v %v", all, err)
		}
	})
}

// Who reaches what: by the path of the access key, by what it may, by team; and each call is an entry.
func TestReach(t *testing.T) { // breaks: vault.access-logged
	each(t, func(t *testing.T, w *world, c client, k kms.Key) {
		before := len(w.kit.Recorded("vault.kms-used"))
		e := c.good("Encrypt", obj{"KeyId": k.ID, "Plaintext": b64("x")})
		blob := e.text("CiphertextBlob")
		reader := w.client(vault.NewKey{Path: "/shop", Reads: true})
		d := reader.good("Decrypt", obj{"CiphertextBlob": blob})
		reader.good("DescribeKey", obj{"KeyId": k.ID})
		reader.bad("AccessDeniedException", "Encrypt", obj{"KeyId": k.ID, "Plaintext": b64("x")})
		reader.bad("AccessDeniedException", "GenerateDataKey", obj{"KeyId": k.ID, "KeySpec": "AES_256"})
		entries := w.kit.Recorded("vault.kms-used")[before:]
		if len(entries) != 3 || entries[0].ID != e.id || entries[1].ID != d.id || !strings.Contains(entries[1].Body, reader.key.ID) {
			t.Errorf("%d entries; %s %s", len(entries), e.id, d.id)
		}
		else_ := w.client(vault.NewKey{Path: "/else"})
		else_.bad("AccessDeniedException", "Decrypt", obj{"CiphertextBlob": blob})
		else_.bad("AccessDeniedException", "DescribeKey", obj{"KeyId": k.ID})
		if l := else_.good("ListKeys", obj{}); strings.Contains(l.raw, k.ID) {
			t.Error(l.raw)
		}
		if l := else_.good("ListAliases", obj{}); strings.Contains(l.raw, "alias/shop") {
			t.Error(l.raw)
		}
		green := actor.Actor{Kind: actor.Person, ID: "eli", Team: "green", TeamKind: "staff", Roles: []string{"owner"}, Via: "https", Session: "s"}
		if _, err := w.kms.Create(t.Context(), green, kms.NewKey{Alias: "alias/shop"}); err != nil { // the same name in another team
			t.Fatal(err)
		}
		if err := w.kms.Rotate(t.Context(), green, k.ID); err == nil {
			t.Error("a key of another team was renewed")
		}
		if _, err := w.kms.Create(t.Context(), operator, kms.NewKey{Alias: "alias/shop"}); err == nil {
			t.Error("one name for two keys")
		}
		engineer := actor.Actor{Kind: actor.Person, ID: "eli", Team: vault.Home, TeamKind: "staff", Roles: []string{"engineer"}, Via: "https", Session: "s"}
		if _, err := w.kms.Create(t.Context(), engineer, kms.NewKey{}); err == nil {
			t.Error("an engineer made a key")
		}
	})
}

func TestLists(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client, k kms.Key) {
		for i := range 3 {
			if _, err := w.kms.Create(t.Context(), operator, kms.NewKey{Alias: fmt.Sprintf("alias/k%d", i)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.kms.Name(t.Context(), operator, k.ID, "alias/k0"); err != nil { // it moves
			t.Fatal(err)
		}
		if l := c.good("ListAliases", obj{"KeyId": k.ID}); !strings.Contains(l.raw, `"alias/k0"`) || !strings.Contains(l.raw, `"alias/shop"`) || strings.Contains(l.raw, "alias/k1") {
			t.Error(l.raw)
		}
		for _, op := range []string{"ListKeys", "ListAliases"} {
			seen, marker := 0, ""
			for {
				in := obj{"Limit": 2}
				if marker != "" {
					in["Marker"] = marker
				}
				l := c.good(op, in)
				for _, name := range []string{"Keys", "Aliases"} {
					all, _ := l.body[name].([]any)
					seen += len(all)
				}
				if marker = l.text("NextMarker"); l.body["Truncated"] == false {
					break
				}
			}
			if seen != 4 {
				t.Errorf("%s gave %d", op, seen)
			}
			c.bad("ValidationException", op, obj{"Limit": 0})
		}
		for _, bad := range []string{"shop", "alias/", "alias/aws/x", "alias/a b", "alias/" + strings.Repeat("x", 251)} {
			if err := w.kms.Name(t.Context(), operator, k.ID, bad); err == nil {
				t.Errorf("%q is a name", bad)
			}
		}
	})
}

// A session key works with its token, for its hours.
func TestSessions(t *testing.T) { // breaks: vault.access-logged
	each(t, func(t *testing.T, w *world, _ client, k kms.Key) {
		c := w.client(vault.NewKey{Path: "/", Session: true, Life: 2 * time.Hour})
		if !strings.HasPrefix(c.key.ID, "ASIA") {
			t.Error(c.key.ID)
		}
		in := obj{"KeyId": k.ID}
		c.good("DescribeKey", in)
		bare, other, plain := c, c, w.client(vault.NewKey{Path: "/"})
		bare.key.Token = secret.Text{}
		bare.bad("UnrecognizedClientException", "DescribeKey", in)
		other.key.Token = secret.NewText("another")
		other.bad("UnrecognizedClientException", "DescribeKey", in)
		plain.key.Token = c.key.Token
		plain.bad("UnrecognizedClientException", "DescribeKey", in)
		w.kit.Clock.Advance(2 * time.Hour)
		c.bad("ExpiredTokenException", "DescribeKey", in)
		if s := c.send("sts", "", form, whoAmI); s.status != 403 || !strings.Contains(s.raw, "<Code>ExpiredToken</Code>") {
			t.Errorf("%d %s", s.status, s.raw)
		}
		for _, life := range []time.Duration{time.Second, 13 * time.Hour} {
			if _, err := w.vault.IssueKey(t.Context(), operator, vault.NewKey{Path: "/", Session: true, Life: life}); err == nil {
				t.Errorf("a session of %v", life)
			}
		}
	})
}

const (
	form   = "application/x-www-form-urlencoded; charset=utf-8"
	whoAmI = "Action=GetCallerIdentity&Version=2011-06-15"
)

// Clients that ask who they are are told, and only when they have proved it.
func TestWhoAmI(t *testing.T) { // breaks: vault.access-logged
	each(t, func(t *testing.T, w *world, c client, _ kms.Key) {
		shop := w.client(vault.NewKey{Path: "/shop", Owner: "machine/shop"}) // a service stands behind it
		for want, x := range map[string]client{"user/operator/0": c, "user/machine/shop": shop} {
			s := x.send("sts", "", form, whoAmI)
			if s.status != 200 || !strings.Contains(s.raw, "<Arn>arn:aws:iam::"+accountOf(t, c)+":"+want+"</Arn><UserId>"+x.key.ID+"</UserId><Account>"+accountOf(t, c)+"</Account>") {
				t.Errorf("%d %s", s.status, s.raw)
			}
		}
		is := func(code string, s said) {
			t.Helper()
			if !strings.Contains(s.raw, "<Code>"+code+"</Code>") || s.status < 400 {
				t.Errorf("%d %s, want %s", s.status, s.raw, code)
			}
		}
		is("InvalidAction", c.send("sts", "", form, "Action=AssumeRole"))
		is("SignatureDoesNotMatch", c.send("kms", "", form, whoAmI))
		wrong := c
		wrong.key.Secret = secret.NewText("another")
		is("SignatureDoesNotMatch", wrong.send("sts", "", form, whoAmI))
		wrong.key.ID = "AKIAABCDEFGHIJKLMNOP"
		is("InvalidClientTokenId", wrong.send("sts", "", form, whoAmI))
		if n := len(w.kit.Recorded("vault.read-refused")); n != 3 {
			t.Errorf("%d refusals are recorded", n)
		}
	})
}
