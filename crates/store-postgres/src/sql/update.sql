-- The same for commits that only update users, and change none of their unique keys: as nearly all do.
WITH c AS (
    SELECT c.*
    FROM unnest(
        $1::int4[], $2::uuid[], $3::int8[], $4::int8[], $5::int2[], $6::bool[], $7::bytea[], $8::bytea[], $9::bytea[]
    ) AS c (i, id, expected, version, status, suspended, email, username, record)
), g AS (
    SELECT g.*, (SELECT l.at FROM interlingua_ledger l WHERE l.key = g.key) > g.expired AS used
    FROM unnest(
        $10::int4[], $11::int4[], $12::uuid[], $13::int8[], $14::int8[], $15::bytea[], $16::uuid[], $17::bytea[]
    ) AS g (i, place, key, at, expired, fingerprint, user_id, answer)
), updated AS (
    UPDATE interlingua_users u
    SET version = c.version, status = c.status, suspended = c.suspended,
        email = c.email, username = c.username, record = c.record
    FROM c
    WHERE u.id = c.id AND u.version = c.expected AND u.status > 0
        AND c.i NOT IN (SELECT g.i FROM g WHERE g.used)
    RETURNING c.i
), kept AS (
    INSERT INTO interlingua_ledger AS l (key, at, fingerprint, user_id, answer)
    SELECT g.key, g.at, g.fingerprint, g.user_id, g.answer
    FROM g WHERE (g.i IN (SELECT d.i FROM updated d)) IS TRUE
    ORDER BY g.key
    ON CONFLICT (key) DO UPDATE
    SET at = excluded.at, fingerprint = excluded.fingerprint,
        user_id = excluded.user_id, answer = excluded.answer
    WHERE l.at <= $18::int8
    RETURNING 1
)
SELECT c.i,
    CASE
        WHEN c.i IN (SELECT d.i FROM updated d) THEN 0
        WHEN c.i IN (SELECT g.i FROM g WHERE g.used) THEN 1
        WHEN (
            SELECT CASE WHEN u.status = 0 THEN -1 ELSE u.version END FROM interlingua_users u WHERE u.id = c.id
        ) IS DISTINCT FROM c.expected THEN 2
        ELSE 4
    END AS verdict,
    CASE
        WHEN c.i IN (SELECT d.i FROM updated d) THEN NULL
        ELSE (SELECT min(g.place) FROM g WHERE g.i = c.i AND g.used)
    END AS place,
    -- A ledger key that was taken meanwhile: nothing of this may be done.
    1 / CASE
        WHEN (SELECT count(*) FROM kept) = (SELECT count(*) FROM g WHERE (g.i IN (SELECT d.i FROM updated d)) IS TRUE)
        THEN 1 ELSE 0
    END AS whole
FROM c
