-- Commits, each judged by itself, in one statement. All parts see the state of one moment. What is written
-- depends on that judgement; where another gateway got in between, a version that moved leaves its commit
-- out ("raced"), a ledger key or unique key fails the statement.
--
-- Tables are looked into by scalar subqueries, each an index look-up, and parts are compared by hashed
-- subplans (IN ... IS TRUE, NOT IN): no join is left for a planner to get wrong but those by a whole key.
WITH c AS (
    SELECT c.*, (
        SELECT CASE WHEN u.status = 0 THEN -1 ELSE u.version END FROM interlingua_users u WHERE u.id = c.id
    ) AS stands
    FROM unnest(
        $1::int4[], $2::uuid[], $3::int8[], $4::int8[], $5::int2[], $6::bool[], $7::bytea[], $8::bytea[], $9::bytea[]
    ) AS c (i, id, expected, version, status, suspended, email, username, record)
), g AS (
    SELECT g.*, (SELECT l.at FROM interlingua_ledger l WHERE l.key = g.key) > g.expired AS used
    FROM unnest(
        $10::int4[], $11::int4[], $12::uuid[], $13::int8[], $14::int8[], $15::bytea[], $16::uuid[], $17::bytea[]
    ) AS g (i, place, key, at, expired, fingerprint, user_id, answer)
), n AS (
    SELECT n.*, (
        SELECT k.kind FROM interlingua_keys k
        WHERE k.namespace = n.namespace AND k.kind = n.kind AND k.value = n.value
    ) IS NOT NULL AS owned
    FROM unnest($18::int4[], $19::int4[], $20::bytea[], $21::int2[], $22::bytea[], $23::uuid[])
        AS n (i, place, namespace, kind, value, user_id)
), fits AS (
    SELECT c.* FROM c
    WHERE c.i NOT IN (SELECT g.i FROM g WHERE g.used)
        AND c.stands IS NOT DISTINCT FROM c.expected
        AND c.i NOT IN (SELECT n.i FROM n WHERE n.owned)
), updated AS (
    UPDATE interlingua_users u
    SET version = f.version, status = f.status, suspended = f.suspended,
        email = f.email, username = f.username, record = f.record
    FROM fits f WHERE u.id = f.id AND u.version = f.expected
    RETURNING f.i
), done AS (
    SELECT f.i FROM fits f WHERE f.expected IS NULL UNION ALL SELECT u.i FROM updated u
), kept AS (
    INSERT INTO interlingua_ledger AS l (key, at, fingerprint, user_id, answer)
    SELECT g.key, g.at, g.fingerprint, g.user_id, g.answer
    FROM g WHERE (g.i IN (SELECT d.i FROM done d)) IS TRUE
    ORDER BY g.key
    ON CONFLICT (key) DO UPDATE
    SET at = excluded.at, fingerprint = excluded.fingerprint,
        user_id = excluded.user_id, answer = excluded.answer
    WHERE l.at <= $24::int8
    RETURNING 1
), created AS (
    INSERT INTO interlingua_users (id, version, status, suspended, email, username, record)
    SELECT f.id, f.version, f.status, f.suspended, f.email, f.username, f.record
    FROM fits f WHERE f.expected IS NULL AND f.id IS NOT NULL
    RETURNING 1
), taken AS (
    INSERT INTO interlingua_keys (namespace, kind, value, user_id)
    SELECT n.namespace, n.kind, n.value, n.user_id
    FROM n WHERE (n.i IN (SELECT d.i FROM done d)) IS TRUE
    ORDER BY n.namespace, n.kind, n.value
    RETURNING 1
), freed AS (
    DELETE FROM interlingua_keys k
    USING unnest($25::int4[], $26::bytea[], $27::int2[], $28::bytea[], $29::uuid[])
        AS o (i, namespace, kind, value, user_id)
    WHERE k.namespace = o.namespace AND k.kind = o.kind AND k.value = o.value AND k.user_id = o.user_id
        AND (o.i IN (SELECT d.i FROM done d)) IS TRUE
    RETURNING 1
), blanked AS (
    UPDATE interlingua_ledger l SET answer = NULL
    FROM fits f
    WHERE f.status = 0 AND l.user_id = f.id AND l.answer IS NOT NULL
        AND (f.i IN (SELECT u.i FROM updated u)) IS TRUE
        AND l.key NOT IN (SELECT g.key FROM g WHERE (g.i IN (SELECT d.i FROM done d)) IS TRUE)
    RETURNING 1
)
SELECT c.i,
    CASE
        WHEN c.i IN (SELECT g.i FROM g WHERE g.used) THEN 1
        WHEN c.stands IS DISTINCT FROM c.expected THEN 2
        WHEN c.i IN (SELECT n.i FROM n WHERE n.owned) THEN 3
        WHEN c.i IN (SELECT d.i FROM done d) THEN 0
        ELSE 4
    END AS verdict,
    CASE
        WHEN c.i IN (SELECT g.i FROM g WHERE g.used) THEN (SELECT min(g.place) FROM g WHERE g.i = c.i AND g.used)
        WHEN c.i IN (SELECT n.i FROM n WHERE n.owned) THEN (SELECT min(n.place) FROM n WHERE n.i = c.i AND n.owned)
    END AS place,
    -- A ledger key that was taken meanwhile: nothing of this may be done.
    1 / CASE
        WHEN (SELECT count(*) FROM kept) = (SELECT count(*) FROM g WHERE (g.i IN (SELECT d.i FROM done d)) IS TRUE)
        THEN 1 ELSE 0
    END AS whole
FROM c
