-- +goose Up
-- Lost data: what is known of its recovery, one row for each round of an incident. plan is what
-- two people sign, as JSON; hash is that of its bytes. Public: times, counts, ids of backups;
-- planned_by is a person by id alone. Export and erase: as of incident_case.
CREATE TABLE incident_loss (
    case_id    TEXT    NOT NULL REFERENCES incident_case (id),
    round      BIGINT  NOT NULL,
    begun      BIGINT  NOT NULL, -- since when backups are held
    onsets     TEXT    NOT NULL, -- JSON: when it may have begun
    down       BIGINT,           -- since when the application gets no request
    frozen     BIGINT,           -- since when it is proved that nothing is written
    preserved  TEXT    NOT NULL, -- where the damaged state is kept
    plan       TEXT    NOT NULL,
    hash       TEXT    NOT NULL,
    planned_by TEXT    NOT NULL,
    planned    BIGINT,
    restored   BIGINT,
    up         BIGINT,           -- since when it is open to everybody
    share      BIGINT  NOT NULL, -- of the teams that are let in; -1 = nobody
    PRIMARY KEY (case_id, round)
);
-- What an act looked at, one row each; they go when the act is done again. Public: words of the
-- server. Export and erase: as above.
CREATE TABLE incident_check (
    case_id TEXT    NOT NULL REFERENCES incident_case (id),
    round   BIGINT  NOT NULL,
    act     TEXT    NOT NULL,
    n       BIGINT  NOT NULL,
    name    TEXT    NOT NULL,
    good    BOOLEAN NOT NULL,
    says    TEXT    NOT NULL,
    PRIMARY KEY (case_id, round, act, n)
);
-- What people did where the server reaches nothing, by whom and signed by whom. The words are
-- sealed under the incident's key. Export and erase: as above.
CREATE TABLE incident_hand (
    id      TEXT   NOT NULL PRIMARY KEY,
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    round   BIGINT NOT NULL,
    act     TEXT   NOT NULL,
    guard   TEXT   NOT NULL,
    person  TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    hash    TEXT   NOT NULL, -- of the words
    box     BYTEA  NOT NULL,
    other   TEXT   NOT NULL, -- who signed it; '' = nobody yet
    signed  BIGINT
);
CREATE INDEX incident_hand_case ON incident_hand (case_id, round, at);
-- Acknowledged writes that a restore undid, a row for each team, sealed under the incident's
-- key: who wrote what, where and when. Export: to the team. Erase: with that key.
CREATE TABLE incident_lost (
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    round   BIGINT NOT NULL,
    team    TEXT   NOT NULL,
    writes  BIGINT NOT NULL,
    hash    TEXT   NOT NULL,
    box     BYTEA  NOT NULL,
    letters TEXT   NOT NULL, -- ids of jobs, with spaces between
    at      BIGINT NOT NULL,
    PRIMARY KEY (case_id, round, team)
);
-- Drills that a script leads, and what they were worth. Public; caller and other are people by
-- id alone. Export and erase: as above.
CREATE TABLE incident_drill (
    case_id TEXT    NOT NULL PRIMARY KEY REFERENCES incident_case (id),
    kind    TEXT    NOT NULL,
    caller  TEXT    NOT NULL,
    other   TEXT    NOT NULL, -- who signs beside them; '' = played by the sandbox
    plays   BOOLEAN NOT NULL, -- the script takes the steps of people
    state   TEXT    NOT NULL, -- made, playing, waiting, suspended, scored
    problem TEXT    NOT NULL,
    begun   BIGINT  NOT NULL,
    ended   BIGINT,
    passed  BOOLEAN NOT NULL,
    score   TEXT    NOT NULL  -- JSON
);
CREATE INDEX incident_drill_kind ON incident_drill (kind, ended);
