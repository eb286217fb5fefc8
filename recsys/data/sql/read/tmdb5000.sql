-- The TMDB-5000 tables, movies.csv and credits.csv: keywords, cast (in billing order, of which the first ten) and crew are JSON.
SELECT
    movies.id AS tmdb_id, movies.title, original_title, release_date, runtime, overview AS plot,
    from_json(genres, '[{"name": "VARCHAR"}]').list_transform(lambda genre: genre.name) AS genres,
    from_json(keywords, '[{"name": "VARCHAR"}]').list_transform(lambda keyword: keyword.name) AS keywords,
    from_json("cast", '[{"name": "VARCHAR"}]').list_transform(lambda person: person.name)[:10] AS actors,
    from_json(crew, '[{"name": "VARCHAR", "job": "VARCHAR"}]')
        .list_filter(lambda person: person.job = 'Director').list_transform(lambda person: person.name) AS directors,
    from_json(crew, '[{"name": "VARCHAR", "department": "VARCHAR"}]')
        .list_filter(lambda person: person.department = 'Writing').list_transform(lambda person: person.name) AS writers
FROM read_csv($file, header = true, all_varchar = true, delim = ',', quote = '"', escape = '"') AS movies
JOIN read_csv($credits, header = true, all_varchar = true, delim = ',', quote = '"', escape = '"') AS credits
    ON credits.movie_id = movies.id
