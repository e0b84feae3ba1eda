-- +goose Up
-- Which version of the terms a customer accepted, when and how. Newer ones add rows.
-- Export: the person. Erase: the rows go.
CREATE TABLE identity_terms (
    person  TEXT   NOT NULL REFERENCES identity_person (id),
    version BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    how     TEXT   NOT NULL, -- sign-up, invitation, page, vouched (by whoever made the account), planted
    PRIMARY KEY (person, version)
);
