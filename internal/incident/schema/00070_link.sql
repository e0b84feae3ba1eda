-- +goose Up
-- How incidents belong together: case_id was caused by other, or is related to it. Kept 7 years with
-- its incident; made_by goes with the staff's export by id, and there is nothing else personal in it.
CREATE TABLE incident_link (
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    other   TEXT   NOT NULL REFERENCES incident_case (id),
    kind    TEXT   NOT NULL, -- caused-by, related
    made_by TEXT   NOT NULL, -- person id, or kind/id
    at      BIGINT NOT NULL,
    PRIMARY KEY (case_id, other)
);
CREATE INDEX incident_link_other ON incident_link (other);
-- Links are made one at a time: two at once could close a circle. Public.
CREATE TABLE incident_link_lock (
    one   BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    turns BIGINT NOT NULL
);
INSERT INTO incident_link_lock (one, turns) VALUES (1, 0);
