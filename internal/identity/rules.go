package identity

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/identity/legacy"
	"writ/internal/passhash"
)

// Rules are the parameters of the policy that this module obeys.
type Rules struct {
	Profile          string        `clause:"auth.best-practice/profile"`
	StaffIdle        time.Duration `clause:"auth.best-practice/staff_idle"`
	StaffAbsolute    time.Duration `clause:"auth.best-practice/staff_absolute"`
	CustomerIdle     time.Duration `clause:"auth.best-practice/customer_idle"`
	CustomerAbsolute time.Duration `clause:"auth.best-practice/customer_absolute"`
	TokenDefault     time.Duration `clause:"auth.best-practice/token_default"`
	TokenMax         time.Duration `clause:"auth.best-practice/token_max"`
	Verify           bool          `clause:"auth.signup-email/verify"`
	ConfirmTTL       time.Duration `clause:"auth.signup-email/confirm_ttl"`
	Open             string        `clause:"auth.signup-email/open"` // off, domains, on
	Domains          []string      `clause:"auth.signup-email/domains"`
	Unique           string        `clause:"auth.unique-login/unique"`
	Alg              string        `clause:"auth.hash/alg"`
	Import           []string      `clause:"auth.hash/import"`
	LegacyDeadline   time.Duration `clause:"auth.hash/legacy_deadline"`
	SaltBytes        int           `clause:"auth.salt/bytes"`
	Min              int           `clause:"auth.min-length/min"`
	MinWithFactor    int           `clause:"auth.min-length/min_with_factor"`
	MinEntries       int           `clause:"auth.banned/min_entries"`
	Words            []string      `clause:"auth.banned/words"`
	ResetBits        int           `clause:"auth.reset-link/entropy"`
	ResetTTL         time.Duration `clause:"auth.reset-link-lifetime/ttl"`
	ResetEnds        []string      `clause:"auth.reset-sets-new/ends"`
	MustShow         []string      `clause:"access.mfa-by-technology/who"` // staff, and roles of customers
	Grace            time.Duration `clause:"access.mfa-by-technology/grace"`
	MinFactor        string        `clause:"access.mfa-by-technology/min_factor"` // any, phishing-resistant
	Terms            int           `clause:"use.terms/version"`
	LookReason       string        `clause:"use.need-to-see/reason"` // required, optional
	LookTTL          time.Duration `clause:"use.need-to-see/ttl"`
	LookNotify       string        `clause:"use.need-to-see/notify"` // required, optional
	StepUpAge        time.Duration `clause:"auth.best-practice/step_up_max_age"`
	RememberDevice   time.Duration `clause:"auth.best-practice/remember_device"`

	Unused        time.Duration `clause:"access.least-privilege/unused"`
	Lent          time.Duration `clause:"access.least-privilege/lent"` // the longest loan for the moment
	TwoPeople     []string      `clause:"access.least-privilege/two"`  // roles that are lent by two people
	ReviewEvery   time.Duration `clause:"access.review/every"`
	ReviewWindow  time.Duration `clause:"access.review/window"`
	Undecided     string        `clause:"access.review/undecided"` // revoke, keep
	InviteTTL     time.Duration `clause:"auth.admin-invite/ttl"`
	InvitesPerDay int           `clause:"auth.admin-invite/per_team_per_day"`
}

// What a reset may end, beside the link itself.
const (
	endsSessions = "sessions"
	endsLinks    = "links"
	endsDevices  = "devices"
	endsTokens   = "tokens"
)

