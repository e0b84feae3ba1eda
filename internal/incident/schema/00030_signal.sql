-- +goose Up
-- What told of an incident: an alarm, spending, a customer's report. Each begins one incident,
-- or belongs to one that is open. Public: says is the title of a rule, or the name of a budget.
-- Goes with its incident. Export and erase: it names nobody.
CREATE TABLE incident_signal (
    id      TEXT   NOT NULL PRIMARY KEY, -- alarm/ID, entry/ID of spending, report/ID
    case_id TEXT   NOT NULL REFERENCES incident_case (id),
    kind    TEXT   NOT NULL, -- the kind of incident that it suggests
    says    TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    judged  BIGINT           -- when its alarm was told that it was false
);
CREATE INDEX incident_signal_case ON incident_signal (case_id, at);
