-- +goose Up
-- Which ledger it is that counts the tries: a random name, given with the first number. One that is made
-- anew counts from 1 again, and what lies outside still knows the numbers of the one before; so they are
-- numbers of this one alone. '' = none was given yet. Public; nothing to export or erase.
ALTER TABLE incident_epoch ADD COLUMN ledger TEXT NOT NULL DEFAULT '';
