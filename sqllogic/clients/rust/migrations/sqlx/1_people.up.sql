CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');

CREATE TABLE people (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    mood mood NOT NULL DEFAULT 'ok',
    born date,
    tags text[] NOT NULL DEFAULT '{}'
);
