-- +goose Up
-- Rules of one's own, each version as it was written. n: of this rule, from 1. At most one is
-- enabled, and one more is on its way there. result: JSON, of the last back-test; whom its
-- examples are about stands in it under the journal's pseudonyms. Kept for ever; staff may export it;
-- there is nothing personal in it to erase.
CREATE TABLE watch_rule_version (
	rule TEXT NOT NULL, -- the UUID in the text
	n BIGINT NOT NULL,
	text TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	title TEXT NOT NULL,
	state TEXT NOT NULL, -- draft, tested, approved, enabled, retired
	author TEXT NOT NULL, -- kind/id
	made BIGINT NOT NULL,
	tested BIGINT NOT NULL,
	result TEXT NOT NULL,
	approver TEXT NOT NULL, -- kind/id
	approved BIGINT NOT NULL,
	enabled BIGINT NOT NULL,
	retired BIGINT NOT NULL,
	PRIMARY KEY (rule, n)
);
-- Two people who enable at once do not both win.
CREATE UNIQUE INDEX watch_rule_version_enabled ON watch_rule_version (rule) WHERE state = 'enabled';
-- What counts towards correlations of such rules, while their windows last. grp, val: hashes.
CREATE TABLE watch_point (
	of TEXT NOT NULL, -- rule@version/correlation
	grp TEXT NOT NULL,
	at BIGINT NOT NULL,
	ref BIGINT NOT NULL, -- of an entry its number
	base BIGINT NOT NULL,
	num TEXT NOT NULL,
	val TEXT NOT NULL,
	PRIMARY KEY (of, grp, ref, base)
);
CREATE INDEX watch_point_at ON watch_point (at);
