-- +goose Up
-- When the record was looked through for what may have damaged the data; NULL = not yet. The
-- candidates are in onsets. Export and erase: as of incident_loss.
ALTER TABLE incident_loss ADD COLUMN looked BIGINT;
