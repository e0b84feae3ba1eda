package rotate

// StopAt makes the service call f at each step, and stop there with the error it gives.
func (s *Service) StopAt(f func(step string) error) { s.step = f }

// ParseAddress and the template are tried with whatever comes.
var ParseAddress = parseAddress

// Template fills a template of a role, and finds both words again.
func Template(text, user, password string) (filled, u, p string, err error) {
	t, err := parseTemplate(text, roleMarks)
	if err != nil {
		return "", "", "", err
	}
	v := t.fill(user, password)
	u, p, _ = t.match(v)
	return v.Reveal(), u, p, nil
}

// Troubles are the codes that a rotation stands still for.
var Troubles = troubles
