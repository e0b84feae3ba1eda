-- +goose Up
-- A temporary fix is reviewed by one person now and by another one within a day. approver and
-- second are people by id alone; overdue is when it was told that nobody was the second.
ALTER TABLE incident_fix ADD COLUMN approver TEXT NOT NULL DEFAULT '';
ALTER TABLE incident_fix ADD COLUMN approved BIGINT;
ALTER TABLE incident_fix ADD COLUMN second TEXT NOT NULL DEFAULT '';
ALTER TABLE incident_fix ADD COLUMN seconded BIGINT;
ALTER TABLE incident_fix ADD COLUMN overdue BIGINT;
