-- +goose Up
-- Closures of the gate for a time, by what closed it, such as scheduled maintenance: each closes it
-- once. Public; nothing to export or erase.
CREATE TABLE gateway_hold (
    name  TEXT   NOT NULL PRIMARY KEY,
    since BIGINT NOT NULL,
    until BIGINT NOT NULL, -- announced end
    ended BIGINT           -- NULL = it lasts
);
-- Until when it is announced to be closed, where nothing but holds closed it; 0 = otherwise.
ALTER TABLE gateway_mode ADD COLUMN until BIGINT NOT NULL DEFAULT 0;
