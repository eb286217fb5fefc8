-- The overlap of each pair of genres: of the films with either genre, the share with both (Jaccard index); genres with at
-- least $min_size films.
WITH genre_counts AS (SELECT genre, count(*) AS n FROM film_genres GROUP BY genre HAVING count(*) >= $min_size),
together AS (
    SELECT one.genre AS genre, other.genre AS other, count(*) AS n
    FROM film_genres AS one JOIN film_genres AS other USING (item) GROUP BY ALL
)
SELECT one.genre, other.genre AS other, coalesce(together.n, 0) AS films,
    coalesce(together.n, 0) / (one.n + other.n - coalesce(together.n, 0)) AS share
FROM genre_counts AS one JOIN genre_counts AS other ON one.genre <> other.genre
LEFT JOIN together ON together.genre = one.genre AND together.other = other.genre
ORDER BY one.n DESC, one.genre, other.n DESC, other.genre
