-- u.user of ml-100k: ages in years, occupations by name.
SELECT user_id, age, gender, occupation, zip_code
FROM read_csv($file, header = false, auto_detect = false, delim = '|', quote = '', escape = '',
    columns = {'user_id': 'VARCHAR', 'age': 'VARCHAR', 'gender': 'VARCHAR', 'occupation': 'VARCHAR',
        'zip_code': 'VARCHAR'})
