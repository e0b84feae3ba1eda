-- +goose Up
-- locked: since when the password cannot be used to sign in, because its owner said that
-- somebody else did. A reset lifts it.
ALTER TABLE identity_password ADD COLUMN locked BIGINT;
-- Changes of an address that wait for both mailboxes. idx: MAC of the new address.
-- address: sealed under the person's key for its place in identity_address. old_ok,
-- new_ok: when each mailbox said yes. Kept 30 d after its end. Export: the person. Erase: the row goes.
CREATE TABLE identity_address_change (
    id      TEXT   NOT NULL PRIMARY KEY,
    person  TEXT   NOT NULL REFERENCES identity_person (id),
    idx     TEXT   NOT NULL,
    address BYTEA  NOT NULL,
    old_ok  BIGINT,
    new_ok  BIGINT,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    ended   BIGINT,
    cause   TEXT   NOT NULL -- '', done, superseded, cancelled, taken, expired
);
CREATE INDEX identity_address_change_person ON identity_address_change (person);
-- Accounts whose owner asked for their end. The row goes when they change their mind, and
-- with the account. Export: the person. Erase: with the account.
CREATE TABLE identity_leaving (
    person TEXT   NOT NULL PRIMARY KEY REFERENCES identity_person (id),
    asked  BIGINT NOT NULL,
    due    BIGINT NOT NULL
);
