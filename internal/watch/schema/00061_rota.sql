-- +goose Up
-- Who takes turns at being told first, and second. people: JSON, ids in the order of their turns, a
-- week each. begins: when the first of them began. holder: whose turn was last announced. Kept
-- while it stands; staff may export it; people stand by their ids.
CREATE TABLE watch_rota (
	name TEXT NOT NULL PRIMARY KEY, -- first, second
	zone TEXT NOT NULL,
	day BIGINT NOT NULL, -- of the week, 0 = Sunday
	minute BIGINT NOT NULL, -- of that day
	people TEXT NOT NULL,
	begins BIGINT NOT NULL,
	holder TEXT NOT NULL,
	changed BIGINT NOT NULL,
	changed_by TEXT NOT NULL -- kind/id
);
-- Turns that somebody takes over. back_*: the turn that is taken in return; 0 = none. of, taker: ids;
-- *_agreed: when that one agreed. It stands when both have. ended: declined. Kept 5 years; export
-- and erase: as above.
CREATE TABLE watch_override (
	id TEXT NOT NULL PRIMARY KEY,
	rota TEXT NOT NULL,
	starts BIGINT NOT NULL,
	ends BIGINT NOT NULL,
	back_starts BIGINT NOT NULL,
	back_ends BIGINT NOT NULL,
	of_person TEXT NOT NULL,
	taker TEXT NOT NULL,
	made BIGINT NOT NULL,
	made_by TEXT NOT NULL, -- kind/id
	of_agreed BIGINT NOT NULL,
	taker_agreed BIGINT NOT NULL,
	ended BIGINT NOT NULL
);
CREATE INDEX watch_override_ends ON watch_override (ends);
