package cli

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// Every command explains itself, with an example that begins with its own words.
func TestCommandsExplainThemselves(t *testing.T) {
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, env: os.Getenv, now: time.Now, server: Server{
		Init:  func(context.Context, InitOptions) (InitResult, error) { return InitResult{}, nil },
		Serve: func(context.Context, ServeOptions) error { return nil },
		Demo:  func(context.Context, DemoOptions) error { return nil },
	}}
	seen := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		seen++
		if c.Short == "" || c.Long == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: Short %q, Long %q", c.CommandPath(), c.Short, c.Long)
		}
		if !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s: the example is %q", c.CommandPath(), c.Example)
		}
		if c.RunE == nil || c.Args == nil {
			t.Errorf("%s takes whatever it is given", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(a.root())
	if seen < 45 {
		t.Errorf("saw %d commands", seen)
	}
}
