-- +goose Up
-- Of whom the owners of a team's items were told that they left. Export: nobody. Erase: when
-- they are back; it is an id and a time.
CREATE TABLE vault_item_left (
    team   TEXT   NOT NULL,
    person TEXT   NOT NULL,
    noted  BIGINT NOT NULL,
    PRIMARY KEY (team, person)
);
-- Who saw something in a team, one person at a time.
CREATE INDEX vault_seen_team ON vault_seen (team, who);
