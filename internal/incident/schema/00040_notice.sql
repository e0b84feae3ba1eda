-- +goose Up
-- Webhooks subscribe beside addresses, and each says which parts it is told of.
ALTER TABLE incident_status_subscriber ADD COLUMN kind TEXT NOT NULL DEFAULT 'mail'; -- mail, webhook
ALTER TABLE incident_status_subscriber ADD COLUMN parts TEXT NOT NULL DEFAULT ''; -- component ids, with spaces between; '' = all
ALTER TABLE incident_status_subscriber ADD COLUMN refused BIGINT NOT NULL DEFAULT 0; -- messages, one after another
ALTER TABLE incident_status_subscriber ADD COLUMN suspended BIGINT; -- since when it is told nothing, because it refused too many
-- What subscribers are told, one row for each of them and incident or maintenance: only the
-- newest that was not sent yet goes out. Goes with the subscriber, and after ninety days.
-- Export and erase: as of the subscriber; the row names them by id alone.
CREATE TABLE incident_status_notice (
    subscriber TEXT   NOT NULL,
    about      TEXT   NOT NULL, -- incident/ID, window/ID
    what       TEXT   NOT NULL, -- id of the update; of maintenance what is said of it
    state      TEXT   NOT NULL, -- queued, told, refused, unknown
    code       TEXT   NOT NULL,
    tries      BIGINT NOT NULL,
    made       BIGINT NOT NULL, -- since when it waits
    ended      BIGINT,
    PRIMARY KEY (subscriber, about)
);
CREATE INDEX incident_status_notice_about ON incident_status_notice (about, state);
