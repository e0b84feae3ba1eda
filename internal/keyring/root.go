package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/secret"
)

// RootSize is the length of a root key in bytes.
const RootSize = 32

const (
	maxRoot = 256 // bytes of root.key that are read at most
)

// rootKey turns the bytes of root.key into the key that seals KEKs. Its id is a
// keyed fingerprint, so a box tells a foreign root.key from a damaged keys.db.
func rootKey(b secret.Bytes) (envelope.Key, error) {
	base, err := envelope.NewKey("root", b)
	if err != nil {
		return envelope.Key{}, err
	}
	fingerprint := base.MAC("writ/keyring/root/1")
	return envelope.NewKey("root-"+hex.EncodeToString(fingerprint[:8]), base.Derive("writ/keyring/kek/1"))
}

// ReadRoot reads a file with a root key, such as root.key. Every failure is fault.Sealed and names the file; none
// repeats a byte of its content.
func ReadRoot(path string) (secret.Bytes, error) { return ReadRootWithin(path, 0o700) }

// ReadRootWithin is ReadRoot of a file that may have these permissions and no others.
func ReadRootWithin(path string, most fs.FileMode) (secret.Bytes, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return secret.Bytes{}, sealed("root_missing", path+" is missing.", "It must hold the root key this server was set up with.",
			"Put the file back from where the root key is kept, then start again.", err)
	}
	if err != nil {
		return secret.Bytes{}, sealed("root_unreadable", path+" cannot be read.", "The server's own account must be able to read it.",
			"Correct its owner and permissions (0400).", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return secret.Bytes{}, sealed("root_unreadable", path+" cannot be examined.", "", "Look at the file system.", err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&^most != 0 {
		return secret.Bytes{}, sealed("root_exposed", fmt.Sprintf("%s has mode %v: others than its owner may use it.", path, info.Mode()),
			"It must be a regular file that only its owner can read (0400).",
			"If nobody else can have read it, run chmod 400 "+path+"; otherwise replace the root key.", nil)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxRoot+1))
	defer clear(text)
	if err != nil {
		return secret.Bytes{}, sealed("root_unreadable", path+" cannot be read.", "", "Look at the file system.", err)
	}
	b, ok := ParseRoot(text)
	if !ok {
		return secret.Bytes{}, sealed("root_malformed", path+" does not hold a root key.", "It must hold 32 bytes in base64, and nothing else.",
			"Put the file back from where the root key is kept.", nil)
	}
	return b, nil
}

// ParseRoot reads 32 bytes of padded base64 between white space. It says nothing
// about why it refuses: an error text could repeat a part of the key.
func ParseRoot(text []byte) (secret.Bytes, bool) {
	if len(text) > maxRoot {
		return secret.Bytes{}, false
	}
	text = bytes.TrimSpace(text)
	if len(text) != base64.StdEncoding.EncodedLen(RootSize) {
		return secret.Bytes{}, false
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	defer clear(out)
	n, err := base64.StdEncoding.Strict().Decode(out, text)
	if err != nil || n != RootSize {
		return secret.Bytes{}, false
	}
	return secret.NewBytes(out[:n]), true
}

// writeRoot makes root.key and returns its key bytes. It never replaces a file.
func writeRoot(path string) (secret.Bytes, error) {
	b := secret.Random(RootSize)
	text := append(base64.StdEncoding.AppendEncode(nil, b.Reveal()), '\n')
	defer clear(text)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if errors.Is(err, fs.ErrExist) {
		return secret.Bytes{}, exists(path)
	}
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("create %s: %w", path, err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close(), syncFolder(filepath.Dir(path))); err != nil {
		return secret.Bytes{}, errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(path))
	}
	return b, nil
}

// syncFolder makes a new name in the folder durable.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func exists(what string) error {
	return fault.New(fault.Conflict, "keys_exist", fault.Public{
		Problem:  what + " exists already; nothing was changed.",
		Expected: "New keys are made only where there are none: data sealed under the old ones would be lost.",
		Next:     "Use the existing keys, or choose another folder or database.",
	})
}

func sealed(code, problem, expected, next string, cause error) error {
	return &fault.Error{Kind: fault.Sealed, Code: code, Err: cause,
		Public: fault.Public{Problem: problem, Expected: expected, Next: next}}
}
