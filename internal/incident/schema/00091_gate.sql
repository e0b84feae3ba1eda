-- +goose Up
-- When an incident closed the application and to whom it opened it again, in order: share is that of the
-- teams that are let in, in per cent; -1 = nobody, 0 = staff alone, 100 = everybody. A team's account
-- says by it for how long that team was shut out. Public: times alone. Export and erase: as of
-- incident_case.
CREATE TABLE incident_gate (
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    n       BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    share   BIGINT NOT NULL,
    PRIMARY KEY (case_id, n)
);
-- Of what was before this table only the beginning and the end are known: nobody counts as let in early.
INSERT INTO incident_gate (case_id, n, at, share) SELECT case_id, 2 * round, down, -1 FROM incident_loss WHERE down IS NOT NULL;
INSERT INTO incident_gate (case_id, n, at, share) SELECT case_id, 2 * round + 1, up, 100 FROM incident_loss WHERE down IS NOT NULL AND up IS NOT NULL;
