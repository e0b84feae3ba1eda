-- +goose Up
-- Addresses that letters came back from. mark: a MAC of the address; box: the address, sealed
-- under the class key "notify.address". soft: on how many days one came back that may arrive
-- another day; counted: when the last of them was counted; dead: since when the address counts
-- as unreachable, 0 = it does not. Export: to staff, as of whom letters do not reach.
-- Erase: a year after the last one, or when a letter arrived.
CREATE TABLE notify_address (
	mark TEXT NOT NULL PRIMARY KEY,
	box BYTEA NOT NULL,
	soft BIGINT NOT NULL,
	counted BIGINT NOT NULL,
	dead BIGINT NOT NULL,
	code TEXT NOT NULL
);
