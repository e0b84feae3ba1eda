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

func (a *app) incidentAnswer() *cobra.Command {
	return &cobra.Command{Use: "answer INCIDENT REPORT TEXT", Short: "Write to whoever reported something", Long: "Sends an answer to the address that whoever reported something gave, under the reference of the report.",
		Example: "  writ incident answer I-1 R-7K2M9QT4 \"Thank you: it is mended.\"", Args: cobra.ExactArgs(3),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.tell(c, args[0], "answers", map[string]any{"report": args[1], "text": args[2]})
		})}
}
