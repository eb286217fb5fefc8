-- Ids that differ only by leading zeros: an example.
SELECT min(id) AS padded, max(id) AS plain FROM ids WHERE id RLIKE r'^[0-9]+\z'
GROUP BY trim(LEADING '0' FROM id) HAVING min(id) < max(id) ORDER BY padded, plain LIMIT 1
