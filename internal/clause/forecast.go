package clause

import (
	"context"
	"time"
)

// Forecaster is a module that can say what its rules would do to the people and things
// that are there if they were others. Slots of modules that cannot are left alone.
type Forecaster interface {
	// Forecast compares what holds now with next, and writes nothing. For each parameter
	// that differs and that it can judge it gives a line, also when nobody is touched: a
	// parameter in no line was not looked at. An error means that nothing is known.
	Forecast(ctx context.Context, next Values) ([]Effect, error)
}

// Effect is one line of a forecast. It is made of verdicts, times and counts; it names
// nobody, because whoever may read a proposal may read it.
type Effect struct {
	Params []string      // clause-id/parameter: whose change brings it about
	Count  int64         // of the people or things it is about; 0 = looked at, and none is touched
	Says   string        // one sentence without full stop, with the count in it
	Within time.Duration // what they are given from the moment the values hold, once and never again, as Says tells; 0 = at once
}
