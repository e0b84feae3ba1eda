-- +goose Up
-- Letters to a subscriber that came back for good, and when the last one did: five suspend, as
-- five refusals do. What came back is known days after its letter was taken, so these are counted apart.
ALTER TABLE incident_status_subscriber ADD COLUMN bounced BIGINT NOT NULL DEFAULT 0;
ALTER TABLE incident_status_subscriber ADD COLUMN bounced_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE incident_status_subscriber ADD COLUMN bounced_of TEXT NOT NULL DEFAULT ''; -- id of that letter: it is counted once
