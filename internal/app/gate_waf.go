package app

import (
	"strconv"

	"writ/internal/gateway"
)

// WAFConf says what is done with what the rules that look for attacks find.
type WAFConf struct {
	Mode     string `yaml:"mode,omitempty"`     // off, detect or block; nothing = detect
	Paranoia int    `yaml:"paranoia,omitempty"` // 1 to 4, how much the rules suspect; nothing = 1
}

func (c WAFConf) check(bad func(key, got, want string) error) error {
	if m := c.Mode; m != "" && m != gateway.WAFOff && m != gateway.WAFDetect && m != gateway.WAFBlock {
		return bad("gateway.waf.mode", m, "off, detect or block")
	}
	if n := c.Paranoia; n < 0 || n > 4 {
		return bad("gateway.waf.paranoia", strconv.Itoa(n), "a number from 1 to 4")
	}
	return nil
}

// settings are the gate's own.
func (c WAFConf) settings() gateway.WAF {
	if c.Mode == "" {
		c.Mode = gateway.WAFDetect
	}
	return gateway.WAF{Mode: c.Mode, Paranoia: c.Paranoia}
}
