-- What a catalogue of metadata tells of films, typed. Its own columns stay text.
SELECT rowid AS source_row, movie_id,
    try_cast(tmdb_id AS INTEGER) AS tmdb_id,
    -- "Heat (1995)": a year in brackets leaves the title
    trim(regexp_replace(told(title), '\s*\(\d{4}\)\s*$', '')) AS title,
    list_concat(title_keys(coalesce(title, '')), title_keys(coalesce(original_title, ''))) AS keys,
    coalesce(
        try_cast(year AS SMALLINT),
        cast(year(day(release_date)) AS SMALLINT),
        try_cast(regexp_extract(title, '\((\d{4})\)\s*$', 1) AS SMALLINT)) AS year,
    elements(genres) AS genres,
    elements(tags) AS tags,
    elements(keywords) AS keywords,
    people(directors) AS directors,
    people(actors) AS actors,
    people(writers) AS writers,
    told(certificate) AS certificate,
    told(plot) AS plot,
    day(release_date) AS release_date,
    minutes(runtime) AS runtime,
    raw_descriptions.* EXCLUDE (movie_id, tmdb_id, title, original_title, year, genres, tags, keywords, directors, actors,
        writers, certificate, plot, release_date, runtime)
FROM raw_descriptions
