-- +goose Up
-- The mode of the gate: one row. Public; nothing to export or erase.
CREATE TABLE gateway_mode (
    one     BIGINT PRIMARY KEY CHECK (one = 1),
    mode    TEXT   NOT NULL,
    changed BIGINT NOT NULL
);
INSERT INTO gateway_mode (one, mode, changed) VALUES (1, 'normal', 0);
-- The route file that was last adopted: one row. Public; nothing to export or erase.
CREATE TABLE gateway_routes (
    one     BIGINT PRIMARY KEY CHECK (one = 1),
    hash    TEXT   NOT NULL,
    adopted BIGINT NOT NULL
);
INSERT INTO gateway_routes (one, hash, adopted) VALUES (1, '', 0);
