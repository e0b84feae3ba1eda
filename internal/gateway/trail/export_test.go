package trail

// Tell shows what was not shown yet, as Run does between two chunks.
func (t *Trail) Tell() { t.tell() }
