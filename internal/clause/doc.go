// Package clause is what a module and the policy agree on: typed parameter
// values, the running rules decoded from them, and the controls that check a
// clause. It is ground: no clock of its own, no I/O, no SQL.
//
// A module declares
//
//	type Rules struct {
//		ResetTTL time.Duration `clause:"auth.reset-link-lifetime/ttl"`
//	}
//
// holds a *Live[Rules], and reads Get() at each use, never a copy kept from
// start-up. The policy decodes every module's Rules from the revision in force
// and sets them in one step; Live keeps a timeline, so an effective date or the
// end of an exception takes hold by the clock alone, with no job that could be late.
//
//	revision ─┐
//	          ├─► []Period{From, Values} ─► Slot.Check (all) ─► Slot.Set (all) ─► Live.Get
//	exception ┘
//
// A module that is a Forecaster says what other values would do to the people and things
// that are there, before owners sign them.
//
// Threats: a value that the text shows but the code does not obey (a parameter
// without a field, a field without a parameter: both are refused at start); a
// half-adopted revision (all slots are checked before the first is set).
package clause
