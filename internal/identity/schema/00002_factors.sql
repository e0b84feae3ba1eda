-- +goose Up
-- level: full, or enrol (it reaches the factor pages alone). low: until when a session
-- with one factor counts where two are demanded (a dated grace, a remembered browser).
ALTER TABLE identity_session ADD COLUMN level TEXT NOT NULL DEFAULT 'full';
ALTER TABLE identity_session ADD COLUMN low BIGINT NOT NULL DEFAULT 0;
-- Sessions from before there were second factors have had their allowance.
UPDATE identity_session SET low = 1;
-- How many factors the team itself demands of its people.
ALTER TABLE identity_team ADD COLUMN need BIGINT NOT NULL DEFAULT 1;
-- Until when the browser skips the second factor of this person.
ALTER TABLE identity_device ADD COLUMN trusted BIGINT;
-- Second factors. name: sealed under the person's key. box: the seed, sealed under class
-- identity.totp. mark: MAC of the seed, so that none serves two people. step: the last
-- accepted one. picture: SHA-256 of the one-time address of the QR code. fails: wrong
-- codes since the last right one. Export: name, kind and times, never box or mark.
-- Erase: the row goes.
CREATE TABLE identity_factor (
    id        TEXT   NOT NULL PRIMARY KEY,
    person    TEXT   NOT NULL REFERENCES identity_person (id),
    kind      TEXT   NOT NULL, -- totp
    name      BYTEA,
    box       BYTEA  NOT NULL,
    mark      TEXT   NOT NULL UNIQUE,
    step      BIGINT NOT NULL,
    picture   TEXT   NOT NULL,
    created   BIGINT NOT NULL,
    confirmed BIGINT, -- NULL until a right code was shown
    used      BIGINT,
    fails     BIGINT NOT NULL,
    locked    BIGINT
);
CREATE INDEX identity_factor_person ON identity_factor (person);
-- Codes for the day the factor is lost. code: SHA-256. Never exported. Erase: the rows go.
CREATE TABLE identity_recovery (
    code   TEXT   NOT NULL PRIMARY KEY,
    person TEXT   NOT NULL REFERENCES identity_person (id),
    made   BIGINT NOT NULL,
    used   BIGINT
);
CREATE INDEX identity_recovery_person ON identity_recovery (person);
-- Something begun that needs another step. id: SHA-256 of the flow's token; bind: SHA-256
-- of what the browser's flow cookie holds beside. done: what was shown. payload: the
-- password that waits, sealed under class identity.password. Deleted a day after its end.
CREATE TABLE identity_flow (
    id      TEXT   NOT NULL PRIMARY KEY,
    kind    TEXT   NOT NULL, -- sign-in, reset
    person  TEXT   NOT NULL REFERENCES identity_person (id),
    bind    TEXT   NOT NULL,
    done    TEXT   NOT NULL,
    need    BIGINT NOT NULL,
    tries   BIGINT NOT NULL,
    payload BYTEA,
    link    TEXT   NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    ended   BIGINT,
    cause   TEXT   NOT NULL
);
CREATE INDEX identity_flow_person ON identity_flow (person);
-- The one time without a second factor that a person gets. A row is never renewed.
-- Export: the person. Erase: the row goes.
CREATE TABLE identity_grace (
    person TEXT   NOT NULL PRIMARY KEY REFERENCES identity_person (id),
    began  BIGINT NOT NULL,
    until  BIGINT NOT NULL
);
-- Requests to take a lost factor away, which two people decide. reason: sealed under the
-- person's key. Export: the person. Erase: the row goes.
CREATE TABLE identity_factor_reset (
    id        TEXT   NOT NULL PRIMARY KEY,
    person    TEXT   NOT NULL REFERENCES identity_person (id),
    asked_by  TEXT   NOT NULL,
    reason    BYTEA,
    asked     BIGINT NOT NULL,
    agreed_by TEXT   NOT NULL,
    ended     BIGINT,
    cause     TEXT   NOT NULL -- '', done, withdrawn, superseded
);
CREATE INDEX identity_factor_reset_person ON identity_factor_reset (person);
