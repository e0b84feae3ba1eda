-- +goose Up
-- The series there are. label: a pattern of a route, a team, a pseudonym; never a name or an
-- address. Kept 5 years after it was last seen; staff may export it; there is nothing personal in it to erase.
CREATE TABLE watch_series (
	id {{autoid}},
	meter TEXT NOT NULL,
	dimension TEXT NOT NULL, -- '' = everything together
	label TEXT NOT NULL,
	seen BIGINT NOT NULL,
	UNIQUE (meter, dimension, label)
);
-- How much went on in one minute, hour and day (at: when it began). n: how often; sum and high:
-- of the values, in the meter's unit; sketch: their quantiles, empty where none are kept. Kept
-- 35 days, 400 days and 5 years.
CREATE TABLE watch_series_1m (
	series BIGINT NOT NULL,
	at BIGINT NOT NULL,
	n BIGINT NOT NULL,
	sum BIGINT NOT NULL,
	high BIGINT NOT NULL,
	sketch BYTEA NOT NULL,
	PRIMARY KEY (series, at)
);
CREATE INDEX watch_series_1m_at ON watch_series_1m (at);
CREATE TABLE watch_series_1h (
	series BIGINT NOT NULL,
	at BIGINT NOT NULL,
	n BIGINT NOT NULL,
	sum BIGINT NOT NULL,
	high BIGINT NOT NULL,
	sketch BYTEA NOT NULL,
	PRIMARY KEY (series, at)
);
CREATE INDEX watch_series_1h_at ON watch_series_1h (at);
CREATE TABLE watch_series_1d (
	series BIGINT NOT NULL,
	at BIGINT NOT NULL,
	n BIGINT NOT NULL,
	sum BIGINT NOT NULL,
	high BIGINT NOT NULL,
	sketch BYTEA NOT NULL,
	PRIMARY KEY (series, at)
);
CREATE INDEX watch_series_1d_at ON watch_series_1d (at);
-- Which minutes of an hour a source was there (seen) and lost something (holes): a bit a minute.
CREATE TABLE watch_observed (
	source TEXT NOT NULL,
	hour BIGINT NOT NULL,
	seen BIGINT NOT NULL,
	holes BIGINT NOT NULL,
	PRIMARY KEY (source, hour)
);
