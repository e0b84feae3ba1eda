-- +goose Up
-- Who brought the proposal: the author's handle, or who acted in the author's name, such
-- as operator/uid-1000. Empty for revisions older than this column, and the bootstrap.
ALTER TABLE policy_revision ADD COLUMN proposed_by TEXT NOT NULL DEFAULT '';
-- Likewise for an exception, with the signature of who it was asked for.
ALTER TABLE policy_exception ADD COLUMN requested_by TEXT NOT NULL DEFAULT '';
ALTER TABLE policy_exception ADD COLUMN confirmation TEXT NOT NULL DEFAULT '';
