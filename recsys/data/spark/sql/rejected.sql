-- How many ratings each rule rejects.
SELECT rule, count(*) AS n_ratings FROM checked WHERE rule IS NOT NULL GROUP BY rule
