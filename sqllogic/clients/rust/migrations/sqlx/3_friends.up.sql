CREATE TABLE friends (
    one bigint NOT NULL REFERENCES people ON DELETE CASCADE,
    other bigint NOT NULL REFERENCES people ON DELETE CASCADE,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (one, other),
    CHECK (one <> other)
);
COMMENT ON TABLE friends IS 'who knows whom';
CREATE VIEW loners AS
    SELECT id, name FROM people p WHERE NOT EXISTS (SELECT FROM friends f WHERE p.id IN (f.one, f.other));
