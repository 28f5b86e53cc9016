//! PostgreSQL 15's grammar, from text to [`crate::ast`].
