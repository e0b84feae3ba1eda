-- +goose Up
-- What was kept when an incident began, a row for each round: a named point of the application's
-- database, and that its backups do not expire until released. Public.
CREATE TABLE incident_keep (
    case_id  TEXT   NOT NULL REFERENCES incident_case (id),
    round    BIGINT NOT NULL,
    name     TEXT   NOT NULL,
    position TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    released BIGINT,
    PRIMARY KEY (case_id, round)
);
-- The charts of the half hours around the beginning, which are a file of the incident: their
-- series are rolled up, the file stays. file '' = there was nobody to ask. Public.
CREATE TABLE incident_chart (
    case_id TEXT   NOT NULL PRIMARY KEY REFERENCES incident_case (id),
    file    TEXT   NOT NULL,
    at      BIGINT NOT NULL
);
-- Since when nothing is deployed because of an incident, a row for each time. Public.
CREATE TABLE incident_freeze (
    id      TEXT   NOT NULL PRIMARY KEY,
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    since   BIGINT NOT NULL,
    lifted  BIGINT
);
CREATE UNIQUE INDEX incident_freeze_open ON incident_freeze (case_id) WHERE lifted IS NULL;
INSERT INTO incident_chart (case_id, file, at) SELECT id, '', declared FROM incident_case; -- those from before keep none
INSERT INTO incident_freeze (id, case_id, since, lifted) SELECT id, id, declared, NULL FROM incident_case WHERE NOT drill AND l IN ('L1', 'L2', 'L3') AND severity IN (1, 2);
