-- +goose Up
-- Labels with the most among those for which a meter had no room of their own, as far as one process
-- counted them in an hour (writer: a name by chance). box: what heavy writes: each at least and at
-- most. Kept 35 days. label: as in watch_series; staff may export it; there is nothing personal in it to erase.
CREATE TABLE watch_heavy (
	hour BIGINT NOT NULL,
	meter TEXT NOT NULL,
	dimension TEXT NOT NULL,
	writer TEXT NOT NULL,
	box BYTEA NOT NULL,
	PRIMARY KEY (hour, meter, dimension, writer)
);
