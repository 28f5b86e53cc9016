//! Properties of the binary form, and literal answers of a PostgreSQL 15.
