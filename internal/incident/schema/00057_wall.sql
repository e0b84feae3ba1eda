-- +goose Up
-- since: what a time begins with: aware (the breach is known), declared, or suspected.
ALTER TABLE incident_wall ADD COLUMN since TEXT NOT NULL DEFAULT 'aware';
