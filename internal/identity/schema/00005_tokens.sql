-- +goose Up
-- Accounts of programs. name: a slug that says what the program is, chosen within the
-- team; nothing personal. owner: the person without whom it may not act, '' = the team.
-- Export: the team. Erase: suspended with its owner; the row names nobody.
CREATE TABLE identity_service (
    id      TEXT   NOT NULL PRIMARY KEY,
    team    TEXT   NOT NULL REFERENCES identity_team (id),
    name    TEXT   NOT NULL,
    owner   TEXT   NOT NULL,
    roles   TEXT   NOT NULL,
    created BIGINT NOT NULL,
    ended   BIGINT
);
CREATE UNIQUE INDEX identity_service_name ON identity_service (team, name) WHERE ended IS NULL;
-- Tokens for programs. token: SHA-256 of what was shown once. name: sealed under the
-- person's key, or under class identity.team for a service. scopes, networks: separated
-- by a space. seen: to the hour. change: value of identity_counter when the row last
-- changed. Export: the person or the team, without the hash. Erase: ended with the
-- person, name blanked; kept 90 d after its end.
CREATE TABLE identity_token (
    id       TEXT   NOT NULL PRIMARY KEY,
    token    TEXT   NOT NULL UNIQUE,
    kind     TEXT   NOT NULL, -- personal, service
    person   TEXT   NOT NULL, -- of a personal token, else ''
    service  TEXT   NOT NULL, -- of a service's token, else ''
    team     TEXT   NOT NULL REFERENCES identity_team (id),
    name     BYTEA,
    scopes   TEXT   NOT NULL,
    networks TEXT   NOT NULL,
    issuer   TEXT   NOT NULL, -- kind/id of who asked for it
    issued   BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    seen     BIGINT NOT NULL, -- 0 = never
    ended    BIGINT,
    cause    TEXT   NOT NULL,
    change   BIGINT NOT NULL
);
CREATE INDEX identity_token_person ON identity_token (person);
CREATE INDEX identity_token_service ON identity_token (service);
CREATE INDEX identity_token_change ON identity_token (change);
