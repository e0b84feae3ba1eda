-- +goose Up
-- Whose the records of a version are, as the application said when it was frozen: subjects, and names and addresses of
-- those who have no account here. Sealed. Export: with the person's letter. Erase: with the incident's key.
CREATE TABLE incident_scope_whose (
    scope_id TEXT   NOT NULL,
    n        BIGINT NOT NULL,
    case_id  TEXT   NOT NULL REFERENCES incident_case (id),
    made     BIGINT NOT NULL,
    box      BYTEA  NOT NULL,
    PRIMARY KEY (scope_id, n)
);
CREATE INDEX incident_scope_whose_case ON incident_scope_whose (case_id, made);
