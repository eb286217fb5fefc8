-- The films with the largest standard deviation of ratings, damped by adding $damping ratings with the average variance
-- around a film's mean to every film.
WITH overall AS (SELECT sum(squares) / sum(n) AS variance FROM film_ratings)
SELECT film, n, sqrt(squares / n) AS spread,
    sqrt((squares + $damping * overall.variance) / (n + $damping)) AS damped, stars,
    (SELECT list(DISTINCT rating ORDER BY rating) FROM ratings) AS scale
FROM film_ratings JOIN rating_counts USING (item), overall
ORDER BY damped DESC, n DESC, item
LIMIT $n_listed
