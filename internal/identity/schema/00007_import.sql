-- +goose Up
-- Runs that brought people over. spec: how salted digests are made; it holds no secret.
-- Export: owners. Erase: nothing here is about a person.
CREATE TABLE identity_import (
    id      TEXT   NOT NULL PRIMARY KEY,
    spec    TEXT   NOT NULL,
    team    TEXT   NOT NULL, -- '' = a team of their own each
    issuer  TEXT   NOT NULL, -- kind/id of who began it
    begun   BIGINT NOT NULL,
    ended   BIGINT,
    made    BIGINT NOT NULL, -- with a password
    reset   BIGINT NOT NULL, -- without one: too weak
    known   BIGINT NOT NULL, -- were here before
    refused BIGINT NOT NULL
);
-- With which format each person came. Export: the person. Erase: the row goes.
CREATE TABLE identity_legacy (
    person   TEXT   NOT NULL PRIMARY KEY REFERENCES identity_person (id),
    import   TEXT   NOT NULL REFERENCES identity_import (id),
    format   TEXT   NOT NULL, -- as in auth.hash/import; reset = none was good enough
    imported BIGINT NOT NULL
);
