-- +goose Up
-- spread: since when every subscriber has the notice of a post in their row; NULL = a job has not
-- walked through them yet.
ALTER TABLE incident_status_update ADD COLUMN spread BIGINT;
UPDATE incident_status_update SET spread = at;
