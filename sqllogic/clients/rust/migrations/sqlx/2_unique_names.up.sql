CREATE UNIQUE INDEX people_name ON people (name);
