-- For each day of the week (1 is Monday, UTC): its share of the ratings; the even share, which is its share of the days from
-- the first rating to the last; and the standard error of the share, clustered by user, if the even share were the true
-- one, so that a day without ratings has an error as well.
WITH dated AS (SELECT "user", CAST(make_timestamp(time * 1000000) AS DATE) AS date FROM ratings),
user_counts AS (SELECT "user", count(*) AS n FROM ratings GROUP BY "user"),
totals AS (SELECT count(*) AS users, sum(n) AS n, sum(cast(n AS DOUBLE) * n) AS nn FROM user_counts),
counted AS (SELECT "user", isodow(date) AS weekday, count(*) AS y FROM dated GROUP BY ALL),
moments AS (
    SELECT weekday, sum(y) AS y, sum(cast(y AS DOUBLE) * y) AS yy, sum(cast(y AS DOUBLE) * n) AS yn
    FROM counted JOIN user_counts USING ("user") GROUP BY weekday
), calendar AS (
    SELECT isodow(day) AS weekday, count(*) / sum(count(*)) OVER () AS even
    FROM (SELECT unnest(generate_series(min(date), max(date), INTERVAL 1 DAY)) AS day FROM dated) GROUP BY weekday
)
SELECT weekday, coalesce(y, 0) / n AS share, even,
    ratio_error(users, even * n, n, coalesce(yy, 0), coalesce(yn, 0), nn) AS error
FROM calendar LEFT JOIN moments USING (weekday) CROSS JOIN totals
ORDER BY weekday
