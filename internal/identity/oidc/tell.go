package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/secret"
)

const tellJob = "identity.oidc-logout"

// told is the work of telling one client (OpenID Connect Back-Channel Logout 1.0).
type told struct {
	Client string `json:"c"`
	SID    string `json:"s"`
	Person string `json:"p"`
}

// TellEnded queues the logout of every client that knew a session that has ended since.
// Run calls it four times a second.
func (s *Service) TellEnded(ctx context.Context) error {
	type one struct {
		told
		session, back string
	}
	bySession := map[string][]one{}
	err := s.DB.Each(ctx, endedLogins, func(scan ledger.Scan) error {
		var o one
		if err := scan(&o.SID, &o.session, &o.Client, &o.Person, &o.back); err != nil {
			return err
		}
		bySession[o.session] = append(bySession[o.session], o)
		return nil
	})
	if err != nil {
		return fmt.Errorf("find ended sessions of clients: %w", err)
	}
	for session, all := range bySession {
		var work []jobs.Job
		ev := ClientsTold{Session: session}
		for _, o := range all {
			ev.Clients = append(ev.Clients, o.Client)
			if o.back == "" {
				continue
			}
			b, err := json.Marshal(o.told)
			if err != nil {
				return err
			}
			job, err := s.Jobs.Prepare(ctx, tellJob, b)
			if err != nil {
				return fmt.Errorf("prepare logout of client: %w", err)
			}
			work = append(work, job)
		}
		_, err := s.DB.Change(ctx, actor.System("identity-oidc"), func(tx *ledger.Tx) (ledger.Event, error) {
			for _, o := range all {
				n, err := tx.Exec(ctx, setTold, o.SID, us(tx.Now()))
				if err == nil && n == 0 {
					err = errTold
				}
				if err != nil {
					return nil, err
				}
			}
			for _, job := range work {
				if err := s.Jobs.Enqueue(ctx, tx, job); err != nil {
					return nil, err
				}
			}
			return ev, nil
		})
		if err != nil && !errors.Is(err, errTold) {
			return fmt.Errorf("queue logout of clients: %w", err)
		}
		s.Jobs.Nudge()
	}
	return nil
}

var errTold = errors.New("another node was faster")

type logoutToken struct {
	Issuer   string                    `json:"iss"`
	Subject  string                    `json:"sub"`
	Audience string                    `json:"aud"`
	Issued   int64                     `json:"iat"`
	Expires  int64                     `json:"exp"`
	ID       string                    `json:"jti"`
	Events   map[string]map[string]any `json:"events"`
	SID      string                    `json:"sid"`
}

// logoutEvent is the one member of events.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// tell sends one logout token, three times if need be. What stays unheard is recorded.
func (s *Service) tell(ctx context.Context, payload secret.Bytes) error {
	var t told
	if err := json.Unmarshal(payload.Reveal(), &t); err != nil {
		return fmt.Errorf("read logout of client: %w", err)
	}
	c, err := s.client(ctx, t.Client)
	if errors.Is(err, fault.NotFound) || err == nil && c.Back == "" {
		return nil
	}
	if err != nil {
		return err
	}
	cause := ""
	for try := range 3 {
		if try > 0 {
			if err := pause(ctx, time.Duration(try)*time.Second); err != nil {
				return err
			}
		}
		now := s.Now()
		token, err := s.sign(ctx, c.Alg, "logout+jwt", logoutToken{Issuer: s.Origin, Subject: t.Person, Audience: c.ID, Issued: now.Unix(), Expires: now.Add(logoutLife).Unix(),
			ID: randomID(), Events: map[string]map[string]any{logoutEvent: {}}, SID: t.SID})
		if err != nil {
			return err
		}
		if cause = s.post(ctx, c.Back, token); cause == "" {
			return nil
		}
	}
	_, err = s.DB.Change(ctx, actor.System("identity-oidc"), func(*ledger.Tx) (ledger.Event, error) {
		return BackchannelLogoutFailed{Client: c.ID, SID: t.SID, Cause: cause}, nil
	})
	return err
}

// post sends a logout token and says what was wrong, or "".
func (s *Service) post(ctx context.Context, to, token string) string {
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	if err != nil {
		return "address"
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := s.send.Do(r)
	if err != nil {
		return "unreachable"
	}
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return "unreachable"
	}
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNoContent {
		return strconv.Itoa(res.StatusCode)
	}
	return ""
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

const (
	endedLogins = `SELECT l.sid, l.session, l.client, l.person, c.back FROM identity_oidc_login l
		JOIN identity_session s ON s.id = l.session JOIN identity_oidc_client c ON c.id = l.client
		WHERE l.told IS NULL AND s.ended IS NOT NULL ORDER BY l.created LIMIT 200`
	setTold = `UPDATE identity_oidc_login SET told = $2 WHERE sid = $1 AND told IS NULL`
)
