-- +goose Up
-- Keys of teams' vaults and items that may be known to somebody: what lies under their former
-- versions is sealed anew. former: the newest version when it began. state: moving, idle (no
-- row uses a former version), done (those are destroyed). Names no secret. Export: the staff.
-- Erase: never, it says what was done after an exposure.
CREATE TABLE vault_reseal (
    id      TEXT   NOT NULL PRIMARY KEY,
    kind    TEXT   NOT NULL, -- vault, vault-item, vault-seed
    team    TEXT   NOT NULL,
    former  TEXT   NOT NULL,
    state   TEXT   NOT NULL,
    moved   BIGINT NOT NULL,
    began   BIGINT NOT NULL,
    changed BIGINT NOT NULL
);
CREATE INDEX vault_reseal_state ON vault_reseal (state, began);
