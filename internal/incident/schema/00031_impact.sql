-- +goose Up
-- What the gate sees that the public must be told of: too many requests fail, or nothing
-- answers. Public.
CREATE TABLE incident_impact (
    id      TEXT   NOT NULL PRIMARY KEY,
    kind    TEXT   NOT NULL, -- errors, down
    since   BIGINT NOT NULL, -- when it was first seen
    began   BIGINT,          -- when it was as much as the policy says
    calm    BIGINT,          -- since when it is not any more
    ended   BIGINT,
    touched TEXT   NOT NULL  -- components that it turned, with spaces between
);
CREATE UNIQUE INDEX incident_impact_open ON incident_impact (kind) WHERE ended IS NULL;
