-- +goose Up
-- How far the journal was read, and since when.
CREATE TABLE watch_cursor (
	id BIGINT NOT NULL PRIMARY KEY,
	n BIGINT NOT NULL,
	since BIGINT NOT NULL
);
-- How often a rule's facts came, by whom and minute. Rows go with the rule's window. who: a
-- pseudonym, or '' where a rule counts all together.
CREATE TABLE watch_count (
	rule TEXT NOT NULL,
	who TEXT NOT NULL,
	minute BIGINT NOT NULL,
	n BIGINT NOT NULL,
	PRIMARY KEY (rule, who, minute)
);
CREATE INDEX watch_count_minute ON watch_count (minute);
-- Alarms. labels: JSON, persons as pseudonyms only. due: when something is to be done about it next
-- (begin to fire, tell, escalate, end an acknowledgement); 0 = nothing. ends: when it clears if
-- nothing more comes; 0 = not by itself. level: how often it was told. Kept 5 years; staff may
-- export it; there is nothing personal in it to erase.
CREATE TABLE watch_alarm (
	id TEXT NOT NULL PRIMARY KEY,
	rule TEXT NOT NULL,
	fingerprint TEXT NOT NULL,
	labels TEXT NOT NULL,
	severity TEXT NOT NULL,
	clause TEXT NOT NULL,
	part TEXT NOT NULL,
	state TEXT NOT NULL, -- pending, firing, acknowledged, cleared, closed
	test BOOLEAN NOT NULL,
	silenced BOOLEAN NOT NULL,
	opened BIGINT NOT NULL,
	fired BIGINT NOT NULL,
	seen BIGINT NOT NULL,
	due BIGINT NOT NULL,
	ends BIGINT NOT NULL,
	told BIGINT NOT NULL,
	level BIGINT NOT NULL,
	acked_by TEXT NOT NULL, -- kind/id
	acked_until BIGINT NOT NULL,
	cleared BIGINT NOT NULL,
	closed BIGINT NOT NULL,
	verdict TEXT NOT NULL, -- true, benign, false, test
	flaps BIGINT NOT NULL,
	count BIGINT NOT NULL,
	value TEXT NOT NULL
);
CREATE INDEX watch_alarm_print ON watch_alarm (fingerprint, state);
CREATE INDEX watch_alarm_state ON watch_alarm (state, id);
CREATE INDEX watch_alarm_due ON watch_alarm (due);
CREATE INDEX watch_alarm_rule ON watch_alarm (rule, closed);
-- The entries of the journal that an alarm rests on; the first twenty.
CREATE TABLE watch_evidence (
	alarm TEXT NOT NULL,
	n BIGINT NOT NULL,
	PRIMARY KEY (alarm, n)
);
-- What happened to an alarm; the words of people are in the journal's entry alone.
CREATE TABLE watch_alarm_event (
	alarm TEXT NOT NULL,
	at BIGINT NOT NULL,
	what TEXT NOT NULL,
	who TEXT NOT NULL, -- kind/id
	entry TEXT NOT NULL, -- id in the journal
	PRIMARY KEY (alarm, entry, what)
);
-- When a rule last fired, and last fired in a test of all of it.
CREATE TABLE watch_rule (
	id TEXT NOT NULL PRIMARY KEY,
	fired BIGINT NOT NULL,
	tried BIGINT NOT NULL
);
-- What is not told for a while. matchers: JSON. hid: how many alarms it kept quiet. Kept 5 years.
CREATE TABLE watch_silence (
	id TEXT NOT NULL PRIMARY KEY,
	matchers TEXT NOT NULL,
	made BIGINT NOT NULL,
	made_by TEXT NOT NULL, -- kind/id
	starts BIGINT NOT NULL,
	ends BIGINT NOT NULL,
	hid BIGINT NOT NULL
);
-- Links in letters by which one person acknowledges. hash: SHA-256 of the token. Gone after a week.
CREATE TABLE watch_link (
	hash TEXT NOT NULL PRIMARY KEY,
	alarms TEXT NOT NULL, -- ids, with spaces between
	person TEXT NOT NULL,
	made BIGINT NOT NULL,
	used BIGINT NOT NULL
);
