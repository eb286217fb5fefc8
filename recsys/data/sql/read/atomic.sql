-- A RecBole atomic file: tab-separated, never quoted, under a header of `field:type`.
SELECT * FROM read_csv($file, header = true, all_varchar = true, delim = '\t', quote = '', escape = '')
