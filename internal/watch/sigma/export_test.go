package sigma

// TryCondition parses a condition over the selections a and b, and says where it is wrong.
func TryCondition(s string) (int, error) {
	_, err := parseCondition(s, map[string]*expr{"a": {op: and}, "b": {op: and}})
	if err == nil {
		return 0, nil
	}
	return err.at, err
}
