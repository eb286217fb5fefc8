-- JSON lines: one object a line. The whole file decides which columns there are.
SELECT * FROM read_json($file, format = 'newline_delimited', sample_size = -1, convert_strings_to_integers = false)
