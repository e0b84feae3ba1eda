package app

import (
	"errors"
	"reflect"
	"testing"

	"writ/internal/fault"
)

// Where entries go is checked before the start: by TLS or to a folder, each name once, and
// no password in an address.
func TestExportIsChecked(t *testing.T) {
	siem := ExportTo{Name: "siem", Kind: "syslog", Address: "logs.example.com:6514", CA: "ca.pem", Cert: "c.pem", Key: "k.pem"}
	for name, c := range map[string][]ExportTo{
		"no name":                 {{Kind: "ocsf", Folder: "x"}},
		"twice":                   {siem, siem},
		"another kind":            {{Name: "a", Kind: "udp", Address: "logs.example.com:514"}},
		"syslog without a port":   {{Name: "a", Kind: "syslog", Address: "logs.example.com"}},
		"half a pair":             {{Name: "a", Kind: "syslog", Address: "logs.example.com:6514", Cert: "c.pem"}},
		"a token of syslog":       {{Name: "a", Kind: "syslog", Address: "logs.example.com:6514", Token: "t"}},
		"no address":              {{Name: "a", Kind: "otlp"}},
		"a password":              {{Name: "a", Kind: "otlp", Address: "https://u:p@otel.example.com"}},
		"a query":                 {{Name: "a", Kind: "otlp", Address: "https://otel.example.com/?key=1"}},
		"a token in clear":        {{Name: "a", Kind: "otlp", Address: "http://otel.example.com:4318", Token: "t"}},
		"no folder":               {{Name: "a", Kind: "ocsf"}},
		"a folder and an address": {{Name: "a", Kind: "ocsf", Folder: "x", Address: "logs.example.com:1"}},
	} {
		s := settings("Example")
		if s.Export.To = c; !errors.Is(s.check("test"), fault.Invalid) {
			t.Errorf("%s was taken", name)
		}
	}
	s, dir := settings("Example"), t.TempDir()
	s.Export.To = []ExportTo{siem, {Name: "otel", Kind: "otlp", Address: "https://otel.example.com:4318", Token: "otel.token"}, {Name: "lake", Kind: "ocsf", Folder: "exports"}}
	if err := s.check("test"); err != nil {
		t.Fatal(err)
	}
	if err := s.write(dir); err != nil {
		t.Fatal(err)
	}
	if back, err := ReadConfig(dir); err != nil || !reflect.DeepEqual(back.Export, s.Export) {
		t.Errorf("%+v %v", back.Export, err)
	}
}
