-- +goose Up
-- The latest time at which deadlines were looked at, so that a clock that goes back is seen also by
-- the next process or another node; told is when that was last said. Public.
CREATE TABLE incident_time (
    one  BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    seen BIGINT NOT NULL,
    told BIGINT NOT NULL
);
INSERT INTO incident_time (one, seen, told) VALUES (1, 0, 0);
