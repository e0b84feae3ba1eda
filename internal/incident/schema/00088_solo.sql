-- +goose Up
-- Guards of lost data that ask for two people, and that one wants to pass alone, or did: since when the
-- others are asked, who of them answered, and when it was passed. object is what it is bound to: the
-- hash of a plan, or what was recorded by hand. Reasons are sealed with the key of the incident. Kept 7
-- years with it; the people go with the staff's export by id.
CREATE TABLE incident_solo (
    id       TEXT   NOT NULL PRIMARY KEY,
    case_id  TEXT   NOT NULL REFERENCES incident_case (id),
    round    BIGINT NOT NULL,
    guard    TEXT   NOT NULL,
    object   TEXT   NOT NULL,
    person   TEXT   NOT NULL,
    reason   BYTEA  NOT NULL,
    paged    BIGINT NOT NULL,
    answered BIGINT, -- NULL = nobody else has acted since
    answerer TEXT   NOT NULL,
    passed   BIGINT, -- NULL = it waits
    UNIQUE (case_id, round, guard, object, person)
);
