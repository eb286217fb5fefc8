-- The shares of films and of ratings by decade of release.
SELECT decade, count(*) / sum(count(*)) OVER () AS films, sum(n) / sum(sum(n)) OVER () AS ratings
FROM film_decades JOIN film_ratings USING (item)
GROUP BY decade ORDER BY decade
