-- The share of films that are of a genre, and the share of ratings that films of the genre have. A film of two genres
-- counts in both.
SELECT genre,
    count(*) / (SELECT count(*) FROM films) AS films,
    sum(n) / (SELECT count(*) FROM ratings) AS ratings
FROM film_genres JOIN opinions USING (item)
GROUP BY genre ORDER BY ratings DESC, genre
