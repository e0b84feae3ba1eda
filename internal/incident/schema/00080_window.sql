-- +goose Up
-- Maintenance that closes the gate (1), that may begin (NULL = it waits for a person's word, where one
-- is asked for), and when it began: what is completed without that did not take place.
ALTER TABLE incident_status_window ADD COLUMN closes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE incident_status_window ADD COLUMN confirmed BIGINT;
ALTER TABLE incident_status_window ADD COLUMN began BIGINT;
UPDATE incident_status_window SET confirmed = made, began = starts WHERE state IN ('in_progress', 'verifying') OR state = 'completed' AND changed >= starts;
-- What a component stands on, as alarms name it, with spaces between.
ALTER TABLE incident_status_component ADD COLUMN covers TEXT NOT NULL DEFAULT '';
