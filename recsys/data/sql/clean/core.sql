-- By choice, only users and films with enough ratings. What this removes may leave others with too few, so it is
-- repeated until nothing changes: the k-core.
SELECT * FROM ratings
WHERE user_id IN (SELECT user_id FROM ratings GROUP BY user_id HAVING count(*) >= $user_core)
    AND movie_id IN (SELECT movie_id FROM ratings GROUP BY movie_id HAVING count(*) >= $item_core)
