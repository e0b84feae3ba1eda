-- +goose Up
-- Who took part in a drill: people who were signed in and acted in it, and who said afterwards
-- that they followed it. Public; people by id alone. Export and erase: as of incident_case.
CREATE TABLE incident_drill_person (
    case_id  TEXT    NOT NULL REFERENCES incident_case (id),
    person   TEXT    NOT NULL,
    followed BOOLEAN NOT NULL, -- said so afterwards
    at       BIGINT  NOT NULL,
    PRIMARY KEY (case_id, person)
);
INSERT INTO incident_drill_person (case_id, person, followed, at)
    SELECT case_id, person, FALSE, MIN(at) FROM (
        SELECT case_id, caller AS person, begun AS at FROM incident_drill
        UNION ALL
        SELECT a.case_id, a.person, a.at FROM incident_approval a JOIN incident_drill d ON d.case_id = a.case_id
    ) acted WHERE person NOT LIKE '%/%' GROUP BY case_id, person;
