// Command writ runs and asks the server that keeps a company's security policy. What
// it can do is in internal/cli; what the server is made of is in internal/app.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"writ/internal/app"
	"writ/internal/cli"
	"writ/internal/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, cli.Server{
		Init: app.Init, Serve: app.Serve, Demo: demo.Run, RestoreKeys: app.RestoreKeys, CheckSet: app.CheckSet, AskRule: app.AskRule, Version: app.Version,
	})
	stop()
	os.Exit(code)
}
