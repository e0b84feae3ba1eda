-- +goose Up
-- What certmagic keeps: accounts, keys, certificates, open challenges; each box is sealed.
-- About the installation; nothing to export or erase.
CREATE TABLE gateway_acme (
    name     TEXT   PRIMARY KEY,
    box      BYTEA  NOT NULL,
    size     BIGINT NOT NULL,
    modified BIGINT NOT NULL
);
-- Who is asking an authority for something at this moment.
CREATE TABLE gateway_acme_lock (
    name  TEXT   PRIMARY KEY,
    owner TEXT   NOT NULL,
    until BIGINT NOT NULL
);
