-- +goose Up
-- What private services said when they last tried to leave past the gate: one row a service. who: kind/id of whose
-- token told it. Public among staff; an id of a person, which is erased with the person's own record.
CREATE TABLE gateway_egress_past (
    service TEXT   NOT NULL PRIMARY KEY,
    tried   BIGINT NOT NULL,
    reached TEXT   NOT NULL, -- host:port, by spaces; '' = nothing
    who     TEXT   NOT NULL,
    told    BIGINT NOT NULL
);
