package passkey_test

import (
	"reflect"
	"strings"
	"testing"

	"writ/internal/identity/passkey"
)

// written is a record of version 1. It must be read for ever.
const written = `{"v":1,"id":"aWQ=","key":"a2V5","handle":"` + handle + `","flags":93,"count":7,"aaguid":"AAECAwQFBgcICQoLDA0ODw==","transports":["hybrid","internal"],"attachment":"platform","format":"none"}`

const handle = "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eA=="

func TestRecordIsReadForEver(t *testing.T) {
	r, err := passkey.ReadRecord([]byte(written))
	if err != nil {
		t.Fatal(err)
	}
	want := passkey.Record{ID: []byte("id"), Key: []byte("key"), Handle: []byte(strings.Repeat("x", 64)), Flags: 93, Count: 7,
		AAGUID: [16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, Transports: []string{"hybrid", "internal"}, Attachment: "platform", Format: "none"}
	if !reflect.DeepEqual(r, want) || !r.BackupEligible() || !r.BackedUp() {
		t.Errorf("got %+v", r)
	}
	if b, err := r.Bytes(); err != nil || string(b) != written {
		t.Errorf("written again it is %s, %v", b, err)
	}
}

func TestRecordRefuses(t *testing.T) {
	for name, change := range map[string][2]string{
		"a later version":      {`"v":1`, `"v":2`},
		"an unknown member":    {`"v":1`, `"v":1,"more":1`},
		"no id":                {`"aWQ="`, `""`},
		"a short handle":       {handle, "eHh4"},
		"a short AAGUID":       {`AAECAwQFBgcICQoLDA0ODw==`, `AAEC`},
		"an unknown transport": {`"hybrid"`, `"pigeon"`},
		"something behind it":  {`"none"}`, `"none"} 1`},
		"too much":             {`"none"}`, `"none"}` + strings.Repeat(" ", 8<<10)},
	} {
		text := strings.Replace(written, change[0], change[1], 1)
		if text == written {
			t.Fatalf("%s changes nothing", name)
		}
		if _, err := passkey.ReadRecord([]byte(text)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	if _, err := passkey.ReadCeremony([]byte(`{"v":2,"kind":"ask","until":0,"session":{"challenge":"x","expires":"0001-01-01T00:00:00Z"}}`)); err == nil {
		t.Error("a later ceremony was read")
	}
	if _, err := passkey.ReadCeremony([]byte(`{"v":1,"kind":"beg","until":0,"session":{"challenge":"x","expires":"0001-01-01T00:00:00Z"}}`)); err == nil {
		t.Error("an unknown ceremony was read")
	}
}
