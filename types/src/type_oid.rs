//! OIDs of the built-in types, from `data/pg_type.tsv`.

use crate::oid::Oid;

/// `bool`
pub const BOOL: Oid = Oid(16);
/// `bytea`
pub const BYTEA: Oid = Oid(17);
/// `char`
pub const CHAR: Oid = Oid(18);
/// `name`
pub const NAME: Oid = Oid(19);
/// `int8`
pub const INT8: Oid = Oid(20);
/// `int2`
pub const INT2: Oid = Oid(21);
/// `int2vector`
pub const INT2VECTOR: Oid = Oid(22);
/// `int4`
pub const INT4: Oid = Oid(23);
/// `regproc`
pub const REGPROC: Oid = Oid(24);
/// `text`
pub const TEXT: Oid = Oid(25);
/// `oid`
pub const OID: Oid = Oid(26);
/// `tid`
pub const TID: Oid = Oid(27);
/// `xid`
pub const XID: Oid = Oid(28);
/// `cid`
pub const CID: Oid = Oid(29);
/// `oidvector`
pub const OIDVECTOR: Oid = Oid(30);
/// `pg_ddl_command`
pub const PG_DDL_COMMAND: Oid = Oid(32);
/// `json`
pub const JSON: Oid = Oid(114);
/// `xml`
pub const XML: Oid = Oid(142);
/// `_xml`
pub const XML_ARRAY: Oid = Oid(143);
/// `pg_node_tree`
pub const PG_NODE_TREE: Oid = Oid(194);
/// `_json`
pub const JSON_ARRAY: Oid = Oid(199);
/// `table_am_handler`
pub const TABLE_AM_HANDLER: Oid = Oid(269);
/// `_xid8`
pub const XID8_ARRAY: Oid = Oid(271);
/// `index_am_handler`
pub const INDEX_AM_HANDLER: Oid = Oid(325);
/// `point`
pub const POINT: Oid = Oid(600);
/// `lseg`
pub const LSEG: Oid = Oid(601);
/// `path`
pub const PATH: Oid = Oid(602);
/// `box`
pub const BOX: Oid = Oid(603);
/// `polygon`
pub const POLYGON: Oid = Oid(604);
/// `line`
pub const LINE: Oid = Oid(628);
/// `_line`
pub const LINE_ARRAY: Oid = Oid(629);
/// `cidr`
pub const CIDR: Oid = Oid(650);
/// `_cidr`
pub const CIDR_ARRAY: Oid = Oid(651);
/// `float4`
pub const FLOAT4: Oid = Oid(700);
/// `float8`
pub const FLOAT8: Oid = Oid(701);
/// `unknown`
pub const UNKNOWN: Oid = Oid(705);
/// `circle`
pub const CIRCLE: Oid = Oid(718);
/// `_circle`
pub const CIRCLE_ARRAY: Oid = Oid(719);
/// `macaddr8`
pub const MACADDR8: Oid = Oid(774);
/// `_macaddr8`
pub const MACADDR8_ARRAY: Oid = Oid(775);
/// `money`
pub const MONEY: Oid = Oid(790);
/// `_money`
pub const MONEY_ARRAY: Oid = Oid(791);
/// `macaddr`
pub const MACADDR: Oid = Oid(829);
/// `inet`
pub const INET: Oid = Oid(869);
/// `_bool`
pub const BOOL_ARRAY: Oid = Oid(1000);
/// `_bytea`
pub const BYTEA_ARRAY: Oid = Oid(1001);
/// `_char`
pub const CHAR_ARRAY: Oid = Oid(1002);
/// `_name`
pub const NAME_ARRAY: Oid = Oid(1003);
/// `_int2`
pub const INT2_ARRAY: Oid = Oid(1005);
/// `_int2vector`
pub const INT2VECTOR_ARRAY: Oid = Oid(1006);
/// `_int4`
pub const INT4_ARRAY: Oid = Oid(1007);
/// `_regproc`
pub const REGPROC_ARRAY: Oid = Oid(1008);
/// `_text`
pub const TEXT_ARRAY: Oid = Oid(1009);
/// `_tid`
pub const TID_ARRAY: Oid = Oid(1010);
/// `_xid`
pub const XID_ARRAY: Oid = Oid(1011);
/// `_cid`
pub const CID_ARRAY: Oid = Oid(1012);
/// `_oidvector`
pub const OIDVECTOR_ARRAY: Oid = Oid(1013);
/// `_bpchar`
pub const BPCHAR_ARRAY: Oid = Oid(1014);
/// `_varchar`
pub const VARCHAR_ARRAY: Oid = Oid(1015);
/// `_int8`
pub const INT8_ARRAY: Oid = Oid(1016);
/// `_point`
pub const POINT_ARRAY: Oid = Oid(1017);
/// `_lseg`
pub const LSEG_ARRAY: Oid = Oid(1018);
/// `_path`
pub const PATH_ARRAY: Oid = Oid(1019);
/// `_box`
pub const BOX_ARRAY: Oid = Oid(1020);
/// `_float4`
pub const FLOAT4_ARRAY: Oid = Oid(1021);
/// `_float8`
pub const FLOAT8_ARRAY: Oid = Oid(1022);
/// `_polygon`
pub const POLYGON_ARRAY: Oid = Oid(1027);
/// `_oid`
pub const OID_ARRAY: Oid = Oid(1028);
/// `aclitem`
pub const ACLITEM: Oid = Oid(1033);
/// `_aclitem`
pub const ACLITEM_ARRAY: Oid = Oid(1034);
/// `_macaddr`
pub const MACADDR_ARRAY: Oid = Oid(1040);
/// `_inet`
pub const INET_ARRAY: Oid = Oid(1041);
/// `bpchar`
pub const BPCHAR: Oid = Oid(1042);
/// `varchar`
pub const VARCHAR: Oid = Oid(1043);
/// `date`
pub const DATE: Oid = Oid(1082);
/// `time`
pub const TIME: Oid = Oid(1083);
/// `timestamp`
pub const TIMESTAMP: Oid = Oid(1114);
/// `_timestamp`
pub const TIMESTAMP_ARRAY: Oid = Oid(1115);
/// `_date`
pub const DATE_ARRAY: Oid = Oid(1182);
/// `_time`
pub const TIME_ARRAY: Oid = Oid(1183);
/// `timestamptz`
pub const TIMESTAMPTZ: Oid = Oid(1184);
/// `_timestamptz`
pub const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);
/// `interval`
pub const INTERVAL: Oid = Oid(1186);
/// `_interval`
pub const INTERVAL_ARRAY: Oid = Oid(1187);
/// `_numeric`
pub const NUMERIC_ARRAY: Oid = Oid(1231);
/// `_cstring`
pub const CSTRING_ARRAY: Oid = Oid(1263);
/// `timetz`
pub const TIMETZ: Oid = Oid(1266);
/// `_timetz`
pub const TIMETZ_ARRAY: Oid = Oid(1270);
/// `bit`
pub const BIT: Oid = Oid(1560);
/// `_bit`
pub const BIT_ARRAY: Oid = Oid(1561);
/// `varbit`
pub const VARBIT: Oid = Oid(1562);
/// `_varbit`
pub const VARBIT_ARRAY: Oid = Oid(1563);
/// `numeric`
pub const NUMERIC: Oid = Oid(1700);
/// `refcursor`
pub const REFCURSOR: Oid = Oid(1790);
/// `_refcursor`
pub const REFCURSOR_ARRAY: Oid = Oid(2201);
/// `regprocedure`
pub const REGPROCEDURE: Oid = Oid(2202);
/// `regoper`
pub const REGOPER: Oid = Oid(2203);
/// `regoperator`
pub const REGOPERATOR: Oid = Oid(2204);
/// `regclass`
pub const REGCLASS: Oid = Oid(2205);
/// `regtype`
pub const REGTYPE: Oid = Oid(2206);
/// `_regprocedure`
pub const REGPROCEDURE_ARRAY: Oid = Oid(2207);
/// `_regoper`
pub const REGOPER_ARRAY: Oid = Oid(2208);
/// `_regoperator`
pub const REGOPERATOR_ARRAY: Oid = Oid(2209);
/// `_regclass`
pub const REGCLASS_ARRAY: Oid = Oid(2210);
/// `_regtype`
pub const REGTYPE_ARRAY: Oid = Oid(2211);
/// `record`
pub const RECORD: Oid = Oid(2249);
/// `cstring`
pub const CSTRING: Oid = Oid(2275);
/// `any`
pub const ANY: Oid = Oid(2276);
/// `anyarray`
pub const ANYARRAY: Oid = Oid(2277);
/// `void`
pub const VOID: Oid = Oid(2278);
/// `trigger`
pub const TRIGGER: Oid = Oid(2279);
/// `language_handler`
pub const LANGUAGE_HANDLER: Oid = Oid(2280);
/// `internal`
pub const INTERNAL: Oid = Oid(2281);
/// `anyelement`
pub const ANYELEMENT: Oid = Oid(2283);
/// `_record`
pub const RECORD_ARRAY: Oid = Oid(2287);
/// `anynonarray`
pub const ANYNONARRAY: Oid = Oid(2776);
/// `_txid_snapshot`
pub const TXID_SNAPSHOT_ARRAY: Oid = Oid(2949);
/// `uuid`
pub const UUID: Oid = Oid(2950);
/// `_uuid`
pub const UUID_ARRAY: Oid = Oid(2951);
/// `txid_snapshot`
pub const TXID_SNAPSHOT: Oid = Oid(2970);
/// `fdw_handler`
pub const FDW_HANDLER: Oid = Oid(3115);
/// `pg_lsn`
pub const PG_LSN: Oid = Oid(3220);
/// `tsm_handler`
pub const TSM_HANDLER: Oid = Oid(3310);
/// `pg_ndistinct`
pub const PG_NDISTINCT: Oid = Oid(3361);
/// `pg_dependencies`
pub const PG_DEPENDENCIES: Oid = Oid(3402);
/// `anyenum`
pub const ANYENUM: Oid = Oid(3500);
/// `tsvector`
pub const TSVECTOR: Oid = Oid(3614);
/// `tsquery`
pub const TSQUERY: Oid = Oid(3615);
/// `gtsvector`
pub const GTSVECTOR: Oid = Oid(3642);
/// `_tsvector`
pub const TSVECTOR_ARRAY: Oid = Oid(3643);
/// `_gtsvector`
pub const GTSVECTOR_ARRAY: Oid = Oid(3644);
/// `_tsquery`
pub const TSQUERY_ARRAY: Oid = Oid(3645);
/// `regconfig`
pub const REGCONFIG: Oid = Oid(3734);
/// `_regconfig`
pub const REGCONFIG_ARRAY: Oid = Oid(3735);
/// `regdictionary`
pub const REGDICTIONARY: Oid = Oid(3769);
/// `_regdictionary`
pub const REGDICTIONARY_ARRAY: Oid = Oid(3770);
/// `jsonb`
pub const JSONB: Oid = Oid(3802);
/// `_jsonb`
pub const JSONB_ARRAY: Oid = Oid(3807);
/// `anyrange`
pub const ANYRANGE: Oid = Oid(3831);
/// `event_trigger`
pub const EVENT_TRIGGER: Oid = Oid(3838);
/// `int4range`
pub const INT4RANGE: Oid = Oid(3904);
/// `_int4range`
pub const INT4RANGE_ARRAY: Oid = Oid(3905);
/// `numrange`
pub const NUMRANGE: Oid = Oid(3906);
/// `_numrange`
pub const NUMRANGE_ARRAY: Oid = Oid(3907);
/// `tsrange`
pub const TSRANGE: Oid = Oid(3908);
/// `_tsrange`
pub const TSRANGE_ARRAY: Oid = Oid(3909);
/// `tstzrange`
pub const TSTZRANGE: Oid = Oid(3910);
/// `_tstzrange`
pub const TSTZRANGE_ARRAY: Oid = Oid(3911);
/// `daterange`
pub const DATERANGE: Oid = Oid(3912);
/// `_daterange`
pub const DATERANGE_ARRAY: Oid = Oid(3913);
/// `int8range`
pub const INT8RANGE: Oid = Oid(3926);
/// `_int8range`
pub const INT8RANGE_ARRAY: Oid = Oid(3927);
/// `jsonpath`
pub const JSONPATH: Oid = Oid(4072);
/// `_jsonpath`
pub const JSONPATH_ARRAY: Oid = Oid(4073);
/// `regnamespace`
pub const REGNAMESPACE: Oid = Oid(4089);
/// `_regnamespace`
pub const REGNAMESPACE_ARRAY: Oid = Oid(4090);
/// `regrole`
pub const REGROLE: Oid = Oid(4096);
/// `_regrole`
pub const REGROLE_ARRAY: Oid = Oid(4097);
/// `regcollation`
pub const REGCOLLATION: Oid = Oid(4191);
/// `_regcollation`
pub const REGCOLLATION_ARRAY: Oid = Oid(4192);
/// `int4multirange`
pub const INT4MULTIRANGE: Oid = Oid(4451);
/// `nummultirange`
pub const NUMMULTIRANGE: Oid = Oid(4532);
/// `tsmultirange`
pub const TSMULTIRANGE: Oid = Oid(4533);
/// `tstzmultirange`
pub const TSTZMULTIRANGE: Oid = Oid(4534);
/// `datemultirange`
pub const DATEMULTIRANGE: Oid = Oid(4535);
/// `int8multirange`
pub const INT8MULTIRANGE: Oid = Oid(4536);
/// `anymultirange`
pub const ANYMULTIRANGE: Oid = Oid(4537);
/// `anycompatiblemultirange`
pub const ANYCOMPATIBLEMULTIRANGE: Oid = Oid(4538);
/// `pg_brin_bloom_summary`
pub const PG_BRIN_BLOOM_SUMMARY: Oid = Oid(4600);
/// `pg_brin_minmax_multi_summary`
pub const PG_BRIN_MINMAX_MULTI_SUMMARY: Oid = Oid(4601);
/// `pg_mcv_list`
pub const PG_MCV_LIST: Oid = Oid(5017);
/// `pg_snapshot`
pub const PG_SNAPSHOT: Oid = Oid(5038);
/// `xid8`
pub const XID8: Oid = Oid(5069);
/// `anycompatible`
pub const ANYCOMPATIBLE: Oid = Oid(5077);
/// `anycompatiblearray`
pub const ANYCOMPATIBLEARRAY: Oid = Oid(5078);
/// `anycompatiblenonarray`
pub const ANYCOMPATIBLENONARRAY: Oid = Oid(5079);
/// `anycompatiblerange`
pub const ANYCOMPATIBLERANGE: Oid = Oid(5080);
/// `_int4multirange`
pub const INT4MULTIRANGE_ARRAY: Oid = Oid(6150);
/// `_nummultirange`
pub const NUMMULTIRANGE_ARRAY: Oid = Oid(6151);
/// `_tsmultirange`
pub const TSMULTIRANGE_ARRAY: Oid = Oid(6152);
/// `_tstzmultirange`
pub const TSTZMULTIRANGE_ARRAY: Oid = Oid(6153);
/// `_datemultirange`
pub const DATEMULTIRANGE_ARRAY: Oid = Oid(6155);
/// `_int8multirange`
pub const INT8MULTIRANGE_ARRAY: Oid = Oid(6157);
