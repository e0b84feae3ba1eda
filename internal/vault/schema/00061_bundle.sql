-- +goose Up
-- Bundles that were made: values sealed to one machine's key, with an end. The bundle itself is not
-- kept. names: name:version, one a line. used: how often the machine reported. Export: staff.
-- Erase: 400 d after its end.
CREATE TABLE vault_bundle (
    id      TEXT   NOT NULL PRIMARY KEY,
    team    TEXT   NOT NULL,
    machine TEXT   NOT NULL, -- fingerprint of its key
    names   TEXT   NOT NULL,
    issuer  TEXT   NOT NULL, -- kind/id
    issued  BIGINT NOT NULL,
    ends    BIGINT NOT NULL,
    revoked BIGINT NOT NULL, -- 0 = not
    used    BIGINT NOT NULL,
    seen    BIGINT NOT NULL  -- the newest use that was reported; 0 = none
);
CREATE INDEX vault_bundle_team ON vault_bundle (team, issued);
