-- +goose Up
-- Texts that public notices begin with, where the company has written its own: each version of each, for
-- ever. An empty body is a return to the text that comes with the build. Public words: nobody's to export
-- or erase; person is the id of whoever wrote it.
CREATE TABLE incident_notice_text (
    kind    TEXT   NOT NULL, -- of incident, or maintenance
    state   TEXT   NOT NULL, -- word of the status page
    version BIGINT NOT NULL, -- from 1; 0 is the one that comes with the build
    body    TEXT   NOT NULL,
    person  TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (kind, state, version)
);
