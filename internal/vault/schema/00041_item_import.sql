-- +goose Up
-- Passes of imports that were done, so that two nodes do not do one twice. pass: a MAC of the
-- file, the person and the owners. Export: none. Erase: a quarter of an hour later.
CREATE TABLE vault_item_import (
    pass TEXT   NOT NULL PRIMARY KEY,
    at   BIGINT NOT NULL
);
