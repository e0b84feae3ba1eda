-- +goose Up
-- Passkeys. sum: SHA-256 of the credential's id: one belongs to one person. host: the name
-- it is bound to. name, and box (the record of package passkey), are sealed under the
-- person's key. Export: name, host and times, to the person. Erase: the row goes.
CREATE TABLE identity_passkey (
    id      TEXT   NOT NULL PRIMARY KEY,
    sum     TEXT   NOT NULL UNIQUE,
    person  TEXT   NOT NULL REFERENCES identity_person (id),
    host    TEXT   NOT NULL,
    name    BYTEA  NOT NULL,
    box     BYTEA  NOT NULL,
    created BIGINT NOT NULL,
    used    BIGINT
);
CREATE INDEX identity_passkey_person ON identity_passkey (person);
-- Questions to passkeys that were answered, so that none is answered twice. The question
-- lies sealed in the browser until then: a stranger who asks for one writes nothing here.
-- Names nobody. Deleted when the question's own time is over.
CREATE TABLE identity_passkey_spent (
    id    TEXT   NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL
);
