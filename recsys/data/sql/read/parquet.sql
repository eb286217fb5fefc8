-- Parquet, whose columns have types; they are cast to text, as those of other formats, and parsed while cleaning.
SELECT * FROM read_parquet($file)
