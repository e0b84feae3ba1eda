package unseal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"writ/internal/keyring"
	"writ/internal/secret"
	"writ/internal/vault/sigv4"
)

// KMSConfig says which service decrypts the root key.
type KMSConfig struct {
	Endpoint   string `yaml:"endpoint,omitempty"`    // https://kms.eu-central-1.amazonaws.com, or another of that wire
	Region     string `yaml:"region,omitempty"`      // of the signature
	Key        string `yaml:"key,omitempty"`         // the key's id; "" = the blob names it
	Blob       string `yaml:"blob,omitempty"`        // file with the encrypted root key, in base64; in the folder or absolute
	AccessKey  string `yaml:"access_key,omitempty"`  // id of the access key
	SecretFile string `yaml:"secret_file,omitempty"` // file with its secret
}

func (k KMSConfig) check() (key, got, want string) {
	u, err := url.Parse(k.Endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return "vault.unseal.kms.endpoint", k.Endpoint, "an https:// address of the service"
	case k.Region == "":
		return "vault.unseal.kms.region", k.Region, "the region of the key"
	case k.Blob == "":
		return "vault.unseal.kms.blob", k.Blob, "the file with the encrypted root key"
	case k.AccessKey == "":
		return "vault.unseal.kms.access_key", k.AccessKey, "the id of an access key"
	case k.SecretFile == "":
		return "vault.unseal.kms.secret_file", k.SecretFile, "the file with the secret of the access key"
	}
	return "", "", ""
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Signer is the clock of signatures, and how a request is sent.
type Signer struct {
	Now  func() time.Time
	Send func(*http.Request) (*http.Response, error)
}

const (
	maxFile   = 16 << 10
	maxAnswer = 64 << 10
	context0  = "root-key" // the encryption context: {"writ": "root-key"}
)

// signed are the headers that are signed; the service reads no others.
var signed = []string{"content-type", "host", "x-amz-date", "x-amz-target"}

// kms asks the service for the root key.
func (s *Source) kms(ctx context.Context) (secret.Bytes, error) {
	blob, err := s.text(s.c.KMS.Blob)
	if err != nil {
		return secret.Bytes{}, err
	}
	key, err := s.text(s.c.KMS.SecretFile)
	if err != nil {
		return secret.Bytes{}, err
	}
	in := map[string]any{"CiphertextBlob": blob.Reveal(), "EncryptionContext": map[string]string{"writ": context0}}
	if s.c.KMS.Key != "" {
		in["KeyId"] = s.c.KMS.Key
	}
	body, err := json.Marshal(in)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("ask the key management service: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(s.c.KMS.Endpoint, "/")+"/", bytes.NewReader(body))
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("ask the key management service: %w", err)
	}
	now := s.sign.Now().UTC()
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "TrentService.Decrypt")
	r.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	who := sigv4.Credential{KeyID: s.c.KMS.AccessKey, Day: now.Format("20060102"), Region: s.c.KMS.Region, Service: "kms"}
	if err := sigv4.Sign(r, signed, sha256.Sum256(body), who, key); err != nil {
		return secret.Bytes{}, fmt.Errorf("sign for the key management service: %w", err)
	}
	return s.answer(r)
}

// answer sends the request and reads the key in the answer. What the service says of a
// refusal is repeated as far as its code goes.
func (s *Source) answer(r *http.Request) (secret.Bytes, error) {
	resp, err := s.sign.Send(r)
	if err != nil {
		return secret.Bytes{}, sealed("kms_away", "The key management service did not answer: "+bare(err)+".", "", "See that it can be reached from here, then start again.")
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	defer clear(b)
	if err != nil {
		return secret.Bytes{}, sealed("kms_away", "The key management service broke off its answer.", "", "Start again.")
	}
	var out struct {
		Plaintext []byte
		Type      string `json:"__type"`
	}
	if json.Unmarshal(b, &out) != nil || resp.StatusCode != http.StatusOK {
		_, code, found := strings.Cut(out.Type, "#")
		if !found {
			code = out.Type
		}
		return secret.Bytes{}, sealed("kms_refused", fmt.Sprintf("The key management service refused to decrypt the root key (%d %s).", resp.StatusCode, code), "An access key that may decrypt with the key of the blob.", "Look at the service's own log.")
	}
	defer clear(out.Plaintext)
	if len(out.Plaintext) != keyring.RootSize {
		return secret.Bytes{}, sealed("root_malformed", "What the key management service decrypted is no root key.", "32 bytes.", "Encrypt the decoded content of root.key.")
	}
	return secret.NewBytes(out.Plaintext), nil
}

// bare is an error of sending without the address.
func bare(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return err.Error()
}

func (s *Source) text(name string) (secret.Text, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(s.dir, name)
	}
	i, err := os.Stat(name)
	if err == nil && i.Mode().Perm()&0o077 != 0 {
		return secret.Text{}, sealed("root_exposed", name+" can be read by others.", "Mode 0400.", "chmod 400 "+name)
	}
	b, err := os.ReadFile(name)
	if err != nil || len(b) > maxFile {
		return secret.Text{}, sealed("root_missing", name+" cannot be read, or is too long.", "A file of the server's own.", "Put it there (0400).")
	}
	return secret.NewText(strings.TrimSpace(string(b))), nil
}
