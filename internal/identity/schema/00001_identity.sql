-- +goose Up
-- Humans, one row each. name: sealed under the person's key. handle says nothing about
-- customers (random); staff choose theirs. Export: the person. Erase: Service.Erase.
CREATE TABLE identity_person (
    id      TEXT   NOT NULL PRIMARY KEY,
    handle  TEXT   NOT NULL UNIQUE,
    name    BYTEA,
    state   TEXT   NOT NULL, -- active, disabled, erasing, erased
    created BIGINT NOT NULL,
    ended   BIGINT
);
-- Where mail for a person goes. idx: MAC of the normalised address. address: sealed
-- under the person's key. Export: the person. Erase: the row goes.
CREATE TABLE identity_address (
    idx       TEXT   NOT NULL PRIMARY KEY,
    person    TEXT   NOT NULL UNIQUE REFERENCES identity_person (id),
    address   BYTEA  NOT NULL,
    confirmed BIGINT,
    how       TEXT   NOT NULL -- link, operator
);
-- Organisations; staff are one of them. name: sealed under class identity.team.
CREATE TABLE identity_team (
    id      TEXT   NOT NULL PRIMARY KEY,
    kind    TEXT   NOT NULL, -- staff, customer, canary
    name    BYTEA,
    created BIGINT NOT NULL
);
-- Who is in which team, with roles separated by a space. Erase: with the person.
CREATE TABLE identity_member (
    team   TEXT   NOT NULL REFERENCES identity_team (id),
    person TEXT   NOT NULL REFERENCES identity_person (id),
    roles  TEXT   NOT NULL,
    since  BIGINT NOT NULL,
    PRIMARY KEY (team, person)
);
CREATE INDEX identity_member_person ON identity_member (person);
-- phc: the one-way hash, sealed under class identity.password. passed: the minimum
-- length it satisfied when set. list: version of the banned list it passed. Never exported.
CREATE TABLE identity_password (
    person TEXT   NOT NULL PRIMARY KEY REFERENCES identity_person (id),
    phc    BYTEA  NOT NULL,
    scheme TEXT   NOT NULL,
    passed BIGINT NOT NULL,
    list   TEXT   NOT NULL,
    set_at BIGINT NOT NULL
);
-- token: SHA-256 of the cookie. place: network and browser, sealed under the person's
-- key. change: value of identity_counter when the row last changed. Kept 90 d after its end.
CREATE TABLE identity_session (
    id        TEXT   NOT NULL PRIMARY KEY,
    token     TEXT   NOT NULL UNIQUE,
    person    TEXT   NOT NULL REFERENCES identity_person (id),
    team      TEXT   NOT NULL REFERENCES identity_team (id),
    device    TEXT   NOT NULL,
    acr       BIGINT NOT NULL,
    amr       TEXT   NOT NULL,
    started   BIGINT NOT NULL,
    factor_at BIGINT NOT NULL,
    seen      BIGINT NOT NULL,
    place     BYTEA,
    ended     BIGINT,
    cause     TEXT   NOT NULL,
    change    BIGINT NOT NULL
);
CREATE INDEX identity_session_person ON identity_session (person);
CREATE INDEX identity_session_change ON identity_session (change);
-- Browsers that signed in before. token: SHA-256 of the cookie. One browser may be
-- known for several people. Kept 90 d after its end.
CREATE TABLE identity_device (
    token   TEXT   NOT NULL,
    person  TEXT   NOT NULL REFERENCES identity_person (id),
    id      TEXT   NOT NULL UNIQUE,
    created BIGINT NOT NULL,
    seen    BIGINT NOT NULL,
    PRIMARY KEY (token, person)
);
CREATE INDEX identity_device_person ON identity_device (person);
-- One-time links. token: SHA-256 of what was mailed. person or attempt is set.
-- Kept 30 d after its end.
CREATE TABLE identity_link (
    id      TEXT   NOT NULL PRIMARY KEY,
    token   TEXT   NOT NULL UNIQUE,
    kind    TEXT   NOT NULL, -- confirm, reset, owner-link
    person  TEXT   NOT NULL,
    attempt TEXT   NOT NULL,
    bits    BIGINT NOT NULL,
    issued  BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    ended   BIGINT,
    cause   TEXT   NOT NULL  -- '', used, superseded, cancelled, expired
);
CREATE INDEX identity_link_person ON identity_link (person);
CREATE INDEX identity_link_attempt ON identity_link (attempt);
-- Sign-ups that are not confirmed. about: address, name and hash text, sealed under the
-- strangers' key of the month; phc: sealed under class identity.password. Deleted at its end.
CREATE TABLE identity_attempt (
    id      TEXT   NOT NULL PRIMARY KEY,
    idx     TEXT   NOT NULL,
    about   BYTEA  NOT NULL,
    phc     BYTEA  NOT NULL,
    scheme  TEXT   NOT NULL,
    passed  BIGINT NOT NULL,
    list    TEXT   NOT NULL,
    flow    TEXT   NOT NULL, -- SHA-256 of the flow cookie
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX identity_attempt_idx ON identity_attempt (idx);
-- Counters of refused attempts. bucket: MAC, names nobody. Deleted after a day.
CREATE TABLE identity_throttle (
    bucket TEXT   NOT NULL PRIMARY KEY,
    n      BIGINT NOT NULL,
    since  BIGINT NOT NULL,
    until  BIGINT NOT NULL
);
-- One row: rises with every change of a session, so that other nodes see it.
CREATE TABLE identity_counter (
    one BIGINT NOT NULL PRIMARY KEY,
    n   BIGINT NOT NULL
);
INSERT INTO identity_counter (one, n) VALUES (1, 0);
