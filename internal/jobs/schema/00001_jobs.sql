-- +goose Up
-- Work that waits: payload sealed under the class key "jobs"; a row goes when its work is done.
CREATE TABLE job_work (
	id TEXT NOT NULL PRIMARY KEY,
	kind TEXT NOT NULL,
	payload BYTEA NOT NULL,
	state TEXT NOT NULL,
	made BIGINT NOT NULL,
	due BIGINT NOT NULL,
	held BIGINT NOT NULL,
	tries BIGINT NOT NULL,
	problem TEXT NOT NULL
);
CREATE INDEX job_work_due ON job_work (state, due);
-- Roles that one node holds at a time; the epoch fences a holder that lost it.
CREATE TABLE job_lease (
	name TEXT NOT NULL PRIMARY KEY,
	holder TEXT NOT NULL,
	epoch BIGINT NOT NULL,
	until BIGINT NOT NULL
);
-- When each scheduled run last began, and until when it may still be running.
CREATE TABLE job_schedule (
	name TEXT NOT NULL PRIMARY KEY,
	began BIGINT NOT NULL,
	busy BIGINT NOT NULL
);
