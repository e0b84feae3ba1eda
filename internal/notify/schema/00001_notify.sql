-- +goose Up
-- Ways by which people are told. box: address and secret of the way, sealed under the class key
-- "notify.channel". tested, accepted: the last test, and the last one that was taken.
-- Export: names and kinds, to staff. Erase: with the channel.
CREATE TABLE notify_channel (
	id TEXT NOT NULL PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	kind TEXT NOT NULL,
	box BYTEA NOT NULL,
	made BIGINT NOT NULL,
	made_by TEXT NOT NULL,
	tested BIGINT NOT NULL,
	accepted BIGINT NOT NULL
);
-- What is said, sealed under the class key "notify.message". Kept 30 days.
CREATE TABLE notify_message (
	id TEXT NOT NULL PRIMARY KEY,
	made BIGINT NOT NULL,
	box BYTEA NOT NULL
);
-- One message on one channel to one address. mark: a hash of channel, address and key, so that the
-- same is never queued twice. box: the address, sealed as the message. held: until when a node may
-- be at it; epoch: its fence. Kept 5 years; the address goes with the message.
CREATE TABLE notify_delivery (
	id TEXT NOT NULL PRIMARY KEY,
	message TEXT NOT NULL,
	channel TEXT NOT NULL,
	about TEXT NOT NULL, -- kind/id
	severity TEXT NOT NULL,
	mark TEXT NOT NULL UNIQUE,
	repeat BOOLEAN NOT NULL, -- may be sent again when nobody knows whether it arrived
	state TEXT NOT NULL,
	tries BIGINT NOT NULL,
	made BIGINT NOT NULL,
	due BIGINT NOT NULL,
	held BIGINT NOT NULL,
	epoch BIGINT NOT NULL,
	ended BIGINT NOT NULL,
	code TEXT NOT NULL,
	box BYTEA NOT NULL
);
CREATE INDEX notify_delivery_about ON notify_delivery (about, id);
CREATE INDEX notify_delivery_state ON notify_delivery (state, ended);
-- Each try: what came back. box: the words of the answer, sealed as the message.
CREATE TABLE notify_attempt (
	delivery TEXT NOT NULL,
	n BIGINT NOT NULL,
	at BIGINT NOT NULL,
	took BIGINT NOT NULL, -- µs
	peer TEXT NOT NULL,
	outcome TEXT NOT NULL, -- accepted, deferred, rejected, unknown
	code TEXT NOT NULL,
	enhanced TEXT NOT NULL,
	box BYTEA NOT NULL,
	PRIMARY KEY (delivery, n)
);
