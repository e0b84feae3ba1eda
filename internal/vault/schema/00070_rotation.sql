-- +goose Up
-- Values that are replaced by themselves: which parameter, of what kind (postgres, access-key), and
-- how far it is. state: the step that was done last (idle, planned, created, tested, stored, promoted,
-- revoked). slot: a or b, which was made last. fresh, old: role or access key that comes, and that goes.
-- box: the value that comes and the one that goes, sealed under the key of the team's vault; empty
-- while idle. problem: why it stands still. held: who works on it, µs until they have lost it.
-- Export: staff, without box. Erase: with the rotation; the journal keeps what was done.
CREATE TABLE vault_rotation (
    id      TEXT   NOT NULL PRIMARY KEY,
    team    TEXT   NOT NULL,
    name    BYTEA  NOT NULL,
    kind    TEXT   NOT NULL,
    spec    TEXT   NOT NULL, -- JSON, nothing secret
    days    BIGINT NOT NULL, -- 0 = as said about the name, or by the policy
    grace   BIGINT NOT NULL, -- µs
    made    BIGINT NOT NULL,
    made_by TEXT   NOT NULL, -- kind/id
    state   TEXT   NOT NULL,
    cause   TEXT   NOT NULL, -- due, asked, exposed, left; '' = nothing is wanted
    slot    TEXT   NOT NULL,
    fresh   TEXT   NOT NULL,
    old     TEXT   NOT NULL,
    box     BYTEA  NOT NULL,
    former  BIGINT NOT NULL, -- version that goes; 0 = none
    version BIGINT NOT NULL, -- version that was written
    begun   BIGINT NOT NULL,
    until   BIGINT NOT NULL, -- end of the grace
    done    BIGINT NOT NULL, -- when the last one was whole; 0 = never
    problem TEXT   NOT NULL,
    tries   BIGINT NOT NULL,
    again   BIGINT NOT NULL, -- not tried before
    held    BIGINT NOT NULL,
    turn    BIGINT NOT NULL,
    UNIQUE (team, name)
);
