//! Every relation gives rows of its columns' types.

use std::sync::Arc;

use aegis_storage::{
    Key, LockReport, LockedObject, RowLockMode, TableLockMode, TransactionId, TreeId,
};
use aegis_types::io::element_type;
use aegis_types::{Datum, Oid, TypeRef, type_oid as t};

use super::*;
use crate::descriptor::*;
use crate::snapshot::{BOOTSTRAP_ROLE, POSTGRES_DATABASE, PUBLIC};

struct NoServer;

impl ServerState for NoServer {
    fn hba_rules(&self) -> Vec<HbaRow> {
        Vec::new()
    }

    fn role(&self) -> Oid {
        crate::snapshot::BOOTSTRAP_ROLE
    }

    fn settings(&self) -> Vec<SettingRow> {
        vec![SettingRow { name: "work_mem".into(), unit: Some("kB"), ..SettingRow::default() }]
    }

    fn sessions(&self) -> Vec<SessionRow> {
        vec![SessionRow {
            process_id: 7,
            database: "postgres".into(),
            user: "postgres".into(),
            application_name: "psql".into(),
            start_time: 0,
            transaction_start: None,
            query_start: Some(1),
            state_change: Some(1),
            encryption: None,
            state: "active",
            query: "SELECT 1".into(),
            query_id: None,
        }]
    }

    fn table_activity(&self, _: &Relation) -> TableActivityRow {
        TableActivityRow { changes: 3, analyze_count: 1, ..TableActivityRow::default() }
    }

    fn prepared_statements(&self) -> Vec<PreparedRow> {
        vec![PreparedRow {
            name: "s".into(),
            statement: "SELECT $1".into(),
            prepare_time: 0,
            parameter_types: vec![t::TEXT],
            from_sql: true,
        }]
    }

    fn cursors(&self) -> Vec<CursorRow> {
        vec![CursorRow {
            name: "c".into(),
            statement: "DECLARE c CURSOR FOR SELECT 1".into(),
            is_holdable: false,
            is_binary: false,
            is_scrollable: true,
            creation_time: 0,
        }]
    }

    fn locks(&self) -> Vec<LockReport> {
        let waiter = |object, behind| LockReport {
            object,
            transaction: TransactionId(9),
            process_id: 7,
            waited: Some(std::time::Duration::from_millis(5)),
            behind,
            blockers: vec![(TransactionId(8), 6)],
        };
        let row = |tree, mode| LockedObject::Row { tree: TreeId(tree), key: Key::new(b"k"), mode };
        vec![
            waiter(LockedObject::Table { object_id: 1, mode: TableLockMode::Share }, 0),
            waiter(row(1, RowLockMode::ForUpdate), 0),
            waiter(row(2, RowLockMode::ForShare), 1),
            LockReport {
                waited: None,
                ..waiter(LockedObject::Tree { tree: TreeId(1), mode: RowLockMode::ForShare }, 0)
            },
        ]
    }

    fn sequence_last_value(&self, _: &Relation) -> Option<i64> {
        None
    }
}

fn column(number: i16, name: &str, ty: TypeRef) -> Column {
    Column {
        number,
        name: name.into(),
        ty,
        not_null: number == 1,
        default: None,
        identity: None,
        dropped: false,
        since_version: 0,
        missing: None,
        ..Column::default()
    }
}

fn relation(oid: u32, name: &str, columns: Vec<Column>, body: RelationBody) -> Descriptor {
    let has_row_type = matches!(body, RelationBody::Table(_) | RelationBody::View { .. });
    Descriptor::Relation(Arc::new(Relation {
        oid: Oid(oid),
        database: POSTGRES_DATABASE,
        schema: PUBLIC,
        name: name.into(),
        owner: BOOTSTRAP_ROLE,
        row_type: if has_row_type { Oid(oid + 1) } else { Oid::NONE },
        row_array_type: if has_row_type { Oid(oid + 2) } else { Oid::NONE },
        columns,
        options: Vec::new(),
        body,
        ..Relation::default()
    }))
}

