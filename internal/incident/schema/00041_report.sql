-- +goose Up
-- What people outside reported, one row each; id is the reference that they were given. box is
-- their words and their address, sealed under a key of its own. Export: by whoever has the
-- reference. Erase: with that key.
CREATE TABLE incident_report (
    id       TEXT   NOT NULL PRIMARY KEY,
    case_id  TEXT   NOT NULL REFERENCES incident_case (id),
    kind     TEXT   NOT NULL, -- broken, weakness, data
    person   TEXT   NOT NULL, -- id, where somebody was signed in
    network  TEXT   NOT NULL, -- a mark of it
    at       BIGINT NOT NULL,
    box      BYTEA  NOT NULL,
    answered BIGINT
);
CREATE INDEX incident_report_case ON incident_report (case_id, at);
CREATE INDEX incident_report_network ON incident_report (network, at);
