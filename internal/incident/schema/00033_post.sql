-- +goose Up
-- Posts on other networks, one row for each update and account. Public: what was posted is.
CREATE TABLE incident_post (
    id        TEXT   NOT NULL PRIMARY KEY, -- also its key at the network
    case_id   TEXT   NOT NULL REFERENCES incident_case (id),
    update_id TEXT   NOT NULL,
    channel   TEXT   NOT NULL, -- of the policy
    network   TEXT   NOT NULL,
    account   TEXT   NOT NULL, -- its place among the settings
    state     TEXT   NOT NULL, -- queued, sending, posted, rejected, unknown
    tries     BIGINT NOT NULL,
    due       BIGINT NOT NULL, -- not before
    body      TEXT   NOT NULL,
    link      TEXT   NOT NULL,
    remote    TEXT   NOT NULL,
    cid       TEXT   NOT NULL,
    url       TEXT   NOT NULL,
    code      TEXT   NOT NULL,
    made      BIGINT NOT NULL,
    ended     BIGINT,
    UNIQUE (update_id, account)
);
CREATE INDEX incident_post_case ON incident_post (case_id, account, made);
