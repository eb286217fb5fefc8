-- The source's own partition, named in the order of its rows.
SELECT part, cast(row_number() OVER (ORDER BY min(source_row)) - 1 AS TINYINT) AS code
FROM ratings WHERE part IS NOT NULL GROUP BY part ORDER BY code
