-- +goose Up
-- Roles lent to members of staff until a moment, at most for as long as their need. need:
-- '' (for the moment), ticket/…, project/… or role/…. reason: written by whoever lends,
-- shown to all who may read rights. began is empty while a second person must agree.
-- Export: the person. Erase: the row stays under the random id, without the reason.
CREATE TABLE identity_grant (
    id       TEXT   NOT NULL PRIMARY KEY,
    person   TEXT   NOT NULL,
    team     TEXT   NOT NULL,
    role     TEXT   NOT NULL,
    need     TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    asked    BIGINT NOT NULL,
    until    BIGINT NOT NULL,
    grantor  TEXT   NOT NULL, -- kind/id of the actor; '' while only its holder asked
    approver TEXT   NOT NULL,
    began    BIGINT,
    ended    BIGINT,
    cause    TEXT   NOT NULL  -- '', time, revoked, need-ended, review, disabled, erased
);
CREATE INDEX identity_grant_person ON identity_grant (person);
CREATE INDEX identity_grant_live ON identity_grant (ended, until);
-- Tickets, projects and roles that are over. Nobody's data; kept.
CREATE TABLE identity_need (
    need  TEXT   NOT NULL PRIMARY KEY,
    ended BIGINT NOT NULL
);
-- Reviews of the rights of staff. kind: all, or unused. closer: kind/id of the actor.
-- Export and erase: no personal values, ids only; kept as evidence.
CREATE TABLE identity_review (
    id     TEXT   NOT NULL PRIMARY KEY,
    kind   TEXT   NOT NULL,
    opened BIGINT NOT NULL,
    due    BIGINT NOT NULL,
    closed BIGINT,
    opener TEXT   NOT NULL
);
-- One right of one person in a review. held: what is held, a role or the id of a grant.
-- why: '' or unused. decision: '', keep, revoke. outcome: '', kept, revoked, gone,
-- last-owner. reason: written by the reviewer. Export: the person. Erase: the row stays
-- under the random id, without the reason.
CREATE TABLE identity_review_item (
    id       TEXT   NOT NULL PRIMARY KEY,
    review   TEXT   NOT NULL REFERENCES identity_review (id),
    person   TEXT   NOT NULL,
    team     TEXT   NOT NULL,
    kind     TEXT   NOT NULL, -- role, grant
    held     TEXT   NOT NULL,
    role     TEXT   NOT NULL,
    why      TEXT   NOT NULL,
    decision TEXT   NOT NULL,
    outcome  TEXT   NOT NULL,
    reviewer TEXT   NOT NULL, -- kind/id of the actor
    reason   TEXT   NOT NULL,
    decided  BIGINT
);
CREATE INDEX identity_review_item_review ON identity_review_item (review);
CREATE INDEX identity_review_item_person ON identity_review_item (person, role);
-- How often a person was allowed an action on a day (midnight, UTC). The row of person ''
-- says since when it is counted. Export: the person. Erase: the rows go; older than 400 d
-- they go for everybody.
CREATE TABLE identity_use (
    person TEXT   NOT NULL,
    action TEXT   NOT NULL,
    day    BIGINT NOT NULL,
    n      BIGINT NOT NULL,
    PRIMARY KEY (person, action, day)
);
CREATE INDEX identity_use_day ON identity_use (day);
