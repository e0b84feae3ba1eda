-- +goose Up
-- Incidents, one row each. title is sealed under the incident's own key, as notes are. Times
-- are when something was so; onset is an interval. l, c, r, b, f: where each region stands,
-- '' = not opened. version rises with each change. Names people by id alone.
-- Export: what somebody did is in the entries of their own copy. Erase: with the incident's
-- key its words go; the rest names nobody.
CREATE TABLE incident_case (
    id           TEXT    NOT NULL PRIMARY KEY,
    number       BIGINT  NOT NULL,
    drill        BOOLEAN NOT NULL,
    round        BIGINT  NOT NULL,
    version      BIGINT  NOT NULL,
    title        BYTEA   NOT NULL,
    source       TEXT    NOT NULL, -- person, operator, report, alarm
    component    TEXT    NOT NULL, -- id of a component of the status page, or ''
    declared_by  TEXT    NOT NULL, -- person id, or kind/id
    severity     BIGINT  NOT NULL, -- 0 = not decided
    categories   TEXT    NOT NULL, -- with spaces between
    l            TEXT    NOT NULL,
    c            TEXT    NOT NULL,
    r            TEXT    NOT NULL,
    b            TEXT    NOT NULL,
    f            TEXT    NOT NULL,
    onset_from   BIGINT  NOT NULL,
    onset_to     BIGINT,
    declared     BIGINT  NOT NULL,
    acknowledged BIGINT,
    sorted       BIGINT,
    mitigated    BIGINT,
    resolved     BIGINT,
    closed       BIGINT,
    green        BIGINT, -- since when the impact is over
    review       BIGINT, -- since when it is being reviewed
    decided      BOOLEAN NOT NULL, -- who is affected was decided
    joined       TEXT    NOT NULL, -- id of the incident that this one is part of, or ''
    UNIQUE (drill, number)
);
CREATE INDEX incident_case_l ON incident_case (l, declared);
-- Who has which role. Export and erase: as above.
CREATE TABLE incident_role (
    id      TEXT   NOT NULL PRIMARY KEY,
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    role    TEXT   NOT NULL,
    person  TEXT   NOT NULL, -- person id, or kind/id
    since   BIGINT NOT NULL,
    until   BIGINT
);
CREATE UNIQUE INDEX incident_role_held ON incident_role (case_id, role) WHERE until IS NULL;
-- Notes, decisions and corrections, sealed. Export and erase: as above.
CREATE TABLE incident_note (
    id       TEXT   NOT NULL PRIMARY KEY,
    case_id  TEXT   NOT NULL REFERENCES incident_case (id),
    corrects TEXT   NOT NULL, -- id of a note, or ''
    written  TEXT   NOT NULL, -- by whom
    at       BIGINT NOT NULL,
    hash     TEXT   NOT NULL,
    box      BYTEA  NOT NULL
);
CREATE INDEX incident_note_case ON incident_note (case_id, at);
-- Deadlines. told: how far up it went when it was missed. Public.
CREATE TABLE incident_clock (
    id      TEXT   NOT NULL PRIMARY KEY,
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    round   BIGINT NOT NULL,
    region  TEXT   NOT NULL,
    state   TEXT   NOT NULL,
    clause  TEXT   NOT NULL, -- the parameter that it comes from
    started BIGINT NOT NULL,
    due     BIGINT NOT NULL,
    ended   BIGINT,
    missed  BIGINT,
    told    BIGINT NOT NULL
);
CREATE UNIQUE INDEX incident_clock_open ON incident_clock (case_id, region) WHERE ended IS NULL;
CREATE INDEX incident_clock_due ON incident_clock (due) WHERE ended IS NULL;
-- Yes of a person to a thing as it was, by its hash. Another hash: void. Export and erase: as above.
CREATE TABLE incident_approval (
    id      TEXT   NOT NULL PRIMARY KEY,
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    object  TEXT   NOT NULL, -- review, fix, text
    hash    TEXT   NOT NULL,
    person  TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    UNIQUE (case_id, object, hash, person)
);
-- Guards that two people let pass, for one round. reason is sealed. Export and erase: as above.
CREATE TABLE incident_waiver (
    id      TEXT   NOT NULL PRIMARY KEY,
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    round   BIGINT NOT NULL,
    region  TEXT   NOT NULL,
    guard   TEXT   NOT NULL,
    reason  BYTEA  NOT NULL,
    asked   BIGINT NOT NULL,
    asker   TEXT   NOT NULL,
    agreed  BIGINT,
    other   TEXT   NOT NULL,
    UNIQUE (case_id, round, region, guard)
);
-- The review, its root causes and the actions that follow. Texts are sealed. Export and erase: as above.
CREATE TABLE incident_review (
    case_id TEXT   NOT NULL PRIMARY KEY REFERENCES incident_case (id),
    round   BIGINT NOT NULL,
    author  TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    causes  BIGINT NOT NULL, -- how many root causes it names
    hash    TEXT   NOT NULL, -- of round, text, causes and actions
    box     BYTEA  NOT NULL
);
CREATE TABLE incident_action (
    id      TEXT    NOT NULL PRIMARY KEY,
    case_id TEXT    NOT NULL REFERENCES incident_case (id),
    cause   BIGINT  NOT NULL, -- number of the root cause, from 1
    prevent BOOLEAN NOT NULL,
    owner   TEXT    NOT NULL, -- person id
    due     BIGINT  NOT NULL,
    done    BIGINT,
    box     BYTEA   NOT NULL
);
CREATE INDEX incident_action_case ON incident_action (case_id);
-- The fix: a temporary one that ends by itself, the lasting one with owner and date. Export and erase: as above.
CREATE TABLE incident_fix (
    case_id  TEXT    NOT NULL PRIMARY KEY REFERENCES incident_case (id),
    author   TEXT    NOT NULL,
    hash     TEXT    NOT NULL,
    box      BYTEA,           -- what the temporary one is
    deployed BIGINT,
    expires  BIGINT,
    owner    TEXT    NOT NULL, -- of the lasting one
    due      BIGINT,
    plan     BYTEA,            -- what the lasting one is
    test     TEXT    NOT NULL,
    gone     BIGINT,
    told     BIGINT            -- when its end was alarmed
);
-- Teams that an incident touched, and the message to each. Public: ids alone.
CREATE TABLE incident_audience (
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    round   BIGINT NOT NULL,
    team    TEXT   NOT NULL,
    state   TEXT   NOT NULL, -- owed, queued, handed-over, failed, told-otherwise
    letters TEXT   NOT NULL, -- ids of jobs, with spaces between
    at      BIGINT NOT NULL,
    PRIMARY KEY (case_id, round, team)
);
-- What the server does by itself, once for each key. Public.
CREATE TABLE incident_work (
    key     TEXT   NOT NULL PRIMARY KEY, -- incident/region/act/round
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    act     TEXT   NOT NULL,
    state   TEXT   NOT NULL, -- pending, running, done, failed
    tries   BIGINT NOT NULL,
    made    BIGINT NOT NULL,
    ended   BIGINT,
    output  TEXT   NOT NULL, -- hash of what came of it
    problem TEXT   NOT NULL
);
-- Where else the public was told, by whoever posted it there. Public.
CREATE TABLE incident_elsewhere (
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    channel TEXT   NOT NULL,
    url     TEXT   NOT NULL,
    person  TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (case_id, channel)
);
