-- +goose Up
-- What somebody may do under a path beyond their role. who: kind/id. rights: reader, writer.
-- until: no grant is without an end. Export: the team. Erase: 400 d after its end.
CREATE TABLE vault_grant (
    id      TEXT   NOT NULL PRIMARY KEY,
    team    TEXT   NOT NULL,
    who     TEXT   NOT NULL,
    path    TEXT   NOT NULL,
    rights  TEXT   NOT NULL,
    granter TEXT   NOT NULL,
    granted BIGINT NOT NULL,
    until   BIGINT NOT NULL,
    ended   BIGINT
);
CREATE INDEX vault_grant_who ON vault_grant (who);
