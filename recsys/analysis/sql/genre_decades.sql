-- Of the ratings of films from a decade with enough films, the share that films of a genre have, and its standard error
-- over films; for the genres with the most ratings; nothing of a
-- single decade.
WITH counted AS (SELECT item, decade, n FROM opinions JOIN film_decades USING (item)),
decades AS (
    SELECT decade, count(*) AS films, sum(n) AS n, sum(cast(n AS DOUBLE) * n) AS nn
    FROM counted GROUP BY decade HAVING count(*) >= $smallest
), genres AS (
    SELECT genre, sum(n) AS n FROM counted JOIN film_genres USING (item) GROUP BY genre ORDER BY n DESC, genre LIMIT 6
), parts AS (
    SELECT decade, genre, sum(n) AS y, sum(cast(n AS DOUBLE) * n) AS yy
    FROM counted JOIN film_genres USING (item) GROUP BY ALL
)
SELECT genres.genre, decades.decade, coalesce(y, 0) / decades.n AS share,
    ratio_error(films, coalesce(y, 0), decades.n, coalesce(yy, 0), coalesce(yy, 0), nn) AS error
FROM genres CROSS JOIN decades LEFT JOIN parts USING (genre, decade)
WHERE (SELECT count(*) FROM decades) > 1
ORDER BY genres.n DESC, genres.genre, decade
