-- +goose Up
-- address: a mark of the address that an answer was asked for at; '' = none. Export and erase: as of the report.
ALTER TABLE incident_report ADD COLUMN address TEXT NOT NULL DEFAULT '';
CREATE INDEX incident_report_address ON incident_report (address, at);
