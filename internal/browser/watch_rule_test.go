package browser

// ownRule is a rule of one's own that was tested and waits for a second person.
const ownRule = "7d3b0b3e-0c0f-4a53-9d6e-1f5d0a3c9e01"

func (f *fillings) ownRule(emil *signer) {
	text := `title: A parameter of the shop was written
id: ` + ownRule + `
description: Somebody wrote a value below /shop.
logsource: {product: writ, service: vault}
level: medium
falsepositives: [a release]
detection:
  written: {writ.event: vault.param-put}
  robots: {writ.kind: machine}
  condition: written and not robots
`
	emil.call("POST", "watch/own", obj{"text": text}, nil)
	emil.call("POST", "watch/own/test", obj{"text": text, "hours": 720}, nil)
}
