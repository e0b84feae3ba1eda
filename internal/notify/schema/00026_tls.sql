-- +goose Up
-- The version of TLS of a try, such as TLS 1.3; '' = the connection was not encrypted, or there was none.
ALTER TABLE notify_attempt ADD COLUMN tls TEXT NOT NULL DEFAULT '';
