-- +goose Up
-- Files of an incident: their names and bytes lie sealed under its key. Export: with the incident.
-- Erase: with that key; the hash stays.
CREATE TABLE incident_file (
    id      TEXT   NOT NULL PRIMARY KEY,
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    kind    TEXT   NOT NULL, -- what the bytes look like
    size    BIGINT NOT NULL,
    hash    TEXT   NOT NULL, -- SHA-256 of the bytes
    person  TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    name    BYTEA  NOT NULL,
    box     BYTEA  NOT NULL
);
CREATE INDEX incident_file_case ON incident_file (case_id, at);
