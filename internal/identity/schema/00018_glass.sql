-- +goose Up
-- Break-glass: sets of shares that open an owner's session together. Of the secret and of
-- each share only a SHA-256 is kept; a share lies sealed under its holder's key until the
-- holder has picked it up, once. One set of a team waits at most, and one is live.
-- digest: of the secret. renew: why a new set is wanted. Names people by id alone.
-- Export: nobody is given a share a second time; that somebody holds one is in the entries
-- of their own copy. Erase: the box goes, and with the key what it was sealed with.
CREATE TABLE identity_glass_set (
    id      TEXT   NOT NULL PRIMARY KEY,
    team    TEXT   NOT NULL,
    number  BIGINT NOT NULL, -- on the paper
    need    BIGINT NOT NULL,
    total   BIGINT NOT NULL,
    digest  TEXT   NOT NULL,
    state   TEXT   NOT NULL, -- waiting, live, ended
    made    BIGINT NOT NULL,
    made_by TEXT   NOT NULL, -- person id, or kind/id
    began   BIGINT,
    ended   BIGINT,
    cause   TEXT   NOT NULL, -- '', superseded, withdrawn
    renew   TEXT   NOT NULL, -- '', holder-left, used
    UNIQUE (team, number)
);
CREATE UNIQUE INDEX identity_glass_set_state ON identity_glass_set (team, state) WHERE state <> 'ended';
CREATE TABLE identity_glass_share (
    set_id TEXT   NOT NULL REFERENCES identity_glass_set (id),
    place  BIGINT NOT NULL,
    holder TEXT   NOT NULL, -- person id
    print  TEXT   NOT NULL UNIQUE, -- SHA-256 of the share
    box    BYTEA,
    picked BIGINT,
    PRIMARY KEY (set_id, place),
    UNIQUE (set_id, holder)
);
CREATE INDEX identity_glass_share_holder ON identity_glass_share (holder);
-- Openings and drills. code: what other holders join with. token: SHA-256, at first of the
-- hand-over, then of the session's cookie. reason: sealed under the key of whoever asked.
-- until: of the gathering, then of the hand-over. Export: the asker has it in the entries
-- of their own copy. Erase: the reason goes with the asker's key; the rest names nobody.
CREATE TABLE identity_glass_use (
    id       TEXT   NOT NULL PRIMARY KEY,
    set_id   TEXT   NOT NULL REFERENCES identity_glass_set (id),
    kind     TEXT   NOT NULL, -- open, drill
    code     TEXT   NOT NULL UNIQUE,
    asked_by TEXT   NOT NULL,
    reason   BYTEA  NOT NULL,
    asked    BIGINT NOT NULL,
    until    BIGINT NOT NULL,
    granted  BIGINT,
    token    TEXT   UNIQUE,
    entered  BIGINT,
    ends     BIGINT,
    ended    BIGINT,
    cause    TEXT   NOT NULL -- '', drilled, ended, ended-by-owner, over, not-entered, dropped, superseded, withdrawn
);
CREATE INDEX identity_glass_use_set ON identity_glass_use (set_id);
-- Which holders have given theirs. box: the share, sealed under the key of the class
-- identity.glass, until the last one has come or 15 minutes are over. Export: as above.
-- Erase: it names people by id alone.
CREATE TABLE identity_glass_given (
    use_id TEXT   NOT NULL REFERENCES identity_glass_use (id),
    holder TEXT   NOT NULL,
    place  BIGINT NOT NULL,
    box    BYTEA,
    at     BIGINT NOT NULL,
    PRIMARY KEY (use_id, holder)
);
