-- +goose Up
-- Looks: a member of staff acts as one customer for a while. The row is the session too.
-- token: SHA-256 of the cookie. staff, session: who looks, and the session they came from,
-- which waits meanwhile. person, team: the customer. reason: sealed under the customer's
-- key. writes: whether changing things was asked for. agreed_by: who allowed it, never
-- staff. Export: the customer, without the hash. Erase: the customer's reason goes.
CREATE TABLE identity_support (
    id        TEXT   NOT NULL PRIMARY KEY,
    token     TEXT   NOT NULL UNIQUE,
    staff     TEXT   NOT NULL REFERENCES identity_person (id),
    session   TEXT   NOT NULL,
    person    TEXT   NOT NULL REFERENCES identity_person (id),
    team      TEXT   NOT NULL REFERENCES identity_team (id),
    reason    BYTEA,
    ticket    TEXT   NOT NULL,
    writes    BIGINT NOT NULL, -- 0, 1
    began     BIGINT NOT NULL,
    until     BIGINT NOT NULL,
    agreed_by TEXT   NOT NULL,
    agreed    BIGINT,
    ended     BIGINT,
    cause     TEXT   NOT NULL  -- '', ended, over, signed-out, ended-by-other, customer, and what ended the session
);
CREATE INDEX identity_support_person ON identity_support (person);
CREATE INDEX identity_support_staff ON identity_support (staff);
