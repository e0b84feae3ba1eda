-- +goose Up
-- Applications that people sign in to through this server. Nothing in it is about a
-- person: exported by staff, removed never (a removed client keeps its row, without secrets).
CREATE TABLE identity_oidc_client (
    id          TEXT    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    kind        TEXT    NOT NULL, -- confidential, public
    trust       TEXT    NOT NULL, -- first-party, third-party
    audience    TEXT    NOT NULL, -- staff, customers, everyone
    redirects   TEXT    NOT NULL, -- one a line, exact
    after       TEXT    NOT NULL, -- where a browser may go after signing out, one a line, exact
    back        TEXT    NOT NULL, -- address of back-channel logout, or empty
    front       TEXT    NOT NULL, -- address of front-channel logout, or empty
    scopes      TEXT    NOT NULL, -- separated by a space
    alg         TEXT    NOT NULL, -- RS256, ES256
    require_par BOOLEAN NOT NULL,
    acr         BIGINT  NOT NULL, -- least level of a sign-in
    resource    BOOLEAN NOT NULL, -- may introspect tokens of other clients
    created     BIGINT  NOT NULL,
    ended       BIGINT
);
-- hash: SHA-256 of a random secret. At most two live ones a client. Never exported; deleted at its end.
CREATE TABLE identity_oidc_secret (
    id      TEXT   NOT NULL PRIMARY KEY,
    client  TEXT   NOT NULL REFERENCES identity_oidc_client (id),
    hash    TEXT   NOT NULL UNIQUE,
    created BIGINT NOT NULL
);
CREATE INDEX identity_oidc_secret_client ON identity_oidc_secret (client);
-- Requests that a client pushed (RFC 9126). hash: SHA-256 of the reference. box: the
-- request, sealed under class identity.oidc. Never exported; deleted an hour after its end.
CREATE TABLE identity_oidc_request (
    hash    TEXT   NOT NULL PRIMARY KEY,
    client  TEXT   NOT NULL REFERENCES identity_oidc_client (id),
    box     BYTEA  NOT NULL,
    expires BIGINT NOT NULL,
    used    BIGINT
);
-- A person's session as a client knows it. told: when the client's logout was queued.
-- Export: the person. Deleted 90 d after the session.
CREATE TABLE identity_oidc_login (
    sid     TEXT   NOT NULL PRIMARY KEY,
    session TEXT   NOT NULL,
    client  TEXT   NOT NULL REFERENCES identity_oidc_client (id),
    person  TEXT   NOT NULL,
    created BIGINT NOT NULL,
    told    BIGINT,
    UNIQUE (session, client)
);
CREATE INDEX identity_oidc_login_told ON identity_oidc_login (told);
-- All tokens that come of one authorisation; when it ends they end. nonce is the
-- client's. Export: the person. Deleted 30 d after its end.
CREATE TABLE identity_oidc_family (
    id        TEXT    NOT NULL PRIMARY KEY,
    client    TEXT    NOT NULL REFERENCES identity_oidc_client (id),
    person    TEXT    NOT NULL,
    session   TEXT    NOT NULL,
    sid       TEXT    NOT NULL,
    scopes    TEXT    NOT NULL,
    offline   BOOLEAN NOT NULL,
    acr       BIGINT  NOT NULL,
    amr       TEXT    NOT NULL,
    auth_time BIGINT  NOT NULL,
    nonce     TEXT    NOT NULL,
    created   BIGINT  NOT NULL,
    ends      BIGINT  NOT NULL,
    ended     BIGINT,
    cause     TEXT    NOT NULL
);
CREATE INDEX identity_oidc_family_person ON identity_oidc_family (person);
CREATE INDEX identity_oidc_family_session ON identity_oidc_family (session);
-- hash: SHA-256 of the code. Never exported; deleted with its family.
CREATE TABLE identity_oidc_code (
    hash      TEXT   NOT NULL PRIMARY KEY,
    family    TEXT   NOT NULL REFERENCES identity_oidc_family (id),
    client    TEXT   NOT NULL,
    redirect  TEXT   NOT NULL,
    challenge TEXT   NOT NULL,
    expires   BIGINT NOT NULL,
    used      BIGINT
);
CREATE INDEX identity_oidc_code_family ON identity_oidc_code (family);
-- hash: SHA-256 of the token. Never exported; deleted with its family.
CREATE TABLE identity_oidc_refresh (
    hash   TEXT   NOT NULL PRIMARY KEY,
    family TEXT   NOT NULL REFERENCES identity_oidc_family (id),
    issued BIGINT NOT NULL,
    used   BIGINT
);
CREATE INDEX identity_oidc_refresh_family ON identity_oidc_refresh (family);
-- hash: SHA-256 of the token. scopes may be fewer than the family's. Never exported;
-- deleted an hour after its end.
CREATE TABLE identity_oidc_access (
    hash    TEXT   NOT NULL PRIMARY KEY,
    family  TEXT   NOT NULL REFERENCES identity_oidc_family (id),
    scopes  TEXT   NOT NULL,
    issued  BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    ended   BIGINT
);
CREATE INDEX identity_oidc_access_family ON identity_oidc_access (family);
-- What a person allowed a client. Export: the person. Erase: with the person.
CREATE TABLE identity_oidc_consent (
    person TEXT   NOT NULL REFERENCES identity_person (id),
    client TEXT   NOT NULL REFERENCES identity_oidc_client (id),
    scopes TEXT   NOT NULL,
    given  BIGINT NOT NULL,
    PRIMARY KEY (person, client)
);
-- Keys that sign id tokens. box: PKCS #8 sealed under class identity.oidc. Public halves
-- are served to everybody; rows are deleted 7 d after the next key began.
CREATE TABLE identity_oidc_key (
    kid    TEXT   NOT NULL PRIMARY KEY,
    alg    TEXT   NOT NULL,
    n      BIGINT NOT NULL,
    box    BYTEA  NOT NULL,
    made   BIGINT NOT NULL,
    begins BIGINT NOT NULL,
    UNIQUE (alg, n)
);
