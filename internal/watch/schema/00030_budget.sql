-- +goose Up
-- What may be used or spent in a month. meter: one of the series, bill, or prices. service: of a
-- bill, '' = all. plan: an exact decimal. Kept while it stands; staff may export it; there is
-- nothing personal in it to erase.
CREATE TABLE watch_budget (
	name TEXT NOT NULL PRIMARY KEY,
	meter TEXT NOT NULL,
	service TEXT NOT NULL,
	plan TEXT NOT NULL,
	unit TEXT NOT NULL,
	made BIGINT NOT NULL,
	changed BIGINT NOT NULL,
	changed_by TEXT NOT NULL -- kind/id
);
-- What a source says of a month. lines: JSON by day and service, exact decimals, credits apart.
-- through: the last day it speaks of. Kept 7 years; export and erase: as above.
CREATE TABLE watch_bill (
	source TEXT NOT NULL,
	month TEXT NOT NULL, -- 2026-11
	currency TEXT NOT NULL,
	lines TEXT NOT NULL,
	through BIGINT NOT NULL,
	brought BIGINT NOT NULL,
	PRIMARY KEY (source, month)
);
CREATE INDEX watch_bill_month ON watch_bill (month);
-- What units of a meter cost. Export and erase: as above.
CREATE TABLE watch_price (
	meter TEXT NOT NULL PRIMARY KEY,
	amount TEXT NOT NULL,
	per BIGINT NOT NULL,
	currency TEXT NOT NULL
);
-- A level that was reached: once a month for each plan. entry: id in the journal. signs: JSON, what
-- grew most in the hours before; networks stand under the journal's pseudonyms. Kept 7 years;
-- export and erase: as above.
CREATE TABLE watch_crossing (
	id TEXT NOT NULL PRIMARY KEY,
	budget TEXT NOT NULL,
	month TEXT NOT NULL,
	level TEXT NOT NULL, -- 50, 80, 100, 120, forecast
	plan TEXT NOT NULL,
	unit TEXT NOT NULL,
	actual TEXT NOT NULL,
	forecast TEXT NOT NULL, -- '' = still learning
	at BIGINT NOT NULL,
	entry TEXT NOT NULL,
	signs TEXT NOT NULL,
	UNIQUE (budget, month, level, plan)
);
CREATE INDEX watch_crossing_at ON watch_crossing (at);
