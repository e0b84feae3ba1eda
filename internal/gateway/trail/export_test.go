package trail

import "reflect"

// Tell shows what was not shown yet, as Run does between two chunks.
func (t *Trail) Tell() { t.tell() }

// Read reads the lines of a chunk, before they are compressed, by sight and by encoding/json.
func Read(b []byte) (seen any, known bool, want any, err error) {
	d := newDecoder()
	d.sightLines([]byte(`[{"t":7,"k":"before","w":"p-1","y":true,"r":"/before","d":"PUT","c":500,"u":1,"i":2,"b":3,"x":["before=1"],"z":["t-1"],"q":9}]` + "\n"))
	known = d.sightLines(b)
	var ls []line
	err = decode(b, &ls)
	return d.lines, known, ls, err
}

// Lines are two lines, the first with something in each field.
func Lines() []line {
	ls := make([]line, 2)
	v := reflect.ValueOf(&ls[0]).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("text of " + v.Type().Field(i).Name)
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Slice:
			f.Set(reflect.ValueOf([]string{v.Type().Field(i).Name, "and another"}))
		default:
			f.SetInt(int64(-1 - i))
		}
	}
	return ls
}
