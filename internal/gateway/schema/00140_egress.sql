-- +goose Up
-- Destinations that private services may reach through the way out; each ends by itself. owner and ended_by:
-- kind/id of who answers for it and of who ended it. Public among staff; an id of a person, which is erased with
-- the person's own record. Kept, because it says what was let through and why.
CREATE TABLE gateway_egress (
    id       TEXT   NOT NULL PRIMARY KEY,
    name     TEXT   NOT NULL,
    port     BIGINT NOT NULL,
    inside   TEXT   NOT NULL, -- networks beside the public ones in which it may lie, by spaces
    reason   TEXT   NOT NULL,
    owner    TEXT   NOT NULL,
    made     BIGINT NOT NULL,
    until    BIGINT NOT NULL,
    ended    BIGINT NOT NULL, -- 0 = not yet
    ended_by TEXT   NOT NULL
);
CREATE INDEX gateway_egress_ended ON gateway_egress (ended, until);
-- Who went out, or was refused, where to: how often, how much and when; never what was said. Rows go 90 days after
-- they were last added to. caller: kind/id of a service, of a program, or of whose token it was. Public among staff.
CREATE TABLE gateway_egress_seen (
    caller     TEXT   NOT NULL,
    name       TEXT   NOT NULL, -- '' = what was asked for is no plain name
    port       BIGINT NOT NULL,
    cause      TEXT   NOT NULL, -- '' = let through
    n          BIGINT NOT NULL,
    sent       BIGINT NOT NULL,
    back       BIGINT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    PRIMARY KEY (caller, name, port, cause)
);
CREATE INDEX gateway_egress_seen_last ON gateway_egress_seen (last_seen);
