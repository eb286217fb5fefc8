-- The number and share of ratings by day of the week (1 is Monday) and hour of the day, in UTC.
WITH dated AS (
    SELECT isodow(make_timestamp(time * 1000000)) AS weekday, hour(make_timestamp(time * 1000000)) AS hour FROM ratings
), counted AS (SELECT weekday, hour, count(*) AS n FROM dated GROUP BY ALL)
SELECT weekday, hour, coalesce(n, 0) AS n, coalesce(n, 0) / (SELECT count(*) FROM ratings) AS share
FROM (SELECT unnest(range(1, 8)) AS weekday) CROSS JOIN (SELECT unnest(range(24)) AS hour)
LEFT JOIN counted USING (weekday, hour)
ORDER BY weekday, hour
