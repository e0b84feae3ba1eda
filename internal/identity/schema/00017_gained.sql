-- +goose Up
-- turned: the counter when the present token was made; a loan that began to count later
-- counts only under a newer one. former: the token before, with what it stood for, until
-- what the browser had under way is answered. Erased with the row.
ALTER TABLE identity_session ADD COLUMN turned BIGINT NOT NULL DEFAULT 0;
ALTER TABLE identity_session ADD COLUMN former TEXT NOT NULL DEFAULT '';
ALTER TABLE identity_session ADD COLUMN former_turned BIGINT NOT NULL DEFAULT 0;
ALTER TABLE identity_session ADD COLUMN former_ends BIGINT NOT NULL DEFAULT 0;
CREATE INDEX identity_session_former ON identity_session (former) WHERE former <> '';
-- change: the counter when the loan began to count; 0 = before there was one.
ALTER TABLE identity_grant ADD COLUMN change BIGINT NOT NULL DEFAULT 0;
-- told: '', began or ended, whichever the letters have said.
ALTER TABLE identity_grant ADD COLUMN told TEXT NOT NULL DEFAULT 'ended';
CREATE INDEX identity_grant_told ON identity_grant (told);
-- suspended: since when nobody stands behind the service. Nobody's data.
ALTER TABLE identity_service ADD COLUMN suspended BIGINT;
