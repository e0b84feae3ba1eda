-- +goose Up
-- Who saw which value of a secret. who: kind/id. thing: param/ID, item/ID/FIELD. version: the
-- one at which the value first came, so that going back to it does not make it unknown. What
-- somebody knows is the rows with their name whose version is still the thing's. Export: the
-- team. Erase: with the thing.
CREATE TABLE vault_seen (
    who     TEXT   NOT NULL,
    team    TEXT   NOT NULL, -- whose vault the thing is in
    thing   TEXT   NOT NULL,
    version BIGINT NOT NULL,
    at      BIGINT NOT NULL, -- the last time
    PRIMARY KEY (who, thing, version)
);
CREATE INDEX vault_seen_thing ON vault_seen (thing);
-- The version at which this value first came: another one where it was rolled back to.
ALTER TABLE vault_version ADD COLUMN origin BIGINT NOT NULL DEFAULT 0;
UPDATE vault_version SET origin = version;
