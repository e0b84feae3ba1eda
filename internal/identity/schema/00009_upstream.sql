-- +goose Up
-- Which person signs in with which account at another provider. subject: MAC of issuer
-- and subject, which names nobody. Export: the person. Erase: with the person.
CREATE TABLE identity_upstream_link (
    subject  TEXT   NOT NULL PRIMARY KEY,
    provider TEXT   NOT NULL,
    person   TEXT   NOT NULL REFERENCES identity_person (id),
    how      TEXT   NOT NULL, -- session, domain
    linked   BIGINT NOT NULL,
    UNIQUE (person, provider)
);
-- Answers that were taken, so that none is taken twice. hash: SHA-256 of a random state.
-- Exported by nobody; deleted after an hour, erased with it.
CREATE TABLE identity_upstream_state (
    hash  TEXT   NOT NULL PRIMARY KEY,
    taken BIGINT NOT NULL
);
