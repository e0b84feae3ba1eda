package policy

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Rules are the parameters of the policy about the policy itself.
type Rules struct {
	Need         int           `clause:"gov.owners/need"`
	LoosenNeed   int           `clause:"gov.owners/loosen_need"`
	SelfApproval bool          `clause:"gov.sod/self_approval"`
	ReviewEvery  time.Duration `clause:"gov.review-cadence/every"`
	ExceptionMax time.Duration `clause:"gov.exceptions/max"`
	Visibility   string        `clause:"gov.published/visibility"`
	Fields       []string      `clause:"gov.signed-dated/fields"`
	Columns      []string      `clause:"gov.revision-history/columns"`
	ApproverRole string        `clause:"gov.approver-is-owner/role"`
}

// What an approval carries and a revision's entry gives. All of it is always kept;
// a policy that asks for more is refused.
var (
	approvalFields  = []string{"date", "name", "signature"}
	revisionColumns = []string{"approval-date", "approver", "summary", "version"}
)

// Validate implements clause.Validator: it refuses what this build could not obey.
func (r *Rules) Validate() error {
	var errs []error
	need := func(ok bool, format string, a ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	need(1 <= r.Need && r.Need <= r.LoosenNeed, "gov.owners: 1 <= need (%d) <= loosen_need (%d) does not hold", r.Need, r.LoosenNeed)
	need(!r.SelfApproval, "gov.sod: self_approval must be false: an author's signature never counts here")
	need(r.ReviewEvery >= 24*time.Hour, "gov.review-cadence: every %s is under a day", r.ReviewEvery)
	need(0 < r.ExceptionMax && r.ExceptionMax <= 90*24*time.Hour, "gov.exceptions: max %s is not within 90 days", r.ExceptionMax)
	need(r.ApproverRole == "owner", "gov.approver-is-owner: role %q is not owner", r.ApproverRole)
	for _, f := range r.Fields {
		need(slices.Contains(approvalFields, f), "gov.signed-dated: an approval has no field %q", f)
	}
	for _, c := range r.Columns {
		need(slices.Contains(revisionColumns, c), "gov.revision-history: a revision has no column %q", c)
	}
	return errors.Join(errs...)
}
