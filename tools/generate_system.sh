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
ask "select c.oid, attname, atttypid, atttypmod, attndims, attnotnull, attcollation
     from pg_class c join pg_attribute a on a.attrelid = c.oid
     where $system and attnum > 0 and not attisdropped order by c.oid, attnum" > columns.tsv
# The domains by which information_schema gives the standard's types. A collation is given where it is
# not that of the type beneath.
ask "select d.oid, d.typname, d.typarray, d.typbasetype, d.typtypmod,
            coalesce(nullif(d.typcollation, b.typcollation), 0), d.typdefault
     from pg_type d join pg_type b on b.oid = d.typbasetype
     where d.typnamespace = 'information_schema'::regnamespace order by d.oid" > domains.tsv
# Their checks as they are written: what is shown of IN does not read as IN again.
ask "select contypid, oid, conname, case conname when 'yes_or_no_check' then 'VALUE IN (''YES'', ''NO'')'
            else pg_get_expr(conbin, 0) end
     from pg_constraint
     where connamespace = 'information_schema'::regnamespace and contypid <> 0
     order by contypid, conname" > domain_checks.tsv

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
