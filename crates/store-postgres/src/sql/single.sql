-- The same for one update with one ledger record, without arrays: what is most often sent alone.
WITH updated AS (
    UPDATE interlingua_users u
    SET version = $3::int8, status = $4::int2, suspended = $5::bool,
        email = $6::bytea, username = $7::bytea, record = $8::bytea
    WHERE u.id = $1::uuid AND u.version = $2::int8 AND u.status > 0
        AND NOT EXISTS (SELECT 1 FROM interlingua_ledger l WHERE l.key = $9::uuid AND l.at > $11::int8)
    RETURNING 1
), kept AS (
    INSERT INTO interlingua_ledger AS l (key, at, fingerprint, user_id, answer)
    SELECT $9::uuid, $10::int8, $12::bytea, $13::uuid, $14::bytea FROM updated
    ON CONFLICT (key) DO UPDATE
    SET at = excluded.at, fingerprint = excluded.fingerprint,
        user_id = excluded.user_id, answer = excluded.answer
    WHERE l.at <= $11::int8
    RETURNING 1
)
SELECT 0::int4 AS i,
    CASE
        WHEN EXISTS (SELECT 1 FROM updated) THEN 0
        WHEN EXISTS (SELECT 1 FROM interlingua_ledger l WHERE l.key = $9::uuid AND l.at > $11::int8) THEN 1
        WHEN (
            SELECT CASE WHEN u.status = 0 THEN -1 ELSE u.version END FROM interlingua_users u WHERE u.id = $1::uuid
        ) IS DISTINCT FROM $2::int8 THEN 2
        ELSE 4
    END AS verdict,
    0::int4 AS place,
    -- A ledger key that was taken meanwhile: nothing of this may be done.
    1 / CASE WHEN (SELECT count(*) FROM kept) = (SELECT count(*) FROM updated) THEN 1 ELSE 0 END AS whole
