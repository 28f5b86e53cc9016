"""psql at a terminal: what it prints, and what it completes when TAB is pressed."""

import os
import pty
import select
import subprocess
import tempfile

# A libpq connection string: an Aegis of its own when the Rust test runs this, or a PostgreSQL.
DSN = os.environ["AEGIS_CLIENTS_DSN"]

# What shows that everything before was done.
END = "#ended#"

# Nothing here takes as long, unless it never ends.
SECONDS_MAX = 60

OBJECTS = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL DEFAULT 'x', mood mood);
CREATE TABLE orders (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer int REFERENCES customer,
    total numeric(10,2) CONSTRAINT worth CHECK (total > 0),
    "Mixed Case" text
);
CREATE INDEX orders_customer ON orders (customer);
CREATE UNIQUE INDEX orders_total ON orders (total DESC) WHERE total > 10;
CREATE VIEW big AS SELECT id, total FROM orders WHERE total > 100;
CREATE MATERIALIZED VIEW totals AS SELECT customer, sum(total) FROM orders GROUP BY 1;
CREATE SEQUENCE numbers;
COMMENT ON TABLE orders IS 'what was ordered';
COMMENT ON COLUMN orders.total IS 'in euros';
INSERT INTO customer VALUES (1, 'Ann', 'happy'), (2, 'Bob', 'sad');
INSERT INTO orders (customer, total) VALUES (1, 12), (1, 120), (2, 7.5);
"""


def environment(**more):
    """psql's environment: nothing of the user's own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    plain = {"LC_ALL": "C.UTF-8", "PAGER": "cat", "PSQL_PAGER": "", "PSQLRC": "/dev/null", "PGTZ": "UTC"}
    return {**kept, **plain, "PSQL_HISTORY": "/dev/null", **more}


def fresh(schema):
    """Makes a schema with the objects."""
    drop(schema)
    psql(f"CREATE SCHEMA {schema}; {OBJECTS}", schema)


def drop(schema):
    """Drops a schema."""
    psql(f"SET client_min_messages = warning; DROP SCHEMA IF EXISTS {schema} CASCADE", schema)


def psql(script, schema, *arguments):
    """What psql prints, errors in their places."""
    options = f"-c search_path={schema}"
    done = subprocess.run(
        ["psql", "-X", *arguments, DSN],
        input=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
        env=environment(PGOPTIONS=options), timeout=SECONDS_MAX, check=False,
    )
    return done.stdout


class Terminal:
    """psql at a pseudo-terminal."""

    def __init__(self, schema):
        self.inputrc = tempfile.NamedTemporaryFile("w", suffix="inputrc")
        self.inputrc.write(
            "set completion-query-items 0\nset page-completions off\nset bell-style none\n"
            "set enable-bracketed-paste off\nset completion-display-width 1\n"
        )
        self.inputrc.flush()
        env = environment(
            PGOPTIONS=f"-c search_path={schema}", TERM="dumb", INPUTRC=self.inputrc.name, COLUMNS="500"
        )
        self.master, slave = pty.openpty()
        arguments = ["psql", "-X", "-v", "PROMPT1=<ready>", "-v", f"end={END}", DSN]
        self.process = subprocess.Popen(
            arguments, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
        )
        os.close(slave)
        self.unread = ""
        self.read_until("<ready>")

    def read_until(self, text):
        """What comes up to a text, and the text; what comes behind it stays."""
        while text not in self.unread:
            ready, _, _ = select.select([self.master], [], [], SECONDS_MAX)
            if not ready:
                raise TimeoutError(f"no {text!r} in {self.unread!r}")
            self.unread += os.read(self.master, 65536).decode()
        found, behind, self.unread = self.unread.partition(text)
        return found + behind

    def runs(self, statements):
        """Runs statements."""
        os.write(self.master, f"{statements}\\echo :end\n".encode())
        self.read_until(f"\n{END}")
        self.read_until("<ready>")

    def completions(self, line):
        """What the last word of a line can become, in the order that readline lists it."""
        # Meta-? lists; what was typed is then taken back, so that nothing of it runs.
        os.write(self.master, f"{line}\x1b?\x15\\echo :end\n".encode())
        shown = self.read_until(f"\n{END}")
        self.read_until("<ready>")
        lines = shown.replace("\r", "").split("\n")
        listed = [text.rstrip() for text in lines[1:]]
        ends = next(at for at, text in enumerate(listed) if text.startswith("<ready>") or text == END)
        return [text for text in listed[:ends] if text]

    def close(self):
        os.write(self.master, b"\x03\\q\n")
        self.process.wait(SECONDS_MAX)
        os.close(self.master)
        self.inputrc.close()
