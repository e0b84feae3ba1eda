-- +goose Up
-- The one time below a level that a person gets, for each level once: acr 2 without a second
-- factor, acr 3 without a passkey. A row is never renewed.
-- Export: the person. Erase: the rows go.
CREATE TABLE identity_grace_of (
    person TEXT   NOT NULL REFERENCES identity_person (id),
    acr    BIGINT NOT NULL,
    began  BIGINT NOT NULL,
    until  BIGINT NOT NULL,
    PRIMARY KEY (person, acr)
);
INSERT INTO identity_grace_of (person, acr, began, until) SELECT person, 2, began, until FROM identity_grace;
DROP TABLE identity_grace;
ALTER TABLE identity_grace_of RENAME TO identity_grace;
-- The level that low excuses a session from: a stricter one is not put off by it.
ALTER TABLE identity_session ADD COLUMN low_acr BIGINT NOT NULL DEFAULT 2;
-- How many of the uses needed a hosting role while its second factor was too old.
ALTER TABLE identity_use ADD COLUMN late BIGINT NOT NULL DEFAULT 0;
