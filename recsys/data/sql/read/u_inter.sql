-- u.data of ml-100k as RecBole keeps it: the same rows in the same order under a typed header, so the same folds.
SELECT "user_id:token" AS user_id, "item_id:token" AS movie_id, "rating:float" AS rating, "timestamp:float" AS time,
    'u' || (row_number() OVER () - 1) // 20000 + 1 AS part
FROM read_csv($file, header = true, all_varchar = true, delim = '\t', quote = '', escape = '')
