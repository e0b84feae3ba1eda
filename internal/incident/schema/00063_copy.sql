-- +goose Up
-- Copies of the status page that all nodes share: of which turn each is, and when it was brought up
-- to date last, by whichever node. Public.
CREATE TABLE incident_status_copy (
    name TEXT   NOT NULL PRIMARY KEY,
    turn BIGINT NOT NULL,
    made BIGINT NOT NULL
);
-- The sums that were recorded last, and in which entry: every node proves its copies by the same one. Public.
CREATE TABLE incident_status_sum (
    one   BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    sum   TEXT   NOT NULL,
    entry TEXT   NOT NULL
);
INSERT INTO incident_status_sum (one, sum, entry) VALUES (1, '', '');
