package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/sshsig"
)

// namespace is what a policy signature is made for: ssh-keygen -Y sign -n writ-policy.
const namespace = "writ-policy"

// signer opens a private key file; its passphrase is asked on the terminal. The key
// stays in this process.
func (a *app) signer(file string) (sshsig.Signer, error) {
	b, err := a.readFile(file, 64<<10)
	if err != nil {
		return sshsig.Signer{}, err
	}
	key := secret.NewBytes(b)
	clear(b)
	defer key.Wipe()
	s, err := sshsig.NewSigner(key.Reveal(), nil)
	if !errors.Is(err, fault.Unauthenticated) {
		return s, err
	}
	phrase, err := a.ask("Passphrase of "+file+": ", "Use a terminal, or sign with: ssh-keygen -Y sign -n "+namespace)
	if err != nil {
		return sshsig.Signer{}, err
	}
	s, err = sshsig.NewSigner(key.Reveal(), []byte(phrase.Reveal()))
	if err != nil {
		return s, errors.New("the passphrase does not open " + file)
	}
	return s, nil
}

// signature signs a text after checking that it says what was asked for: the machine at
// the other end must not get a signature over something else.
func signature(s sshsig.Signer, text, head string, says map[string]string) (string, error) { // clause: gov.signed-dated
	body, ok := strings.CutPrefix(text, head+"\n")
	var got map[string]any
	if !ok || json.Unmarshal([]byte(body), &got) != nil {
		return "", &exit{exitNo, fmt.Errorf("the server's text to sign is no %s. It was not signed", head)}
	}
	for name, want := range says {
		if have, _ := got[name].(string); have != want {
			return "", &exit{exitNo, fmt.Errorf("the server's text to sign says %s %q, expected %q. It was not signed", name, have, want)}
		}
	}
	armored, err := s.Sign(namespace, []byte(text))
	if err != nil {
		return "", err
	}
	return string(armored), nil
}

// publicKey is a registered key on the wire.
type publicKey struct {
	Fingerprint string `json:"fingerprint"`
	Handle      string `json:"handle"`
	PublicKey   string `json:"public_key"`
	Registered  string `json:"registered"`
	Revoked     string `json:"revoked"`
}

// handleOf finds whose key it is, and registers it first when it is new and a person is
// signed in.
func (a *app) handleOf(ctx context.Context, conn *client, s sshsig.Signer) (string, error) {
	keys, err := listKeys(ctx, conn)
	if err != nil {
		return "", err
	}
	fingerprint := s.Key().Fingerprint()
	for _, k := range keys {
		switch {
		case k.Fingerprint != fingerprint:
		case k.Revoked != "":
			return "", fmt.Errorf("the key %s of %s was revoked. Sign with another key", fingerprint, k.Handle)
		default:
			return k.Handle, nil
		}
	}
	if a.as == "" {
		return "", fmt.Errorf("the key %s is not registered. Its owner registers it by signing in: --as EMAIL", fingerprint)
	}
	k, _, err := a.register(ctx, conn, s)
	return k.Handle, err
}
