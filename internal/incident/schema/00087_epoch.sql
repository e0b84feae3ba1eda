-- +goose Up
-- The number of the newest try of anything the server does in an incident: what acts outside obeys no
-- older one. Public; nothing to export or erase.
CREATE TABLE incident_epoch (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    n   BIGINT NOT NULL
);
INSERT INTO incident_epoch (one, n) VALUES (1, 0);
