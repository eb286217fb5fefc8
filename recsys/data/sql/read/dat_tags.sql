-- tags.dat of ml-10m.
SELECT user_id, movie_id, tag
FROM read_csv($file, header = false, auto_detect = false, delim = '::', quote = '', escape = '',
    columns = {'user_id': 'VARCHAR', 'movie_id': 'VARCHAR', 'tag': 'VARCHAR', 'time': 'VARCHAR'})
