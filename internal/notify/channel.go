package notify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// The kinds of channel.
const (
	Mail    = "mail"
	Webhook = "webhook"
	Slack   = "slack" // and what speaks like it
	File    = "file"  // a folder of the machine, to try things out
)

// Channel is a way by which people are told. The one of kind mail is always there, under
// that name.
type Channel struct {
	ID       string
	Name     string
	Kind     string
	Made     time.Time
	MadeBy   string    // kind/id
	Tested   time.Time // when the last test was queued
	Accepted time.Time // when the last test was taken
}

// channel is one with what opens it.
type channel struct {
	Channel
	url    secret.Text
	secret secret.Bytes
}

var kinds = []string{Webhook, Slack, Teams, PagerDuty, Ntfy, Gotify, Telegram, Matrix, Signal, GoogleChat, Opsgenie, Pushover, Zulip, Command, File}

// Kinds are the kinds of channel that there may be here.
func (s *Service) Kinds() []string {
	return slices.DeleteFunc(slices.Clone(kinds), func(k string) bool { return k == File && s.Folder == "" || k == Command && len(s.Commands) == 0 })
}

var channelKey = keyring.Class("notify.channel")

// opener is what lies in the box of a channel.
type opener struct {
	URL    string `json:"url"`
	Secret []byte `json:"secret"`
}

var goodChannel = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

const (
	mostChannels = 50
	mostURL      = 2000
	secretMark   = "whsec_"
)

// AddChannel makes a channel; who may is the caller's question. The secret that signs a
// webhook comes back once.
func (s *Service) AddChannel(ctx context.Context, who actor.Actor, name, kind string, address secret.Text) (Channel, secret.Text, error) {
	bad := func(field, problem, want string) error {
		return fault.New(fault.Invalid, "channel_"+field, fault.Public{Problem: problem, Expected: want, Fields: []fault.Field{{Name: field, Code: "channel_" + field, Problem: want}}})
	}
	switch {
	case !goodChannel.MatchString(name) || name == Mail:
		return Channel{}, secret.Text{}, bad("name", "A channel cannot have this name.", "Small letters, digits and hyphens, at most 40, and not mail.")
	case !slices.Contains(s.Kinds(), kind):
		return Channel{}, secret.Text{}, bad("kind", "There is no such kind of channel here.", strings.Join(s.Kinds(), ", ")+". command where writ.yaml names some.")
	}
	o := opener{}
	if kind != File {
		var want string
		if o, want = s.readOpener(kind, address); want != "" {
			return Channel{}, secret.Text{}, bad("url", "The address of the channel is not good.", want)
		}
	}
	c := Channel{ID: s.DB.ID(), Name: name, Kind: kind, MadeBy: who.String()}
	var key secret.Bytes
	if kind == Webhook {
		key = secret.Random(32)
		o.Secret = key.Reveal()
	}
	b, err := json.Marshal(o)
	if err != nil {
		return Channel{}, secret.Text{}, fmt.Errorf("encode a channel: %w", err)
	}
	k, err := s.Keys.Ensure(ctx, channelKey)
	if err != nil {
		return Channel{}, secret.Text{}, fmt.Errorf("key of channels: %w", err)
	}
	box := k.Seal(b, place("notify_channel", c.ID))
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		c.Made = tx.Now()
		var n int64
		if err := ledger.One(ctx, tx, `SELECT count(*) FROM notify_channel`, []any{&n}); err != nil {
			return nil, err
		}
		if n >= mostChannels {
			return nil, fault.Newf(fault.Limited, "channels_full", "There are %d channels already.", n)
		}
		_, err := tx.Exec(ctx, insertChannel, c.ID, name, kind, box, us(tx.Now()), c.MadeBy)
		return ChannelAdded{Channel: name, Kind: kind}, err
	})
	if errors.Is(err, fault.Conflict) {
		return Channel{}, secret.Text{}, fault.New(fault.Conflict, "channel_exists", fault.Public{Problem: "There is a channel of this name already.", Next: "Choose another name, or remove that one first."})
	}
	if err != nil {
		return Channel{}, secret.Text{}, err //nolint:wrapcheck // the ledger says what failed
	}
	if kind != Webhook {
		return c, secret.Text{}, nil
	}
	return c, secret.NewText(secretMark + base64.StdEncoding.EncodeToString(key.Reveal())), nil
}

// goodURL says what is expected of an address that is not good.
func (s *Service) goodURL(v string) string {
	u, err := url.Parse(v)
	switch {
	case err != nil || len(v) > mostURL || u.Hostname() == "" || u.User != nil || strings.ContainsAny(v, "\r\n\x00"):
		return "A URL such as https://hooks.example.com/…, without a user."
	case u.Scheme != "https" && (u.Scheme != "http" || len(s.Allow) == 0): // what is inside may be plain; which address that is, is asked when it is dialled
		return "A URL that begins with https://."
	}
	return ""
}

// RemoveChannel ends a channel. What waits for it is rejected when its time comes.
func (s *Service) RemoveChannel(ctx context.Context, who actor.Actor, name string) error {
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, `DELETE FROM notify_channel WHERE name = $1`, name)
		if err == nil && n == 0 || name == Mail {
			err = noChannel()
		}
		return ChannelRemoved{Channel: name}, err
	})
	return err //nolint:wrapcheck // the ledger says what failed
}

func noChannel() error {
	return fault.New(fault.NotFound, "channel_unknown", fault.Public{Problem: "There is no such channel.", Next: "Look at: writ watch channels"})
}

// Channels lists all, mail first, then by name.
func (s *Service) Channels(ctx context.Context) ([]Channel, error) {
	out := []Channel{{Name: Mail, Kind: Mail}}
	err := s.DB.Each(ctx, listChannels, func(scan ledger.Scan) error {
		c := Channel{}
		var made, tested, accepted int64
		if err := scan(&c.ID, &c.Name, &c.Kind, &made, &c.MadeBy, &tested, &accepted); err != nil {
			return err
		}
		c.Made, c.Tested, c.Accepted = at(made), at(tested), at(accepted)
		if c.Name == Mail {
			out[0] = c
			return nil
		}
		out = append(out, c)
		return nil
	})
	return out, err //nolint:wrapcheck // the ledger says what failed
}

// channel opens one by its name; fault.NotFound when it was removed.
func (s *Service) channel(ctx context.Context, name string) (*channel, error) {
	if name == Mail {
		return &channel{Channel: Channel{Name: Mail, Kind: Mail}}, nil
	}
	c := &channel{Channel: Channel{Name: name}}
	var box []byte
	if err := ledger.One(ctx, s.DB, `SELECT id, kind, box FROM notify_channel WHERE name = $1`, []any{&c.ID, &c.Kind, &box}, name); err != nil {
		return nil, err //nolint:wrapcheck // the ledger says what failed
	}
	b, err := s.open(ctx, box, place("notify_channel", c.ID))
	if err != nil {
		return nil, err
	}
	var o opener
	if err := json.Unmarshal(b.Reveal(), &o); err != nil {
		return nil, errors.New("read a channel: its box holds something else")
	}
	c.url, c.secret = secret.NewText(o.URL), secret.NewBytes(o.Secret)
	return c, nil
}

func us(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func at(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

const (
	insertChannel = `INSERT INTO notify_channel (id, name, kind, box, made, made_by, tested, accepted) VALUES ($1, $2, $3, $4, $5, $6, 0, 0)`
	listChannels  = `SELECT id, name, kind, made, made_by, tested, accepted FROM notify_channel ORDER BY name`
)
