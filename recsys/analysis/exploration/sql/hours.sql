-- The number and share of ratings by day of the week (1 is Monday) and hour of the day, in UTC. Each row also has the share
-- of its hour on all days, the even share, and the standard error of the former, clustered by user, if the even share
-- were the true one, so that an hour without ratings has an error as well.
WITH dated AS (
    SELECT "user", isodow(make_timestamp(time * 1000000)) AS weekday, hour(make_timestamp(time * 1000000)) AS hour
    FROM ratings
), user_counts AS (SELECT "user", count(*) AS total FROM ratings GROUP BY "user"),
totals AS (SELECT count(*) AS users, sum(total) AS total, sum(cast(total AS DOUBLE) * total) AS nn FROM user_counts),
cells AS (SELECT weekday, hour, count(*) AS n FROM dated GROUP BY ALL),
hour_counts AS (SELECT "user", hour, count(*) AS y FROM dated GROUP BY ALL),
moments AS (
    SELECT hour, sum(y) AS y, sum(cast(y AS DOUBLE) * y) AS yy, sum(cast(y AS DOUBLE) * total) AS yn
    FROM hour_counts JOIN user_counts USING ("user") GROUP BY hour
)
SELECT weekday, hour, coalesce(n, 0) AS n, coalesce(n, 0) / total AS share, coalesce(y, 0) / total AS hour_share, 1 / 24 AS even,
    ratio_error(users, total / 24, total, coalesce(yy, 0), coalesce(yn, 0), nn) AS error
FROM (SELECT unnest(range(1, 8)) AS weekday) CROSS JOIN (SELECT unnest(range(24)) AS hour)
LEFT JOIN cells USING (weekday, hour) LEFT JOIN moments USING (hour) CROSS JOIN totals
ORDER BY weekday, hour
