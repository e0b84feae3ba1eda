-- +goose Up
-- Invitations to a team, one row each. idx: MAC of the invited address. about: that address,
-- sealed under the strangers' key of the month in which it expires; blank once it was
-- answered, and 30 d after it expired. token: SHA-256 of the newest link that was mailed, so
-- that a new one ends the former. taken_by: MAC of the address of whoever accepted. Kept 1 y.
-- Export: the admins of the team; the person, once they joined. Erase: with the invited
-- person the row goes; the inviter is an id that tells nothing once they are erased.
CREATE TABLE identity_invitation (
    id       TEXT   NOT NULL PRIMARY KEY,
    team     TEXT   NOT NULL REFERENCES identity_team (id),
    idx      TEXT   NOT NULL,
    about    BYTEA,
    roles    TEXT   NOT NULL,
    inviter  TEXT   NOT NULL, -- a person, or the operator
    token    TEXT   NOT NULL UNIQUE,
    bits     BIGINT NOT NULL,
    issued   BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    ended    BIGINT,
    cause    TEXT   NOT NULL, -- '', accepted, revoked, superseded, inviter-left, expired
    person   TEXT   NOT NULL, -- who accepted
    taken_by TEXT   NOT NULL
);
CREATE INDEX identity_invitation_team ON identity_invitation (team, id);
CREATE INDEX identity_invitation_idx ON identity_invitation (idx);
CREATE INDEX identity_invitation_inviter ON identity_invitation (inviter);
