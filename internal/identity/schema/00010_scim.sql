-- +goose Up
-- Connections of a team's own directory (SCIM). name: a slug; nothing personal. service:
-- the account whose tokens the directory uses. roles: all that it may give. standard: the
-- role of somebody in no mapped group, '' = none. Export: the team. Erase: names nobody.
CREATE TABLE identity_scim (
    id       TEXT   NOT NULL PRIMARY KEY,
    team     TEXT   NOT NULL REFERENCES identity_team (id),
    name     TEXT   NOT NULL,
    service  TEXT   NOT NULL UNIQUE REFERENCES identity_service (id),
    roles    TEXT   NOT NULL,
    standard TEXT   NOT NULL,
    maker    TEXT   NOT NULL, -- kind/id
    made     BIGINT NOT NULL,
    ended    BIGINT
);
CREATE UNIQUE INDEX identity_scim_team ON identity_scim (team) WHERE ended IS NULL;
-- The domains in which a connection's word confirms an address. One domain, one connection.
-- Export: the team. Erase: with the connection.
CREATE TABLE identity_scim_domain (
    domain     TEXT NOT NULL PRIMARY KEY,
    connection TEXT NOT NULL REFERENCES identity_scim (id)
);
-- Which group of the directory means which role. idx: MAC of the folded name. name: sealed
-- under class identity.team. Export: the team. Erase: with the connection.
CREATE TABLE identity_scim_role (
    connection TEXT  NOT NULL REFERENCES identity_scim (id),
    idx        TEXT  NOT NULL,
    name       BYTEA NOT NULL,
    role       TEXT  NOT NULL,
    PRIMARY KEY (connection, idx)
);
-- What a directory said of a person. uname, ext: MACs of userName and externalId. about:
-- both, and the parts of the name, sealed under the person's key. off: since when the
-- person is deprovisioned by this connection, NULL while they are not. ended: the directory
-- deleted the resource. Export: the person, as name and address of the account. Erase: the
-- row goes.
CREATE TABLE identity_scim_user (
    connection TEXT   NOT NULL REFERENCES identity_scim (id),
    person     TEXT   NOT NULL REFERENCES identity_person (id),
    uname      TEXT   NOT NULL,
    ext        TEXT   NOT NULL,
    about      BYTEA,
    version    BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    changed    BIGINT NOT NULL,
    off        BIGINT,
    ended      BIGINT,
    PRIMARY KEY (connection, person)
);
CREATE UNIQUE INDEX identity_scim_user_uname ON identity_scim_user (connection, uname) WHERE ended IS NULL;
CREATE INDEX identity_scim_user_person ON identity_scim_user (person);
-- Groups that a directory pushed. idx, ext: MACs of the folded name and of externalId.
-- about: both, sealed under class identity.team. role: what the group means, '' = nothing.
-- Export: the team. Erase: names nobody.
CREATE TABLE identity_scim_group (
    id         TEXT   NOT NULL PRIMARY KEY,
    connection TEXT   NOT NULL REFERENCES identity_scim (id),
    idx        TEXT   NOT NULL,
    ext        TEXT   NOT NULL,
    about      BYTEA  NOT NULL,
    role       TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    changed    BIGINT NOT NULL,
    ended      BIGINT
);
CREATE UNIQUE INDEX identity_scim_group_idx ON identity_scim_group (connection, idx) WHERE ended IS NULL;
-- Who is in which of those groups. Export: the team. Erase: the rows go with the person.
CREATE TABLE identity_scim_member (
    grp    TEXT NOT NULL REFERENCES identity_scim_group (id),
    person TEXT NOT NULL REFERENCES identity_person (id),
    PRIMARY KEY (grp, person)
);
CREATE INDEX identity_scim_member_person ON identity_scim_member (person);