fn index(table: u32, primary: bool) -> RelationBody {
    RelationBody::Index(IndexBody {
        table: Oid(table),
        tree: 1,
        keys: vec![IndexKey { column: 1, descending: !primary, ..IndexKey::default() }],
        unique: true,
        primary,
        nulls_not_distinct: false,
        valid_from: 0,
        method: "btree".into(),
        valid: true,
        ..IndexBody::default()
    })
}

fn table(constraints: Vec<Constraint>) -> RelationBody {
    RelationBody::Table(TableBody {
        tree: 1,
        row_key: vec![1],
        row_version: 1,
        indexes: vec![Oid(20010)],
        constraints,
        referenced_by: Vec::new(),
        row_count: -1.0,
        ..TableBody::default()
    })
}

/// A table with a key, a check, a reference to itself and a default, an index, a view, a sequence.
fn catalog() -> CatalogSnapshot {
    let mut catalog = CatalogSnapshot::default();
    let constraint = |oid, name: &str, kind| Constraint {
        oid: Oid(oid),
        name: name.into(),
        kind,
        validated: true,
        deferral: crate::Deferral::NotDeferrable,
    };
    let mut with_default = column(2, "Amount", TypeRef::with_typmod(t::NUMERIC, (8 << 16) + 2 + 4));
    with_default.default = Some("nextval('public.s'::regclass)".into());
    let columns = vec![column(1, "id", TypeRef::plain(t::INT4)), with_default];
    let constraints = vec![
        constraint(20011, "t_pkey", ConstraintKind::PrimaryKey { index: Oid(20010) }),
        constraint(
            20012,
            "t_check",
            ConstraintKind::Check { expression: "(id > 0)".into(), columns: vec![1] },
        ),
        constraint(
            20013,
            "t_fkey",
            ConstraintKind::ForeignKey(ForeignKey {
                columns: vec![1],
                target: Oid(20000),
                target_columns: vec![1],
                target_index: Oid(20010),
                on_delete: ReferentialAction::Cascade,
                on_update: ReferentialAction::NoAction,
                set_columns: Vec::new(),
                match_full: false,
            }),
        ),
    ];
    let descriptors = [
        Descriptor::Database(Arc::new(Database {
            oid: POSTGRES_DATABASE,
            name: "postgres".into(),
            owner: BOOTSTRAP_ROLE,
            allow_connections: true,
            is_template: false,
            connection_limit: -1,
            collate: "C".into(),
            ctype: "C.UTF-8".into(),
        })),
        Descriptor::Role(Arc::new(Role {
            superuser: true,
            can_login: true,
            ..Role::plain(BOOTSTRAP_ROLE, "postgres")
        })),
        Descriptor::Schema(Arc::new(Schema {
            oid: PUBLIC,
            database: POSTGRES_DATABASE,
            name: "public".into(),
            owner: BOOTSTRAP_ROLE,
        })),
        relation(20000, "t", columns, table(constraints)),
        relation(20010, "t_pkey", Vec::new(), index(20000, true)),
        relation(20020, "t down", Vec::new(), index(20000, false)),
        relation(
            20030,
            "v",
            vec![column(1, "id", TypeRef::plain(t::INT4))],
            RelationBody::View { definition: "SELECT t.id FROM public.t".into() },
        ),
        relation(
            20040,
            "s",
            Vec::new(),
            RelationBody::Sequence(SequenceBody {
                ty: t::INT8,
                start: 1,
                increment: 1,
                minimum: 1,
                maximum: i64::MAX,
                cache: 1,
                cycle: false,
                generation: 0,
                initial: 1,
                owned_by: Some((Oid(20000), 2)),
                internal: false,
            }),
        ),
        Descriptor::Comment(Arc::new(Comment {
            class: crate::snapshot::PG_CLASS,
            object: Oid(20000),
            column: 0,
            text: "a table".into(),
        })),
    ];
    for descriptor in &descriptors {
        catalog = catalog.with(descriptor);
    }
    catalog
}

fn context(catalog: &CatalogSnapshot) -> SystemContext<'_> {
    SystemContext {
        names: Names {
            catalog,
            database: POSTGRES_DATABASE,
            search_path: &[PUBLIC],
            text: &AsStored,
        },
        server: &NoServer,
    }
}

