//! Order and replication of opaque write sets: openraft over our own segment log.
