-- +goose Up
-- Reports of how letters about a breach stand, one a day. n: which of them; 0 is when the
-- first letter was made, and no report. last: each letter had its end by then. Nothing personal in it. Kept as long as the incident; staff may export it.
CREATE TABLE incident_letter_day (
	case_id TEXT NOT NULL REFERENCES incident_case (id),
	n BIGINT NOT NULL,
	at BIGINT NOT NULL,
	last BOOLEAN NOT NULL,
	PRIMARY KEY (case_id, n)
);
INSERT INTO incident_letter_day (case_id, n, at, last) SELECT case_id, 0, MIN(at), FALSE FROM incident_letter GROUP BY case_id;