fn fits(value: &Datum, ty: Oid) -> bool {
    match value {
        Datum::Null => true,
        Datum::Bool(_) => ty == t::BOOL,
        Datum::Int2(_) => ty == t::INT2,
        Datum::Int4(_) => ty == t::INT4,
        Datum::Int8(_) => ty == t::INT8,
        Datum::Float4(_) => ty == t::FLOAT4,
        Datum::Char(_) => ty == t::CHAR,
        Datum::Timestamptz(_) => ty == t::TIMESTAMPTZ,
        Datum::Text(_) => {
            matches!(ty, t::TEXT | t::NAME | t::VARCHAR | t::PG_NODE_TREE | t::ACLITEM)
        }
        Datum::Oid(_) => ty == t::OID || ty == t::XID || aegis_types::io::is_reg_type(ty),
        Datum::Interval(_) => ty == t::INTERVAL,
        Datum::Array(array) => {
            let element = match ty {
                t::INT2VECTOR => Some(t::INT2),
                t::OIDVECTOR => Some(t::OID),
                _ => element_type(ty),
            };
            element == Some(array.element)
                && array.elements.iter().all(|value| fits(value, array.element))
        }
        _ => false,
    }
}

#[test]
fn rows_have_a_datum_of_the_right_type_for_every_column() {
    let catalog = catalog();
    let context = context(&catalog);
    for relation in all() {
        for row in (relation.rows)(&context) {
            assert_eq!(row.len(), relation.columns.len(), "{}", relation.name);
            for (value, column) in row.iter().zip(&relation.columns) {
                let beneath = catalog.base_type(column.ty).oid;
                assert!(fits(value, beneath), "{}.{}: {value:?}", relation.name, column.name);
            }
        }
    }
}

#[test]
fn definitions_are_laid_out_as_in_postgresql() {
    let catalog = catalog();
    let names = context(&catalog).names;
    let index = catalog.relation(Oid(20020)).unwrap();
    assert_eq!(
        definition::index_definition(&names, index, false).unwrap(),
        "CREATE UNIQUE INDEX \"t down\" ON public.t USING btree (id DESC NULLS LAST)"
    );
    let table = catalog.relation(Oid(20000)).unwrap();
    let printed: Vec<String> = table
        .as_table()
        .unwrap()
        .constraints
        .iter()
        .map(|constraint| definition::constraint_definition(&names, table, constraint, true))
        .collect();
    assert_eq!(
        printed,
        [
            "PRIMARY KEY (id)",
            "CHECK ((id > 0))",
            "FOREIGN KEY (id) REFERENCES t(id) ON DELETE CASCADE"
        ]
    );
    let default = table.columns[1].default.as_deref().unwrap();
    assert_eq!(definition::default_text(&names, default), "nextval('public.s'::regclass)");
}

#[test]
fn types_are_named_in_the_words_of_sql() {
    let catalog = catalog();
    let names = context(&catalog).names;
    for (oid, typmod, name) in [
        (t::NUMERIC, Some((8 << 16) + 2 + 4), "numeric(8,2)"),
        (t::BPCHAR, Some(-1), "bpchar"),
        (t::BPCHAR, None, "character"),
        (t::BPCHAR, Some(7), "character(3)"),
        (t::TIMESTAMPTZ, Some(3), "timestamp(3) with time zone"),
        (t::INT4_ARRAY, Some(-1), "integer[]"),
        (t::CHAR, Some(-1), "\"char\""),
        (Oid(0), None, "-"),
        (Oid(20001), None, "t"),
        (Oid(20002), None, "t[]"),
        (Oid(99999), None, "???"),
        (Oid(83), None, "pg_class"),
    ] {
        assert_eq!(names.format_type(oid, typmod), name);
    }
}

#[test]
fn qualified_names_fold_and_keep_quotes() {
    let split = |text| definition::split_qualified(text);
    assert_eq!(split("Public . \"A.b\"\"\"").unwrap(), ["public", "A.b\""]);
    assert_eq!(split("a."), None);
    assert_eq!(split("\"a"), None);
    assert_eq!(split("a b"), None);
}
