-- +goose Up
-- What answers a guard of lost data or of a breach. Public: says is words of the server, or of
-- whoever recorded it. Goes when its act is done again; the journal keeps it. Erase: stays.
CREATE TABLE incident_proof (
    case_id TEXT    NOT NULL REFERENCES incident_case (id),
    round   BIGINT  NOT NULL,
    guard   TEXT    NOT NULL,
    act     TEXT    NOT NULL, -- of the server that found it; '' = a person recorded it
    good    BOOLEAN NOT NULL,
    hash    TEXT    NOT NULL, -- of the evidence
    says    TEXT    NOT NULL,
    at      BIGINT  NOT NULL,
    PRIMARY KEY (case_id, round, guard)
);
ALTER TABLE incident_work ADD COLUMN token TEXT NOT NULL DEFAULT ''; -- of the job that may do it
ALTER TABLE incident_work ADD COLUMN job TEXT NOT NULL DEFAULT '';
ALTER TABLE incident_work ADD COLUMN says TEXT NOT NULL DEFAULT '';
