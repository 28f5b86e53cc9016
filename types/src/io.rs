//! Text and binary forms of every type, both ways, by the type's OID.
