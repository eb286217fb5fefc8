-- The mean rating of each month, or of each year where the data span more than three years, with its standard error
-- clustered by user; periods with at least $min_size users. In every row also the linear trend of all ratings by least
-- squares: its change from the first rating to the last, with a standard error that is robust to correlation within a
-- user (Liang and Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 1986).
WITH span AS (
    SELECT min(time) AS first, max(time) - min(time) AS length, avg(rating) AS mean, avg(time) AS middle,
        regr_slope(rating, time) AS slope, regr_sxx(rating, time) AS sxx
    FROM ratings
), residuals AS (
    SELECT sum((time - middle) * (rating - mean - slope * (time - middle))) AS score FROM ratings, span GROUP BY "user"
), trend AS (
    SELECT any_value(slope * length) AS change,
        sqrt(sum(score * score) * count(*) / nullif(count(*) - 1, 0)) * any_value(length / sxx) AS change_error
    FROM residuals, span
), periods AS (
    SELECT date_trunc(if(length > 3 * 366 * 86400, 'year', 'month'), make_timestamp(time * 1000000)) AS period,
        "user", count(*) AS n, sum(rating) AS total
    FROM ratings, span GROUP BY ALL
)
SELECT period, count(*) AS users, sum(total) / sum(n) AS mean, mean_error(total, n) AS error, span.mean AS overall,
    change, change_error
FROM periods, span, trend
GROUP BY ALL HAVING count(*) >= $min_size
ORDER BY period
