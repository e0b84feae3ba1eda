-- +goose Up
-- A breach: since when what tells of it is held, since when it is known, and how its letters
-- go. Public. Export and erase: it names nobody.
CREATE TABLE incident_breach (
    case_id TEXT   NOT NULL PRIMARY KEY REFERENCES incident_case (id),
    held    BIGINT NOT NULL,
    lifted  BIGINT,          -- when the hold ended
    aware   BIGINT,          -- when the privacy officer was reasonably certain
    pace    TEXT   NOT NULL  -- of its letters: going, paused, stopped
);
-- Statutory times, from aware. A row is never changed but by what was told of it; one that
-- was moved is void and stays. Public.
CREATE TABLE incident_wall (
    id      TEXT    NOT NULL PRIMARY KEY,
    case_id TEXT    NOT NULL REFERENCES incident_case (id),
    name    TEXT    NOT NULL,
    began   BIGINT  NOT NULL,
    within  BIGINT  NOT NULL, -- µs
    told    BIGINT  NOT NULL, -- how many of its alarms were given
    ended   BIGINT,
    void    BOOLEAN NOT NULL
);
CREATE INDEX incident_wall_case ON incident_wall (case_id);
-- Papers of a breach: what somebody decided or found, sealed under the incident's key, each
-- with its hash. A new one of a kind replaces the former, which stays.
-- Export: what somebody did is in the entries of their own copy. Erase: with the incident's key.
CREATE TABLE incident_paper (
    id      TEXT   NOT NULL PRIMARY KEY,
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    round   BIGINT NOT NULL,
    kind    TEXT   NOT NULL,
    author  TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    hash    TEXT   NOT NULL,
    box     BYTEA  NOT NULL
);
CREATE INDEX incident_paper_case ON incident_paper (case_id, kind, at);
-- Versions of the set of those concerned. box is what it was computed from and what came of
-- it; the lines are in its parts. All of it names people by pseudonyms, sealed.
-- Export: a person's own line is in their copy. Erase: with the incident's key.
CREATE TABLE incident_scope (
    id      TEXT    NOT NULL PRIMARY KEY,
    case_id TEXT    NOT NULL REFERENCES incident_case (id),
    version BIGINT  NOT NULL,
    hash    TEXT    NOT NULL,
    obtained BIGINT NOT NULL, -- how many subjects
    accessed BIGINT NOT NULL,
    possibly BIGINT NOT NULL,
    stated  BOOLEAN NOT NULL, -- what cannot be known is stated, or there is nothing
    parts   BIGINT  NOT NULL,
    filled  BOOLEAN NOT NULL, -- each of those concerned has a letter
    author  TEXT    NOT NULL,
    at      BIGINT  NOT NULL,
    box     BYTEA   NOT NULL,
    UNIQUE (case_id, version)
);
CREATE TABLE incident_scope_part (
    scope_id TEXT   NOT NULL,
    n        BIGINT NOT NULL,
    case_id  TEXT   NOT NULL REFERENCES incident_case (id),
    made     BIGINT NOT NULL,
    box      BYTEA  NOT NULL,
    PRIMARY KEY (scope_id, n)
);
-- One letter for each person concerned and version. box holds the address and what is said
-- about them. Export: with the person's copy. Erase: with the incident's key; counts stay.
CREATE TABLE incident_letter (
    id      TEXT   NOT NULL PRIMARY KEY,
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    version BIGINT NOT NULL,
    person  TEXT   NOT NULL, -- person id
    class   BIGINT NOT NULL,
    text    TEXT   NOT NULL, -- hash of the text
    state   TEXT   NOT NULL, -- queued, sending, accepted, refused, failed, unknown, stopped, unreachable, told
    tries   BIGINT NOT NULL,
    next    BIGINT NOT NULL, -- not before; of one that is sent: how long it is waited for
    code    TEXT   NOT NULL,
    body    TEXT   NOT NULL, -- hash of what was sent
    at      BIGINT NOT NULL,
    box     BYTEA  NOT NULL,
    answer  BYTEA,           -- of the mail host, or how the person was told otherwise
    UNIQUE (case_id, version, person)
);
CREATE INDEX incident_letter_state ON incident_letter (state, next);
CREATE INDEX incident_letter_person ON incident_letter (person, state);
-- Tasks that a third party's procedure asks for. Export and erase: as papers.
CREATE TABLE incident_task (
    id      TEXT   NOT NULL PRIMARY KEY,
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    owner   TEXT   NOT NULL, -- person id
    due     BIGINT NOT NULL,
    done    BIGINT,
    box     BYTEA  NOT NULL
);
CREATE INDEX incident_task_case ON incident_task (case_id);