// Validate implements clause.Validator: it refuses what this build could not obey.
func (r *Rules) Validate() error {
	var errs []error
	need := func(ok bool, format string, a ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	need(8 <= r.MinWithFactor && r.MinWithFactor <= r.Min && r.Min <= 64,
		"auth.min-length: 8 <= min_with_factor (%d) <= min (%d) <= 64 does not hold", r.MinWithFactor, r.Min)
	need(r.Profile == "asvs-level-two", "auth.best-practice: profile %q is not asvs-level-two", r.Profile)
	need(0 < r.StaffIdle && r.StaffIdle <= r.StaffAbsolute,
		"auth.best-practice: staff_idle (%s) must lie between 0 and staff_absolute (%s)", r.StaffIdle, r.StaffAbsolute)
	need(0 < r.CustomerIdle && r.CustomerIdle <= r.CustomerAbsolute,
		"auth.best-practice: customer_idle (%s) must lie between 0 and customer_absolute (%s)", r.CustomerIdle, r.CustomerAbsolute)
	need(time.Hour <= r.TokenDefault && r.TokenDefault <= r.TokenMax && r.TokenMax <= 365*24*time.Hour,
		"auth.best-practice: 1h <= token_default (%s) <= token_max (%s) <= 365d does not hold", r.TokenDefault, r.TokenMax)
	need(r.Verify, "auth.signup-email: verify must be true: an account with an unconfirmed address cannot exist here")
	need(5*time.Minute <= r.ConfirmTTL && r.ConfirmTTL <= 72*time.Hour, "auth.signup-email: confirm_ttl %s is not within 5m and 72h", r.ConfirmTTL)
	need(slices.Contains([]string{"off", "domains", "on"}, r.Open), "auth.signup-email: open %q is not off, domains or on", r.Open)
	need(r.Open != "domains" || len(r.Domains) > 0, "auth.signup-email: open=domains needs at least one domain")
	for _, d := range r.Domains {
		_, err := domainOf(d)
		need(err == nil, "auth.signup-email: %q is not a domain", d)
	}
	need(r.Unique == "normalised-address", "auth.unique-login: unique %q is not normalised-address", r.Unique)
	for _, f := range r.Import {
		need(slices.Contains(legacy.Formats(), legacy.Format(f)), "auth.hash: import %q is not one of %v", f, legacy.Formats())
	}
	need(0 <= r.LegacyDeadline && r.LegacyDeadline <= 365*24*time.Hour, "auth.hash: legacy_deadline %s is not within 0 and 365d", r.LegacyDeadline)
	need(r.params().Check() == nil, "auth.hash, auth.salt: %v", r.params().Check())
	need(128 <= r.ResetBits && r.ResetBits <= 512 && r.ResetBits%8 == 0, "auth.reset-link: entropy %d is not a multiple of 8 within 128 and 512", r.ResetBits)
	need(5*time.Minute <= r.ResetTTL && r.ResetTTL <= 24*time.Hour, "auth.reset-link-lifetime: ttl %s is not within 5m and 24h", r.ResetTTL)
	need(slices.Contains(r.MustShow, Staff), "access.mfa-by-technology: who must hold staff")
	for _, w := range r.MustShow {
		need(slices.Contains([]string{Staff, RoleAdmin, RoleMember}, w), "access.mfa-by-technology: who cannot hold %q; it takes staff, admin and member", w)
	}
	need(time.Minute <= r.StepUpAge && r.StepUpAge <= 24*time.Hour, "auth.best-practice: step_up_max_age %s is not within 1m and 24h", r.StepUpAge)
	need(0 <= r.RememberDevice && r.RememberDevice <= 30*24*time.Hour, "auth.best-practice: remember_device %s is not within 0 and 30 days", r.RememberDevice)
	need(0 <= r.Grace && r.Grace <= 14*24*time.Hour, "access.mfa-by-technology: grace %s is not within 0 and 14 days", r.Grace)
	need(r.MinFactor == "any" || r.MinFactor == PhishingResistant, "access.mfa-by-technology: min_factor %q is not any or %s", r.MinFactor, PhishingResistant)
	need(1 <= r.Terms && r.Terms <= 10000, "use.terms: version %d is not within 1 and 10000", r.Terms)
	need(slices.Contains([]string{required, optional}, r.LookReason), "use.need-to-see: reason %q is not required or optional", r.LookReason)
	need(slices.Contains([]string{required, optional}, r.LookNotify), "use.need-to-see: notify %q is not required or optional", r.LookNotify)
	need(5*time.Minute <= r.LookTTL && r.LookTTL <= 24*time.Hour, "use.need-to-see: ttl %s is not within 5m and 24h", r.LookTTL)
	for _, e := range r.ResetEnds {
		need(slices.Contains([]string{endsSessions, endsLinks, endsDevices, endsTokens}, e), "auth.reset-sets-new: a reset cannot end %q", e)
	}
	need(time.Minute <= r.Lent && r.Lent <= 8*time.Hour, "access.least-privilege: lent %s is not within 1m and 8h", r.Lent)
	need(r.Unused >= 24*time.Hour, "access.least-privilege: unused %s is under a day, and uses are counted by day", r.Unused)
	for _, role := range r.TwoPeople {
		need(slices.Contains(StaffRoles(), role), "access.least-privilege: two names %q, which is no role of staff", role)
	}
	need(0 < r.ReviewWindow && r.ReviewWindow+24*time.Hour <= r.ReviewEvery, "access.review: window %s leaves no day of every %s", r.ReviewWindow, r.ReviewEvery)
	need(r.Undecided == Revoke || r.Undecided == Keep, "access.review: undecided %q is not revoke or keep", r.Undecided)
	need(time.Hour <= r.InviteTTL && r.InviteTTL <= 14*24*time.Hour, "auth.admin-invite: ttl %s is not within 1h and 14d", r.InviteTTL)
	need(1 <= r.InvitesPerDay && r.InvitesPerDay <= 500, "auth.admin-invite: per_team_per_day %d is not within 1 and 500", r.InvitesPerDay)
	return errors.Join(errs...)
}

// params is how new passwords are hashed.
func (r *Rules) params() passhash.Params {
	return passhash.Default(
		passhash.Scheme(r.Alg), // clause: auth.hash
		r.SaltBytes,            // clause: auth.salt
	)
}

// least is how long a password must be: of those who show a second factor at every
// sign-in, and of everybody else.
func (r *Rules) least(factor bool) int {
	if factor {
		return max(r.MinWithFactor, 8)
	}
	return max(r.Min, 8)
}

// alwaysOf reports whether the policy demands a second factor at every sign-in of people
// with the kind of team and roles: always of staff, of others unless a browser may skip it.
func (r *Rules) alwaysOf(kind string, roles []string) bool {
	return isStaff(kind, roles) || r.asks(kind, roles) >= phishingResistant || r.RememberDevice == 0 && r.demands(kind, roles)
}

// idle and absolute are the lives of a session of the class.
func (r *Rules) idle(staff bool) time.Duration {
	if staff {
		return r.StaffIdle
	}
	return r.CustomerIdle
}

func (r *Rules) absolute(staff bool) time.Duration {
	if staff {
		return r.StaffAbsolute
	}
	return r.CustomerAbsolute
}
