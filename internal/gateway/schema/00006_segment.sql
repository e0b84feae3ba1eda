-- +goose Up
-- Closed segments of access records, which lie in files; their hashes are entries too. Public; what is in the
-- files is sealed, exported with journal.export and erased by its age.
CREATE TABLE gateway_segment (
    id      TEXT   PRIMARY KEY,
    folder  TEXT   NOT NULL, -- the folder's own name, so that each node looks for its own
    began   BIGINT NOT NULL,
    ended   BIGINT NOT NULL,
    records BIGINT NOT NULL,
    bytes   BIGINT NOT NULL,
    sha256  TEXT   NOT NULL
);
CREATE INDEX gateway_segment_ended ON gateway_segment (folder, ended);
