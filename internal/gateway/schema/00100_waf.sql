-- +goose Up
-- What the rules that look for attacks found, for review: a rule, a place, how often and when;
-- never what was found. Rows go 30 days after they were last added to. Public: nothing in
-- them belongs to a person; nothing to export or erase.
CREATE TABLE gateway_waf_seen (
    rule       BIGINT  NOT NULL,
    route      TEXT    NOT NULL, -- the pattern
    variable   TEXT    NOT NULL,
    field      TEXT    NOT NULL, -- name of an argument or header; '' = the variable has none, ? = not to be kept
    n          BIGINT  NOT NULL,
    first_seen BIGINT  NOT NULL,
    last_seen  BIGINT  NOT NULL,
    refused    BOOLEAN NOT NULL,
    PRIMARY KEY (rule, route, variable, field)
);
CREATE INDEX gateway_waf_seen_last ON gateway_waf_seen (last_seen);
-- Exceptions from the rules; each ends by itself. owner: kind/id of who answers for it, ended_by of
-- who ended it. Public among staff; an id of a person, which is erased with the person's own
-- record. Kept, because it says what was not refused and why.
CREATE TABLE gateway_waf_exception (
    id       TEXT   NOT NULL PRIMARY KEY,
    rules    TEXT   NOT NULL, -- numbers, by spaces
    route    TEXT   NOT NULL,
    variable TEXT   NOT NULL,
    field    TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    owner    TEXT   NOT NULL,
    made     BIGINT NOT NULL,
    until    BIGINT NOT NULL,
    ended    BIGINT NOT NULL, -- 0 = not yet
    ended_by TEXT   NOT NULL
);
CREATE INDEX gateway_waf_exception_ended ON gateway_waf_exception (ended, until);
