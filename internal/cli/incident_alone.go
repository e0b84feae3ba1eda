package cli

import (
	"time"

	"github.com/spf13/cobra"
)

func (a *app) incidentAlone() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "alone INCIDENT GUARD", Short: "Bring lost data back where nobody else answers", Long: "Asks all others for a second person. When none of them has acted in the incident for as long as the policy says, the same\ncommand passes the guard for one person alone: what two may let pass, the plan that you have signed, or what you recorded\nby hand. It shows as done alone, and is an exception. The policy allows it to nobody unless its owners decide otherwise.",
		Example: "  writ incident alone I-1 plan-signed --reason \"nobody answers, and customers wait\" --as ben@example.com", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "alone", map[string]any{"guard": args[1], "reason": reason})
		})}
	c.Flags().StringVar(&reason, "reason", "", "why")
	return c
}

// incidentPassed is what people let pass in this round, or one alone, or want to.
type incidentPassed struct {
	Waivers []struct {
		Region, Guard, Reason string
		Asked                 string `json:"asked_by"`
		Agreed                string `json:"agreed_by"`
	}
	Alone []struct {
		Guard, Person, Reason string
		From                  *time.Time `json:"may_pass_from"`
		Answerer              string     `json:"answered_by"`
		Passed                *time.Time `json:"passed_alone"`
	}
}

func (a *app) sayPassed(p incidentPassed) {
	for _, w := range p.Waivers {
		if w.Agreed == "" {
			a.say("%s %s is to pass, says %s: %s A second person is wanted.", w.Region, w.Guard, visible(w.Asked), visible(w.Reason))
			continue
		}
		a.say("exception: %s and %s let %s %s pass: %s", visible(w.Asked), visible(w.Agreed), w.Region, w.Guard, visible(w.Reason))
	}
	for _, x := range p.Alone {
		switch {
		case x.Passed != nil:
			a.say("exception: %s passed %s alone on %s: %s", visible(x.Person), x.Guard, a.when(*x.Passed), visible(x.Reason))
		case x.Answerer != "":
			a.say("%s wants a second person for %s, and %s has answered", visible(x.Person), x.Guard, visible(x.Answerer))
		case x.From != nil:
			a.say("%s wants a second person for %s, and may pass it alone from %s on", visible(x.Person), x.Guard, a.when(*x.From))
		}
	}
}
