//! Order and equality of datums as PostgreSQL's default B-tree operator classes define them.
