#!/usr/bin/env bash
# Reads the tables under catalog/data/ off a running PostgreSQL 15: which relations its system
# schemas have, with their columns, and the rows of catalogs that never change here.
#
# usage: generate_system.sh PSQL_ARGUMENTS…      (such as -h 127.0.0.1 -p 5432 -U postgres)
set -euo pipefail
cd "$(dirname "$0")/../catalog/data"
arguments=("$@")
ask() { psql -X -At -F $'\t' "${arguments[@]}" -c "$1"; }

system="c.relnamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
        and c.relkind in ('r', 'v')"
ask "select c.oid, nspname, relname, relkind, relisshared, c.reltype, t.typarray
     from pg_class c join pg_namespace n on n.oid = relnamespace join pg_type t on t.oid = c.reltype
     where $system order by 2, 3" > relations.tsv
# Domains of information_schema are given as what they are over, as RowDescription gives them.
ask "select c.oid, attname, coalesce(nullif(typbasetype, 0), atttypid),
            case when typbasetype <> 0 then typtypmod else atttypmod end, attndims, attnotnull,
            attcollation
     from pg_class c join pg_attribute a on a.attrelid = c.oid join pg_type t on t.oid = atttypid
     where $system and attnum > 0 and not attisdropped order by c.oid, attnum" > columns.tsv

rows() { # RELATION CONDITION: in the text form of COPY, reg types as numbers
    local list
    list=$(ask "select string_agg(case
                  when atttypid in ('aclitem[]'::regtype) then 'null'
                  when t.typname like 'reg%' then format('%I::oid', attname)
                  else quote_ident(attname) end, ', ' order by attnum)
                from pg_attribute a join pg_type t on t.oid = atttypid
                where attrelid = 'pg_catalog.$1'::regclass and attnum > 0")
    ask "copy (select $list from pg_catalog.$1 where $2 order by ${3:-1}) to stdout" > "$1.tsv"
}
rows pg_am "amname in ('heap', 'btree', 'hash')"
rows pg_opfamily "opfmethod in (403, 405) and oid < 16384"
# As PostgreSQL keeps them: aggregates over them without ORDER BY show that.
rows pg_opclass "opcmethod in (403, 405) and oid < 16384" ctid
rows pg_amop "amopmethod in (403, 405) and oid < 16384"
rows pg_amproc "amprocfamily in (select oid from pg_opfamily where opfmethod in (403, 405))
                and oid < 16384"
rows pg_collation "collname in ('default', 'C', 'POSIX') and oid < 16384"
rows pg_language "lanname in ('internal', 'c', 'sql')"
rows pg_tablespace "spcname in ('pg_default', 'pg_global')"
rows pg_range "rngtypid < 16384"
