-- By choice, only users and items with enough ratings, repeated until nothing changes: the k-core.
SELECT ratings.*
FROM ratings
LEFT SEMI JOIN (SELECT user_id FROM ratings GROUP BY user_id HAVING count(*) >= :user_core) AS users
    ON users.user_id = ratings.user_id
LEFT SEMI JOIN (SELECT movie_id FROM ratings GROUP BY movie_id HAVING count(*) >= :item_core) AS items
    ON items.movie_id = ratings.movie_id
