package web

import "reflect"

// Tables are the tables of a page, in the order in which its data holds them.
func Tables(v View) []Table { return tablesOf(reflect.ValueOf(v.Data), 0) }

// deepest is how far down a table may lie: no page's data is deeper.
const deepest = 5

func tablesOf(v reflect.Value, depth int) (out []Table) {
	if depth > deepest {
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return tablesOf(v.Elem(), depth+1)
		}
	case reflect.Slice:
		if k := v.Type().Elem().Kind(); k != reflect.Struct && k != reflect.Pointer {
			return nil
		}
		for i := range v.Len() {
			out = append(out, tablesOf(v.Index(i), depth+1)...)
		}
	case reflect.Struct:
		if t, ok := v.Interface().(Table); ok {
			return []Table{t}
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out = append(out, tablesOf(v.Field(i), depth+1)...)
			}
		}
	}
	return out
}
