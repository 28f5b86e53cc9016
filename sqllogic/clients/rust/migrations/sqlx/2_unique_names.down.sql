-- no-transaction
DROP INDEX CONCURRENTLY people_name;
