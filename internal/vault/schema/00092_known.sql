-- +goose Up
-- Who saw which value of a secret, as in 00002, found by the thing: each put writes a row, and
-- an index less is a page less. Export: the team. Erase: with the thing.
CREATE TABLE vault_seen_by_thing (
    who     TEXT   NOT NULL,
    team    TEXT   NOT NULL, -- whose vault the thing is in
    thing   TEXT   NOT NULL,
    version BIGINT NOT NULL,
    at      BIGINT NOT NULL, -- the last time
    given   BIGINT NOT NULL, -- when they were last given the value, µs; 0 = they only wrote it
    PRIMARY KEY (thing, who, version)
);
INSERT INTO vault_seen_by_thing (who, team, thing, version, at, given) SELECT who, team, thing, version, at, given FROM vault_seen;
DROP TABLE vault_seen;
ALTER TABLE vault_seen_by_thing RENAME TO vault_seen;
CREATE INDEX vault_seen_team ON vault_seen (team, who);
