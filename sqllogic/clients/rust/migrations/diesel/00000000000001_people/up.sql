CREATE TYPE color AS ENUM ('red', 'green');

CREATE TABLE people (
    id serial PRIMARY KEY,
    name varchar(40) NOT NULL UNIQUE,
    favourite color,
    created_at timestamp NOT NULL DEFAULT now()
);
