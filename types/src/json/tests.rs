//! What is refused, and with which words: expectations are a PostgreSQL 15's answers.
