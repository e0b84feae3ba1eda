package identity_test

import (
	"testing"
)

// The items of OWASP ASVS 5.0 that this package answers for, by their numbers: house
// gathers them into docs/asvs.md. Other packages have theirs.
//
// breaks: auth.best-practice
func TestASVS(t *testing.T) {
	t.Run("3.3.1 3.3.3 every cookie is Secure and bound to its host", asvsCookies)
	t.Run("3.5.1 forms of other sites never reach a handler", testForeignForms)
	t.Run("3.5.1 what a form of another site can send changes nothing", asvsForeignRequests)

	t.Run("6.1.1 the limits of guessing are written down as they are", asvsLimitsAreDocumented)
	t.Run("6.1.1 the limits hold, and lock no owner out", testThrottleCannotLockOut)
	t.Run("6.1.2 the words that passwords may not hold are written down", asvsWordsAreDocumented)
	t.Run("6.2.1 fewer than eight characters are refused at every setting", asvsEight)
	t.Run("6.2.3 a new password needs the present one", testChangePassword)
	t.Run("6.2.4 6.2.12 passwords of the operator's file are refused at every door", asvsListedAtTheDoors)
	t.Run("6.2.5 passwords of any composition are taken", asvsComposition)
	t.Run("6.2.6 6.2.7 password fields are masked, and helped by managers and paste", asvsPasswordFields)
	t.Run("6.2.8 a password counts as it was typed, to the last character", asvsExactly)
	t.Run("6.2.9 passwords of 64 characters and more are taken", asvsLong)
	t.Run("6.2.10 a password stays good for years", asvsNoRotation)
	t.Run("6.2.11 words near the person and the company are refused", asvsContext)

	t.Run("6.3.3 staff show two factors before anything opens", testStaffEnrolFirst)
	t.Run("6.3.3 customers show two where the owner asks it", testWhoMustHaveAFactor)
	t.Run("6.3.4 every way in is written down and equally strong", asvsWaysIn)
	t.Run("6.3.5 people hear of a sign-in from a new browser", testNewBrowserIsTold)
	t.Run("6.3.5 people hear that somebody has their password", asvsGuessedIsTold)
	t.Run("6.3.6 a mailbox is no factor and opens no session", asvsMailIsNoFactor)
	t.Run("6.3.7 people hear of every change to how they sign in", asvsChangesAreTold)
	t.Run("6.3.7 a changed address is told to both mailboxes", testAddressNeedsBothMailboxes)
	t.Run("6.3.8 a refused sign-in says nothing of the address", testNoEnumeration)
	t.Run("6.3.8 sign-up and recovery answer before they look", testAnswersBeforeTheAddressIsKnown)

	t.Run("6.4.1 a first link dies with its time", testOwnerLinkDies)
	t.Run("6.4.1 a first link is random, works once, is no password", asvsFirstLink)
	t.Run("6.4.3 a reset does not get round the second factor", testResetWaitsForTheFactor)
	t.Run("6.4.6 an administrator starts a reset and learns nothing", asvsAdminStartsReset)
	t.Run("6.5.1 a code works once and outdates those before it", testCodesWorkOnce)
	t.Run("6.5.1 one code sent at once has one winner", testOneCodeHasOneWinner)
	t.Run("6.5.2 recovery codes are long, and kept as hashes", asvsRecoveryCodes)
	t.Run("6.5.5 a code ends with the step after its own", asvsCodeLife)
	t.Run("6.5.5 a link ends at the second the policy says", testResetLinkDiesAtTheSecond)

	t.Run("7.2.3 11.5.1 tokens, links and codes are random and long", asvsRandom)
	t.Run("7.2.4 a sign-in replaces the token that was there", asvsNewToken)
	t.Run("7.2.4 7.5.1 sensitive acts want proof, which changes the token", testStepUp)
	t.Run("7.3.1 a session ends when it is not used", asvsIdle)
	t.Run("7.3.2 a session ends though it is used", asvsAbsolute)
	t.Run("7.4.1 signing out ends the session, and no page is kept", asvsSignOut)
	t.Run("7.4.2 who is disabled or erased has no session left", asvsDisabled)
	t.Run("7.4.3 whoever changes a factor may end other sessions", asvsOfferToEnd)
	t.Run("7.4.5 staff end the sessions of one person", asvsStaffEnd)
	t.Run("7.5.1 without a factor the proof is the password", testStepUpWithPassword)
	t.Run("7.5.2 people see their sessions and end them", testSessionsListAndEnd)
	t.Run("7.5.2 ending other sessions wants a fresh proof", asvsEndingWantsProof)

	t.Run("8.2.2 8.4.1 the ids of another team open nothing", testNobodyReachesAnotherTeam)
	t.Run("8.3.2 a right that ends is gone at once for tokens", testTokensLoseRights)
	t.Run("8.3.2 a lent role counts and ends with the next request", testLentRoleCountsAndEnds)
	t.Run("11.4.2 what is stored of a password is slow to try", asvsStoredSlow)
	t.Run("16.3.1 sign-ins and refusals are on record with their factors", asvsOnRecord)
}
