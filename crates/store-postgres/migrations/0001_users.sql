-- Users, what they are found by, and the ledger. Names and values are bytes: their order is the order of
-- UTF-8, in every database and under every collation.

-- One row for ever: version and record as they stand, or a tombstone (status 0). The columns beside the
-- record are what lists are taken from; e-mail address and username by a hash of their folded form. Room is
-- left for an update beside the row it replaces: while these columns stay, no index is written.
CREATE TABLE IF NOT EXISTS interlingua_users (
    id uuid PRIMARY KEY,
    version bigint NOT NULL,
    status smallint NOT NULL,
    suspended boolean NOT NULL,
    email bytea,
    username bytea,
    record bytea NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX IF NOT EXISTS interlingua_users_all ON interlingua_users (id ASC) WHERE status > 0;
CREATE INDEX IF NOT EXISTS interlingua_users_status ON interlingua_users (status, id ASC);
CREATE INDEX IF NOT EXISTS interlingua_users_suspended ON interlingua_users (id ASC) WHERE suspended;
CREATE INDEX IF NOT EXISTS interlingua_users_email ON interlingua_users (email, id ASC) WHERE email IS NOT NULL;
CREATE INDEX IF NOT EXISTS interlingua_users_username ON interlingua_users (username, id ASC) WHERE username IS NOT NULL;

-- Unique keys: links (kind 1), folded usernames (2), those of more than 512 bytes by a hash (3).
CREATE TABLE IF NOT EXISTS interlingua_keys (
    namespace bytea NOT NULL,
    kind smallint NOT NULL,
    value bytea NOT NULL,
    user_id uuid NOT NULL,
    PRIMARY KEY (namespace, kind, value)
);
CREATE INDEX IF NOT EXISTS interlingua_keys_members ON interlingua_keys (namespace, user_id ASC) WHERE kind = 1;

-- What may happen only once. "at" is in nanoseconds since 1970.
CREATE TABLE IF NOT EXISTS interlingua_ledger (
    key uuid PRIMARY KEY,
    at bigint NOT NULL,
    fingerprint bytea NOT NULL,
    user_id uuid,
    answer bytea
);
CREATE INDEX IF NOT EXISTS interlingua_ledger_at ON interlingua_ledger (at ASC);
CREATE INDEX IF NOT EXISTS interlingua_ledger_answers ON interlingua_ledger (user_id) WHERE answer IS NOT NULL;

-- What was made with the store and stays with it.
CREATE TABLE IF NOT EXISTS interlingua_meta (
    name text PRIMARY KEY,
    value bytea NOT NULL
);
