-- Each genre's share of the films and of the ratings. A film with two genres counts in both.
SELECT genre,
    count(*) / (SELECT count(*) FROM films) AS films,
    sum(n) / (SELECT count(*) FROM ratings) AS ratings
FROM film_genres JOIN film_ratings USING (item)
GROUP BY genre ORDER BY ratings DESC, genre
