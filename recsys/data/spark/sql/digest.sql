-- The number of a table's ratings, and a sum of digests that depends on each of their cells and on their order.
SELECT count(*) AS n_rows,
    sum(cast(conv(substr(sha2(to_json(struct(id, user_id, movie_id, rating, time, part)), 256), 1, 15), 16, 10)
        AS DECIMAL(38, 0))) AS digest
FROM located
