-- +goose Up
-- What is usual of a series. box: what baseline writes. Kept while the series lives, and 90 days; staff may export it; there is nothing personal
-- in it to erase.
CREATE TABLE watch_baseline (
	meter TEXT NOT NULL,
	dimension TEXT NOT NULL,
	label TEXT NOT NULL,
	kept BIGINT NOT NULL, -- when it was written
	box BYTEA NOT NULL,
	PRIMARY KEY (meter, dimension, label)
);
CREATE INDEX watch_baseline_kept ON watch_baseline (kept);
-- Up to which minute every one of them has learned. Minutes after it are learned again from
-- their rows, and those that some have learned already change nothing.
CREATE TABLE watch_learned (
	id BIGINT NOT NULL PRIMARY KEY,
	minute BIGINT NOT NULL
);
-- The habits of a person (networks, agents, endpoints, hours), sealed under the person's own key:
-- they die with it. mark: the pseudonym in the store of keys. Gone 90 days after they were last
-- seen; part of the copy that a person may have of their data.
CREATE TABLE watch_principal (
	mark TEXT NOT NULL PRIMARY KEY,
	seen BIGINT NOT NULL,
	box BYTEA NOT NULL
);
CREATE INDEX watch_principal_seen ON watch_principal (seen);
