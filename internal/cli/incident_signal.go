package cli

import "github.com/spf13/cobra"

func (a *app) incidentSplit() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "split INCIDENT SIGNAL", Short: "Make what told of it an incident of its own", Long: "Takes something that told of an incident, such as an alarm, out of it: it is another matter, and begins an incident of its own.",
		Example: "  writ incident split I-1 alarm/01JD8Q --reason \"another disk\"", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "split", map[string]any{"signal": args[1], "reason": reason})
		})}
	c.Flags().StringVar(&reason, "reason", "", "why")
	return c
}
