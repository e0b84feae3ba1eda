-- +goose Up
-- What exposed data meant for each team, for its own account of the incident: by whose letter, and by
-- the lines of a version about its records. placed: the rows below are made. class is a word of the
-- set, or cannot-know: nothing in the record speaks of it, and the record is not whole. team is ''
-- where a letter went to somebody without one. Counts and ids alone. Export: to the team's admins, once
-- the letters have gone out. Erase: with the incident.
ALTER TABLE incident_letter ADD COLUMN placed BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE incident_scope ADD COLUMN placed BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX incident_letter_unplaced ON incident_letter (id) WHERE NOT placed;
CREATE TABLE incident_letter_team (
    letter_id TEXT NOT NULL REFERENCES incident_letter (id),
    team      TEXT NOT NULL,
    case_id   TEXT NOT NULL REFERENCES incident_case (id),
    class     TEXT NOT NULL,
    data      TEXT NOT NULL, -- categories, with spaces between
    PRIMARY KEY (letter_id, team)
);
CREATE INDEX incident_letter_team_case ON incident_letter_team (team, case_id);
CREATE TABLE incident_scope_team (
    scope_id TEXT   NOT NULL REFERENCES incident_scope (id),
    team     TEXT   NOT NULL,
    class    TEXT   NOT NULL,
    case_id  TEXT   NOT NULL REFERENCES incident_case (id),
    records  BIGINT NOT NULL,
    whole    BIGINT NOT NULL, -- 1: data of the team as a whole, which no record names
    data     TEXT   NOT NULL, -- categories, with spaces between
    PRIMARY KEY (scope_id, team, class)
);
CREATE INDEX incident_audience_team ON incident_audience (team, case_id);
CREATE INDEX incident_lost_team ON incident_lost (team, case_id);
