-- +goose Up
-- A drill that plays a past incident again: its id, '' = none, and how many times faster what was known
-- then becomes known. Nothing of that incident is copied. Export and erase: as of incident_drill.
ALTER TABLE incident_drill ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE incident_drill ADD COLUMN speed BIGINT NOT NULL DEFAULT 1;
