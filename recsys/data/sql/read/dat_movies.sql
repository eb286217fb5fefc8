-- movies.dat of ml-1m and ml-10m.
SELECT movie_id, title, genres
FROM read_csv($file, header = false, auto_detect = false, delim = '::', quote = '', escape = '', encoding = $encoding,
    columns = {'movie_id': 'VARCHAR', 'title': 'VARCHAR', 'genres': 'VARCHAR'})
