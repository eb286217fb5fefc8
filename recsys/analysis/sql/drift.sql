-- The mean rating of each month, or each year of longer times, in which enough people rated; its standard error over
-- people. And a line through all ratings by least squares: what it rises from the first rating to the last, with the
-- standard error over people (Liang and Zeger, "Longitudinal data analysis using generalized linear models",
-- Biometrika 1986).
WITH span AS (
    SELECT min(time) AS first, max(time) - min(time) AS length, avg(rating) AS mean, avg(time) AS middle,
        regr_slope(rating, time) AS slope, regr_sxx(rating, time) AS sxx
    FROM ratings
), residuals AS (
    SELECT sum((time - middle) * (rating - mean - slope * (time - middle))) AS score FROM ratings, span GROUP BY "user"
), line AS (
    SELECT any_value(slope * length) AS change,
        sqrt(sum(score * score) * count(*) / nullif(count(*) - 1, 0)) * any_value(length / sxx) AS change_error
    FROM residuals, span
), placed AS (
    SELECT date_trunc(if(length > 3 * 366 * 86400, 'year', 'month'), make_timestamp(time * 1000000)) AS period,
        "user", count(*) AS n, sum(rating) AS total
    FROM ratings, span GROUP BY ALL
)
SELECT period, count(*) AS people, sum(total) / sum(n) AS mean, mean_error(total, n) AS error, span.mean AS overall,
    change, change_error
FROM placed, span, line
GROUP BY ALL HAVING count(*) >= $smallest
ORDER BY period
