-- +goose Up
-- Incidents whose events were handed over to whoever keeps them, by round. hash: of those events; '' = there
-- is nobody, or nothing any more. Kept 7 years; staff may export it; there is nothing personal in it to erase.
CREATE TABLE incident_lesson (
	case_id TEXT NOT NULL,
	round BIGINT NOT NULL,
	at BIGINT NOT NULL,
	events BIGINT NOT NULL,
	hash TEXT NOT NULL,
	PRIMARY KEY (case_id, round)
);
