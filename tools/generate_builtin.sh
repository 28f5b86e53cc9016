#!/usr/bin/env bash
# Reads the tables under types/data/ off a running PostgreSQL 15.
#
# usage: generate_builtin.sh PSQL_ARGUMENTS…      (such as -h 127.0.0.1 -p 5432 -U postgres)
set -euo pipefail
cd "$(dirname "$0")/../types/data"

table() { # FILE QUERY
    psql -X -At -F $'\t' "${arguments[@]}" -c "$2" > "$1"
}
arguments=("$@")

functions() { # SCHEMA
  echo "
  select p.oid, proname, l.lanname, prokind, proisstrict, proretset, provolatile, provariadic,
         pronargdefaults, prorettype, proargtypes::text,
         coalesce(array_to_string(proallargtypes, ' '), ''),
         coalesce(array_to_string(proargmodes, ' '), ''),
         coalesce(array_to_string(proargnames, ','), ''),
         case when l.lanname = 'sql' then '' else prosrc end
  from pg_proc p join pg_language l on l.oid = prolang
  where p.oid < 16384 and pronamespace = '$1'::regnamespace order by p.oid"
}
table pg_proc.tsv "$(functions pg_catalog)"
table information_schema_proc.tsv "$(functions information_schema)"
table pg_operator.tsv "
  select oid, oprname, oprkind, oprcanmerge, oprcanhash, oprleft, oprright, oprresult, oprcom,
         oprnegate, oprcode::oid
  from pg_operator where oid < 16384 order by oid"
table pg_cast.tsv "
  select castsource, casttarget, castfunc, castcontext, castmethod, oid from pg_cast
  where oid < 16384 order by 1, 2"
table pg_type.tsv "
  select oid, typname, typlen, typbyval, typtype, typcategory, typispreferred, typdelim, typelem,
         typarray, typinput::oid, typoutput::oid, typreceive::oid, typsend::oid, typmodin::oid,
         typmodout::oid, typalign, typstorage, typcollation
  from pg_type t
  where oid < 16384 and typtype in ('b', 'p', 'r', 'm')
    and typnamespace = 'pg_catalog'::regnamespace and typrelid = 0
    and not exists (select 1 from pg_type e where e.oid = t.typelem and e.typrelid <> 0)
  order by oid"
table pg_aggregate.tsv "
  select aggfnoid::oid, aggkind, aggnumdirectargs, aggtransfn::oid, aggfinalfn::oid, aggsortop,
         aggtranstype, coalesce(agginitval, '')
  from pg_aggregate order by 1"
