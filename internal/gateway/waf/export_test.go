package waf

import "github.com/corazawaf/coraza/v3/types"

// Whole is the engine itself, without any shortcut; seen is told each rule that matched.
func (e *Engine) Whole(r *Request, seen func(types.MatchedRule)) (Verdict, error) {
	return e.whole(r, seen)
}

// WholeAnswer is LookAt; seen is told each rule that matched.
func (e *Engine) WholeAnswer(a *Answer, seen func(types.MatchedRule)) (Verdict, error) {
	return e.answer(a, seen)
}

// Screened reports whether the screen alone lets a request through.
func (e *Engine) Screened(r *Request) bool {
	tx, done, err := e.run(e.screen(r.Level).waf, r)
	defer done()
	return err == nil && !tx.IsInterrupted()
}
