-- Films and ratings by the decade that films are from.
SELECT decade, count(*) / sum(count(*)) OVER () AS films, sum(n) / sum(sum(n)) OVER () AS ratings
FROM film_decades JOIN opinions USING (item)
GROUP BY decade ORDER BY decade
