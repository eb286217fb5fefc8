-- Users with a clean rating; codes are ranks of the raw ids, whole numbers in their own order and before other text.
WITH described AS (
    -- of several rows about one user the last counts
    SELECT * FROM raw_users QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY rowid DESC) = 1
)
SELECT
    cast(row_number() OVER (ORDER BY try_cast(rated.user_id AS BIGINT) NULLS LAST, rated.user_id) - 1 AS INTEGER) AS "user",
    rated.user_id,
    try_cast(age AS SMALLINT) AS age,
    -- the brackets of ml-1m, which gives ages in no other way
    CASE
        WHEN try_cast(age AS SMALLINT) < 18 THEN 'under 18'
        WHEN try_cast(age AS SMALLINT) < 25 THEN '18-24'
        WHEN try_cast(age AS SMALLINT) < 35 THEN '25-34'
        WHEN try_cast(age AS SMALLINT) < 45 THEN '35-44'
        WHEN try_cast(age AS SMALLINT) < 50 THEN '45-49'
        WHEN try_cast(age AS SMALLINT) < 56 THEN '50-55'
        WHEN try_cast(age AS SMALLINT) >= 56 THEN '56 and over'
    END AS age_group,
    described.* EXCLUDE (user_id, age)
FROM (SELECT DISTINCT user_id FROM ratings) AS rated
LEFT JOIN described ON described.user_id = rated.user_id
ORDER BY "user"
