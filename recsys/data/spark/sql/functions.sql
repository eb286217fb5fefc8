-- What the SELECTs share.

-- text without invisible characters around it (byte order marks, tabs)
CREATE OR REPLACE TEMPORARY FUNCTION visible(text STRING) RETURNS STRING
    RETURN nullif(regexp_replace(text, r'^[\p{Cc}\p{Cf}\p{Z}]+|[\p{Cc}\p{Cf}\p{Z}]+\z', ''), '');

-- whether text is a number (Spark itself also takes 5d and 5f for numbers)
CREATE OR REPLACE TEMPORARY FUNCTION is_number(text STRING) RETURNS BOOLEAN
    RETURN text RLIKE r'^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?\z';

-- whether text is digits with one comma among them, which may be a decimal mark
CREATE OR REPLACE TEMPORARY FUNCTION has_comma(text STRING) RETURNS BOOLEAN RETURN text RLIKE r'^-?[0-9]*,[0-9]+\z';

-- seconds UTC of an ISO date, with or without a time and an offset (Spark itself also takes 2020 and 12:30)
CREATE OR REPLACE TEMPORARY FUNCTION seconds_of_date(text STRING) RETURNS DOUBLE
    RETURN CASE WHEN text RLIKE
        r'^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([ T][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)? ?(Z|[+-][0-9]{2}(:[0-9]{2})?)?)?\z'
        THEN unix_micros(try_cast(text AS TIMESTAMP)) / 1e6 END
