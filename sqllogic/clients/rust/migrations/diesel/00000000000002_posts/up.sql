CREATE TABLE posts (
    id bigserial PRIMARY KEY,
    person_id integer NOT NULL REFERENCES people (id),
    title text NOT NULL,
    body jsonb NOT NULL DEFAULT '{}',
    tags text[] NOT NULL DEFAULT '{}',
    score numeric(10, 2) NOT NULL DEFAULT 0,
    published boolean NOT NULL DEFAULT false
);
CREATE INDEX ON posts (person_id);
