-- +goose Up
-- The status page. Everything here but the subscribers is public, and stays for ever.
CREATE TABLE incident_status_turn (
    one  BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    n    BIGINT NOT NULL -- rises with each change, so that every node makes its page anew
);
INSERT INTO incident_status_turn (one, n) VALUES (1, 1);
CREATE TABLE incident_status_component (
    id      TEXT   NOT NULL PRIMARY KEY,
    name    TEXT   NOT NULL,
    grp     TEXT   NOT NULL, -- '' = none
    place   BIGINT NOT NULL,
    state   TEXT   NOT NULL,
    since   BIGINT NOT NULL,
    made    BIGINT NOT NULL,
    retired BIGINT
);
CREATE TABLE incident_status_public (
    id      TEXT   NOT NULL PRIMARY KEY, -- twelve characters
    case_id TEXT   NOT NULL UNIQUE,
    title   TEXT   NOT NULL,
    impact  TEXT   NOT NULL,
    made    BIGINT NOT NULL,
    ended   BIGINT
);
CREATE TABLE incident_status_update (
    id        TEXT   NOT NULL PRIMARY KEY,
    public_id TEXT   NOT NULL REFERENCES incident_status_public (id),
    state     TEXT   NOT NULL,
    body      TEXT   NOT NULL,
    estimate  BIGINT,          -- when service returns; NULL = not known
    next      BIGINT,          -- when the next update comes at the latest
    touched   TEXT   NOT NULL, -- component=state, with spaces between
    corrects  TEXT   NOT NULL, -- id of an update, or ''
    at        BIGINT NOT NULL
);
CREATE INDEX incident_status_update_of ON incident_status_update (public_id, at);
CREATE TABLE incident_status_window (
    id      TEXT   NOT NULL PRIMARY KEY,
    title   TEXT   NOT NULL,
    body    TEXT   NOT NULL,
    touched TEXT   NOT NULL, -- component ids, with spaces between
    starts  BIGINT NOT NULL,
    ends    BIGINT NOT NULL,
    state   TEXT   NOT NULL, -- scheduled, in_progress, verifying, completed
    made    BIGINT NOT NULL,
    changed BIGINT NOT NULL
);
-- Since when a component was in a state, for the bars.
CREATE TABLE incident_status_span (
    id        TEXT   NOT NULL PRIMARY KEY,
    component TEXT   NOT NULL REFERENCES incident_status_component (id),
    state     TEXT   NOT NULL,
    since     BIGINT NOT NULL,
    until     BIGINT
);
CREATE UNIQUE INDEX incident_status_span_open ON incident_status_span (component) WHERE until IS NULL;
-- When somebody was there to see: a hole is time that nobody saw.
CREATE TABLE incident_status_seen (
    since BIGINT NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL
);
-- Subscribers. The address lies sealed under a key of its own; mark finds it again without
-- telling it. Export: by the address, in the letter's link. Erase: unsubscribing, which ends
-- the row and its key.
CREATE TABLE incident_status_subscriber (
    id        TEXT   NOT NULL PRIMARY KEY,
    mark      TEXT   NOT NULL UNIQUE,
    box       BYTEA  NOT NULL,
    token     TEXT   NOT NULL, -- SHA-256 of the confirmation
    until     BIGINT NOT NULL, -- of the confirmation
    asked     BIGINT NOT NULL,
    tries     BIGINT NOT NULL, -- confirmations sent within the hour that began at asked
    confirmed BIGINT
);
-- Confirmations asked for by a network within an hour. Erase: after the hour. Export: it
-- names a network, nobody.
CREATE TABLE incident_status_network (
    mark  TEXT   NOT NULL PRIMARY KEY,
    since BIGINT NOT NULL,
    tries BIGINT NOT NULL
);
