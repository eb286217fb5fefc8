-- u.data of ml-100k. Its canonical folds u1 to u5 are the blocks of 20,000 rows of this file, in order.
SELECT user_id, movie_id, rating, time, 'u' || (row_number() OVER () - 1) // 20000 + 1 AS part
FROM read_csv($file, header = false, auto_detect = false, delim = '\t', quote = '', escape = '',
    columns = {'user_id': 'VARCHAR', 'movie_id': 'VARCHAR', 'rating': 'VARCHAR', 'time': 'VARCHAR'})
