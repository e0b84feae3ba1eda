package aws

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"writ/internal/canary"
	"writ/internal/secret"
	"writ/internal/vault/sigv4"
)

// whoAmI is the call that every access key may make, and that reads nothing.
const whoAmI = "Action=GetCallerIdentity&Version=2011-06-15"

// credentials are the refusals that are about the key: another one says nothing of it.
var credentials = regexp.MustCompile(`<Code>(InvalidClientTokenId|SignatureDoesNotMatch)</Code>`)

// Knock tries an access key at the public door, as a client does that asks who it is. It
// gives the code of the refusal, "" where the key was let in; an error where no answer came
// that says which.
func Knock(ctx context.Context, door *canary.Door, now time.Time, id string, key secret.Text) (string, error) {
	v := door.Visitor()
	defer v.Close()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, v.Base+Base, strings.NewReader(whoAmI))
	if err != nil {
		return "", fmt.Errorf("knock with an access key: %w", err)
	}
	r.Header.Set("Content-Type", form)
	r.Header.Set("X-Amz-Date", now.UTC().Format("20060102T150405Z"))
	r.Host = r.URL.Host
	c := sigv4.Credential{KeyID: id, Day: now.UTC().Format("20060102"), Region: "writ", Service: sts}
	if err := sigv4.Sign(r, []string{"content-type", "host", "x-amz-date"}, sha256.Sum256([]byte(whoAmI)), c, key); err != nil {
		return "", fmt.Errorf("sign with an access key: %w", err)
	}
	a, err := v.Send(r)
	if err != nil {
		return "", err
	}
	m := credentials.FindStringSubmatch(a.Body)
	switch {
	case a.Status == http.StatusOK && m == nil:
		return "", nil
	case a.Status == http.StatusForbidden && m != nil:
		return m[1], nil
	}
	return "", fmt.Errorf("knock with an access key: the door answered %d", a.Status)
}
