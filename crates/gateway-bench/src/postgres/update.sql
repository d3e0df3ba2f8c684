-- What a signed PATCH does to the tables, as one statement for one user: find it by its link, keep what is
-- answered under its Idempotency-Key, and write its next version if this one still stands.
\set user random(0, :users - 1)
WITH found AS (
    SELECT u.id, u.version
    FROM interlingua_keys k JOIN interlingua_users u ON u.id = k.user_id
    WHERE k.namespace = 'demo-partner' AND k.kind = 1 AND k.value = convert_to('user-' || :user::text, 'UTF8')
), kept AS (
    INSERT INTO interlingua_ledger (key, at, fingerprint, user_id, answer)
    SELECT gen_random_uuid(), extract(epoch FROM now())::bigint * 1000000000,
        :fingerprint::bytea, f.id, :answer::bytea
    FROM found f
    ON CONFLICT (key) DO NOTHING
    RETURNING user_id
)
UPDATE interlingua_users u
SET version = f.version + 1, record = :record::bytea
FROM found f JOIN kept ON kept.user_id = f.id
WHERE u.id = f.id AND u.version = f.version
RETURNING u.version;
