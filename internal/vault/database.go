package vault

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/secret"
)

// schemes of addresses of databases.
var schemes = []string{"postgres", "postgresql", "mysql", "mariadb", "sqlserver", "mongodb", "mongodb+srv", "redis", "rediss", "amqp", "amqps", "clickhouse", "cockroachdb", "oracle"}

// plainly are the words by which such an address says that it is not encrypted.
var (
	plainKeys  = []string{"sslmode", "ssl", "tls", "usessl", "encrypt"}
	plainWords = []string{"disable", "disabled", "false", "0", "no", "off"}
)

// CheckDatabase refuses the address of a database that says itself that its traffic is not
// encrypted, or that lies in the public network, as far as the address tells: a name is not
// looked up.
func (s *Service) CheckDatabase(v secret.Text) error { // clause: vault.db-private
	if s.Rules.Get().Public {
		return nil
	}
	hosts, options, ok := readDatabase(v.Reveal())
	if !ok {
		return nil
	}
	if slices.ContainsFunc(hosts, isPublic) {
		return fault.New(fault.Invalid, "database_public", fault.Public{Problem: "The value is the address of a database in the public network.",
			Expected: "The policy keeps databases that hold credentials in the private network.", Next: "Use its private address."})
	}
	for k, vs := range options {
		k = strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(k))
		if slices.Contains(plainKeys, k) && slices.ContainsFunc(vs, func(v string) bool { return slices.Contains(plainWords, strings.ToLower(v)) }) && slices.ContainsFunc(hosts, isElsewhere) {
			return fault.New(fault.Invalid, "database_unencrypted", fault.Public{Problem: "The value is the address of a database without encryption of what is sent.",
				Expected: "TLS, unless the database is on the same machine.", Next: "Turn it on, such as with sslmode=verify-full."})
		}
	}
	return nil
}

// probeDatabase holds the vault's own database to what it asks of others.
func (s *Service) probeDatabase(context.Context) (clause.Result, error) {
	if s.Database.IsZero() {
		return clause.Passed("the vault's values lie in an encrypted file of this machine, which nothing reaches over a network"), nil
	}
	if err := s.CheckDatabase(s.Database); err != nil {
		code, said := fault.PublicOf(err)
		return clause.Failed("the database of the vault itself: " + said.Problem + " (" + code + ")"), nil
	}
	return clause.Passed("the address of the vault's own database names no public host and no unencrypted connection; a name is not looked up"), nil
}

// readDatabase takes hosts and options out of an address: a URL, also with jdbc: before it
// and with several hosts, or the words of libpq.
func readDatabase(v string) (hosts []string, options url.Values, ok bool) {
	v = strings.TrimSpace(v)
	if len(v) > maxAdvanced || strings.ContainsAny(v, "\r\n") {
		return nil, nil, false
	}
	v = strings.TrimPrefix(v, "jdbc:")
	scheme, rest, is := strings.Cut(v, "://")
	if !is {
		return readWords(v)
	}
	if !slices.Contains(schemes, strings.ToLower(scheme)) {
		return nil, nil, false
	}
	place, query, _ := strings.Cut(rest, "?")
	place, words, _ := strings.Cut(place, ";")                                                                   // as sqlserver has its options
	options, _ = url.ParseQuery(strings.ReplaceAll(query, ";", "&") + "&" + strings.ReplaceAll(words, ";", "&")) // what can be read of it
	place, _, _ = strings.Cut(place, "/")                                                                        // a password with / in it is written %2F
	place = place[strings.LastIndex(place, "@")+1:]
	hosts = append(options["host"], options["hostaddr"]...)
	if place != "" || len(hosts) == 0 {
		hosts = append(strings.Split(place, ","), hosts...)
	}
	return hosts, options, true
}

func readWords(v string) (hosts []string, options url.Values, ok bool) {
	options = url.Values{}
	for _, w := range strings.Fields(v) {
		if k, x, is := strings.Cut(w, "="); is {
			options.Add(k, strings.Trim(x, "'"))
		}
	}
	hosts = append(options["host"], options["hostaddr"]...)
	return hosts, options, len(hosts) > 0 && (options.Has("dbname") || options.Has("user") || options.Has("password"))
}

// address is the IP address that a host is written as, with or without a port.
func address(host string) (netip.Addr, bool) {
	if a, err := netip.ParseAddrPort(host); err == nil {
		return a.Addr().Unmap(), true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return a.Unmap(), err == nil
}

// shared is the space of carriers' networks (RFC 6598): not public.
var shared = netip.MustParsePrefix("100.64.0.0/10")

func isPublic(host string) bool {
	a, ok := address(host)
	return ok && a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}

// isElsewhere reports whether a host is another machine: neither loopback nor a socket.
func isElsewhere(host string) bool {
	if a, ok := address(host); ok {
		return !a.IsLoopback()
	}
	name, _, _ := strings.Cut(host, ":")
	return name != "" && name != "localhost" && !strings.HasPrefix(host, "/") && !strings.HasPrefix(strings.ToLower(host), "%2f")
}
