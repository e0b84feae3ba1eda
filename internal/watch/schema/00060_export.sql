-- +goose Up
-- How far each receiver of entries is. since: of its first start. taken, dropped: entries. file,
-- size: of a folder, which file was written last and how long it is. Public; nothing to erase.
CREATE TABLE watch_export (
	name TEXT NOT NULL PRIMARY KEY,
	n BIGINT NOT NULL,
	since BIGINT NOT NULL,
	taken BIGINT NOT NULL,
	dropped BIGINT NOT NULL,
	at BIGINT NOT NULL,
	file TEXT NOT NULL,
	size BIGINT NOT NULL
);
