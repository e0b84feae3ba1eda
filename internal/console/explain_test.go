package console_test

import "testing"

// The page says what the gate would do, and by which step.
func TestExplainPage(t *testing.T) {
	w := newWorld(t)
	w.get("ana", "/-/console/gate/explain").want(200, "Say which request you mean", "Or token scopes", "Explain")
	w.get("ana", "/-/console/gate/explain?path=%2Forders&as=stranger").want(200, "is refused at the step allow, with 401", "401 sign_in_needed", "not reached")
	w.get("ana", "/-/console/gate/explain?path=%2Forders&as=member&method=GET").want(200, "would be let through", "Somebody with the roles member")
	w.get("ana", "/-/console/gate/explain?path=%2Forders&scopes=orders:read").want(200, "403 scope")
	w.get("ana", "/-/console/gate/explain?path=orders").want(422, "That is no path.")
	w.get("ana", "/-/console/gate/explain?path=%2Fx&as=member&scopes=a:b").want(422, "More than one caller")
	w.get("ana", "/-/console/gate").want(200, "Why a request passes or not", "12000/m an address")
}
