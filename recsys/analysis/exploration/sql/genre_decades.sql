-- The share of each of the six most rated genres in the ratings of each decade's films, with its standard error clustered
-- by film; decades with at least $min_size films, and no rows where there is a single such decade. Of the ratings of a
-- decade, n is their number and nn the sum of squared numbers per film; y and yy are the same for the films of a genre.
WITH dated AS (SELECT item, decade, n FROM film_ratings JOIN film_decades USING (item)),
decades AS (
    SELECT decade, count(*) AS films, sum(n) AS n, sum(cast(n AS DOUBLE) * n) AS nn
    FROM dated GROUP BY decade HAVING count(*) >= $min_size
), genres AS (
    SELECT genre, sum(n) AS n FROM dated JOIN film_genres USING (item) GROUP BY genre ORDER BY n DESC, genre LIMIT 6
), parts AS (
    SELECT decade, genre, sum(n) AS y, sum(cast(n AS DOUBLE) * n) AS yy
    FROM dated JOIN film_genres USING (item) GROUP BY ALL
)
SELECT genres.genre, decades.decade, coalesce(y, 0) / decades.n AS share,
    ratio_error(films, coalesce(y, 0), decades.n, coalesce(yy, 0), coalesce(yy, 0), nn) AS error
FROM genres CROSS JOIN decades LEFT JOIN parts USING (genre, decade)
WHERE (SELECT count(*) FROM decades) > 1
ORDER BY genres.n DESC, genres.genre, decade
