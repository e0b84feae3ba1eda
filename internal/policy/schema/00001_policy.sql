-- +goose Up
-- Revisions of the policy; the body never changes once written. Adopted ones (state
-- approved) form one chain by parent. in force, superseded and lapsed are read from
-- the dates, not stored. Public to staff; kept for ever, exported with the evidence.
CREATE TABLE policy_revision (
    id          TEXT   NOT NULL PRIMARY KEY,
    version     TEXT   NOT NULL,
    state       TEXT   NOT NULL, -- proposed, approved, rejected, withdrawn, outdated
    kind        TEXT   NOT NULL, -- bootstrap, revision
    policy      TEXT   NOT NULL,
    body        BYTEA  NOT NULL, -- canonical JSON
    body_sha256 TEXT   NOT NULL,
    hash        TEXT   NOT NULL,
    parent      TEXT   NOT NULL, -- hash of the revision before; empty for the bootstrap
    author      TEXT   NOT NULL, -- handle
    summary     TEXT   NOT NULL,
    effective   BIGINT NOT NULL, -- as signed; 0: from the moment it is approved
    needs       BIGINT NOT NULL, -- owners' signatures under the rules of the parent
    proposed    BIGINT NOT NULL,
    adopted     BIGINT NOT NULL, -- when the last needed signature came; 0 for not yet
    holds_from  BIGINT NOT NULL, -- in force from; 0 for not yet
    decided     BIGINT NOT NULL, -- when it was rejected, withdrawn or outdated; 0 for not yet
    reason      TEXT   NOT NULL,
    entry       TEXT   NOT NULL
);
CREATE UNIQUE INDEX policy_revision_chain ON policy_revision (parent) WHERE state = 'approved';
CREATE UNIQUE INDEX policy_revision_version ON policy_revision (version) WHERE state = 'approved';
CREATE UNIQUE INDEX policy_revision_open ON policy_revision (version) WHERE state = 'proposed';
-- Signatures over a revision. The key is kept with them, so that they verify when it is
-- long revoked. Kept for ever, exported with the evidence.
CREATE TABLE policy_approval (
    revision    TEXT   NOT NULL REFERENCES policy_revision (id),
    version     TEXT   NOT NULL,
    signer      TEXT   NOT NULL, -- handle
    kind        TEXT   NOT NULL, -- owner, author
    signature   TEXT   NOT NULL,
    public_key  TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL,
    at          BIGINT NOT NULL,
    entry       TEXT   NOT NULL,
    PRIMARY KEY (revision, signer)
);
-- Public keys that sign. A fingerprint is registered once, for ever.
CREATE TABLE policy_key (
    fingerprint TEXT   NOT NULL PRIMARY KEY,
    handle      TEXT   NOT NULL,
    person      TEXT   NOT NULL,
    public_key  TEXT   NOT NULL,
    proof       TEXT   NOT NULL, -- signature over the text of registration
    registered  BIGINT NOT NULL,
    revoked     BIGINT NOT NULL  -- 0 for not
);
-- Deviations that end by themselves. Public to staff; kept for ever.
CREATE TABLE policy_exception (
    id          TEXT   NOT NULL PRIMARY KEY,
    clause      TEXT   NOT NULL,
    param       TEXT   NOT NULL,
    value       TEXT   NOT NULL, -- literal
    scope       TEXT   NOT NULL, -- all
    reason      TEXT   NOT NULL,
    state       TEXT   NOT NULL, -- requested, approved, refused, revoked
    requester   TEXT   NOT NULL,
    requested   BIGINT NOT NULL,
    until       BIGINT NOT NULL,
    starts      BIGINT NOT NULL, -- when it was approved; 0 for not
    ends        BIGINT NOT NULL, -- until, or when it was revoked
    approver    TEXT   NOT NULL,
    signature   TEXT   NOT NULL,
    public_key  TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL,
    entry       TEXT   NOT NULL
);
-- Signed statements. Never edited: a new one supersedes. Public to staff; kept for ever.
CREATE TABLE policy_record (
    id          TEXT   NOT NULL PRIMARY KEY,
    clause      TEXT   NOT NULL,
    form        TEXT   NOT NULL,
    statement   TEXT   NOT NULL,
    observed    BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    signer      TEXT   NOT NULL,
    signature   TEXT   NOT NULL,
    public_key  TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL,
    signed      BIGINT NOT NULL,
    entry       TEXT   NOT NULL
);
CREATE INDEX policy_record_clause ON policy_record (clause, id);
-- What checks found, one row a run. Public to staff; rows go after 13 months.
CREATE TABLE policy_result (
    id          TEXT   NOT NULL PRIMARY KEY,
    control     TEXT   NOT NULL,
    clause      TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    revision    TEXT   NOT NULL,
    values_hash TEXT   NOT NULL, -- of the clause's values at the time
    observed    BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    outcome     TEXT   NOT NULL,
    summary     TEXT   NOT NULL,
    population  BIGINT NOT NULL,
    entry       TEXT   NOT NULL
);
CREATE INDEX policy_result_control ON policy_result (control, id);
CREATE INDEX policy_result_observed ON policy_result (observed);
-- The newest result of each control.
CREATE TABLE policy_latest (
    control TEXT NOT NULL PRIMARY KEY,
    result  TEXT NOT NULL REFERENCES policy_result (id)
);
-- A clause that was found not to hold, until its control passes again. Kept for ever.
CREATE TABLE policy_finding (
    id      TEXT   NOT NULL PRIMARY KEY,
    control TEXT   NOT NULL,
    clause  TEXT   NOT NULL,
    summary TEXT   NOT NULL,
    opened  BIGINT NOT NULL,
    closed  BIGINT NOT NULL,
    entry   TEXT   NOT NULL
);
CREATE UNIQUE INDEX policy_finding_open ON policy_finding (control) WHERE closed = 0;
