-- +goose Up
-- Of which maintenance subscribers were reminded, and how long before: once each. Public.
CREATE TABLE incident_status_reminder (
    window_id TEXT   NOT NULL REFERENCES incident_status_window (id),
    before    BIGINT NOT NULL, -- µs
    starts    BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (window_id, before, starts)
);
