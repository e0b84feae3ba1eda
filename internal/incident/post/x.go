package post

import (
	"context"
	"net/http"
	"net/url"
)

// tweets posts by POST /2/tweets with a token of the account (OAuth 2, user context). It has no
// key that makes a second post the first one, and reading one's posts is sold apart: what was
// not heard is unknown.
type tweets struct{ caller }

// weight is what a character counts there: two, but for Latin and the like.
func weight(r rune) int {
	if r <= 4351 || r >= 8192 && r <= 8205 || r >= 8208 && r <= 8223 || r >= 8242 && r <= 8247 {
		return 1
	}
	return 2
}

// Send implements Sender.
func (t *tweets) Send(ctx context.Context, m Message) Outcome {
	count, _ := measureOf(X, m.Link)
	in := map[string]any{"text": count.cut(m.Text, m.Link)}
	if m.Replies != nil {
		in["reply"] = map[string]string{"in_reply_to_tweet_id": m.Replies.ID}
	}
	a := t.call(ctx, http.MethodPost, "/2/tweets", t.account.Secret.Reveal(), in, nil)
	out := a.outcome(t.now())
	var x struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if a.read(&x) == nil && x.Data.ID != "" {
		out.State, out.Receipt = Posted, Receipt{ID: x.Data.ID, URL: "https://x.com/i/web/status/" + url.PathEscape(x.Data.ID)}
	}
	return out
}

// Find implements Sender.
func (t *tweets) Find(context.Context, Message) (Receipt, bool, error) {
	return Receipt{}, false, ErrBlind
}
