-- no-transaction
CREATE UNIQUE INDEX CONCURRENTLY people_name ON people (name);
