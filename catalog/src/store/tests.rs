//! Properties of the catalog's rows: they come back, keys sort by kind and OID, and bytes that nobody
//! wrote are an error or a descriptor, never a panic. `proptest` prints its seed when one fails.

use aegis_types::{Datum, TypeRef, type_oid};
use proptest::prelude::*;

use super::*;
use crate::descriptor::{
    Column, Comment, CommonValues, Constraint, ConstraintKind, DefaultPrivileges, Deferral,
    ForeignKey, Identity, IndexBody, IndexKey, ReferentialAction, Relation, RelationBody,
    RoleSettings, SequenceBody, Statistics, TableBody, Values,
};

fn oid() -> impl Strategy<Value = Oid> {
    any::<u32>().prop_map(Oid)
}

fn numbers() -> impl Strategy<Value = Vec<i16>> {
    prop::collection::vec(any::<i16>(), 0..4)
}

fn text() -> &'static str {
    "\\PC{0,12}"
}

fn column() -> impl Strategy<Value = Column> {
    let identity = prop_oneof![Just(Identity::Always), Just(Identity::ByDefault)];
    let missing = prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
    (
        (any::<i16>(), text(), oid(), any::<i32>(), any::<bool>()),
        (prop::option::of(text()), prop::option::of(identity), any::<bool>()),
        (any::<u16>(), missing),
    )
        .prop_map(
            |(
                (number, name, ty, typmod, not_null),
                (default, identity, dropped),
                (since, missing),
            )| {
                Column {
                    number,
                    name,
                    ty: TypeRef::with_typmod(ty, typmod),
                    not_null,
                    default,
                    identity,
                    dropped,
                    since_version: since,
                    missing,
                    ..Column::default()
                }
            },
        )
}

fn constraint() -> impl Strategy<Value = Constraint> {
    let check = (text(), numbers())
        .prop_map(|(expression, columns)| ConstraintKind::Check { expression, columns });
    let foreign_key = (numbers(), oid(), numbers(), oid(), numbers(), any::<bool>()).prop_map(
        |(columns, target, target_columns, target_index, set_columns, match_full)| {
            ConstraintKind::ForeignKey(ForeignKey {
                columns,
                target,
                target_columns,
                target_index,
                on_delete: ReferentialAction::Cascade,
                on_update: ReferentialAction::NoAction,
                set_columns,
                match_full,
            })
        },
    );
    let kind = prop_oneof![
        check,
        foreign_key,
        oid().prop_map(|index| ConstraintKind::PrimaryKey { index }),
        oid().prop_map(|index| ConstraintKind::Unique { index }),
    ];
    (oid(), text(), kind).prop_map(|(oid, name, kind)| Constraint {
        oid,
        name,
        kind,
        validated: true,
        deferral: Deferral::InitiallyImmediate,
    })
}

fn body() -> impl Strategy<Value = RelationBody> {
    let table = (
        (any::<u64>(), numbers(), any::<u16>()),
        prop::collection::vec(oid(), 0..3),
        prop::collection::vec(constraint(), 0..3),
        prop::collection::vec((oid(), oid()), 0..3),
        any::<f32>().prop_filter("it is compared", |count| !count.is_nan()),
    )
        .prop_map(
            |((tree, row_key, row_version), indexes, constraints, referenced_by, row_count)| {
                RelationBody::Table(TableBody {
                    tree,
                    row_key,
                    row_version,
                    indexes,
                    constraints,
                    referenced_by,
                    row_count,
                    ..TableBody::default()
                })
            },
        );
    let key = any::<(i16, bool, bool)>().prop_map(|(column, descending, nulls_first)| IndexKey {
        column,
        descending,
        nulls_first,
        ..IndexKey::default()
    });
    let keys = prop::collection::vec(key, 0..4);
    let index = (oid(), any::<(u64, bool, bool, bool, u64)>(), keys, text()).prop_map(
        |(table, (tree, unique, primary, nulls_not_distinct, valid_from), keys, method)| {
            RelationBody::Index(IndexBody {
                table,
                tree,
                keys,
                unique,
                primary,
                nulls_not_distinct,
                valid_from,
                method,
                ..IndexBody::default()
            })
        },
    );
    let sequence = (oid(), any::<[i64; 6]>(), any::<(bool, bool, u32)>(), any::<i16>()).prop_map(
        |(ty, [start, increment, minimum, maximum, cache, initial], (cycle, internal, n), at)| {
            RelationBody::Sequence(SequenceBody {
                ty,
                start,
                increment,
                minimum,
                maximum,
                cache,
                cycle,
                generation: n,
                initial,
                owned_by: internal.then_some((ty, at)),
                internal,
            })
        },
    );
    let view = text().prop_map(|definition| RelationBody::View { definition });
    prop_oneof![table, index, sequence, view]
}

fn acl() -> impl Strategy<Value = Vec<AclItem>> {
    let item = (oid(), oid(), any::<u16>(), any::<u16>()).prop_map(
        |(grantee, grantor, privileges, grantable)| AclItem {
            grantee,
            grantor,
            privileges,
            grantable,
        },
    );
    prop::collection::vec(item, 0..4)
}

fn descriptor() -> impl Strategy<Value = Descriptor> {
    let columns = prop::collection::vec(column(), 0..5);
    let options = prop::collection::vec(text(), 0..2);
    let relation = (prop::array::uniform6(oid()), text(), columns, options, body()).prop_map(
        |(
            [oid, database, schema, owner, row_type, row_array_type],
            name,
            columns,
            options,
            body,
        )| {
            Descriptor::Relation(Arc::new(Relation {
                oid,
                database,
                schema,
                name,
                owner,
                row_type,
                row_array_type,
                columns,
                options,
                body,
                ..Relation::default()
            }))
        },
    );
    let comment = (oid(), oid(), any::<i32>(), text()).prop_map(|(class, object, column, text)| {
        Descriptor::Comment(Arc::new(Comment { class, object, column, text }))
    });
    let schema = (oid(), oid(), text(), oid()).prop_map(|(oid, database, name, owner)| {
        Descriptor::Schema(Arc::new(Schema { oid, database, name, owner }))
    });
    let role = (
        (oid(), text(), any::<[bool; 7]>(), any::<i32>()),
        (prop::option::of(text()), prop::option::of(any::<i64>())),
    )
        .prop_map(|((oid, name, flags, connection_limit), (password, valid_until))| {
            let [superuser, inherit, create_role, create_database, can_login, rest @ ..] = flags;
            let [replication, bypass_row_security] = rest;
            Descriptor::Role(Arc::new(Role {
                oid,
                name,
                superuser,
                inherit,
                create_role,
                create_database,
                can_login,
                replication,
                bypass_row_security,
                connection_limit,
                password,
                valid_until,
            }))
        });
    let membership =
        (oid(), oid(), oid(), any::<bool>()).prop_map(|(role, member, grantor, admin)| {
            Descriptor::Membership(Arc::new(Membership { role, member, grantor, admin }))
        });
    let pairs = prop::collection::vec((text(), text()), 0..3);
    let settings = (oid(), oid(), pairs).prop_map(|(database, role, settings)| {
        let settings = settings.into_iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        Descriptor::RoleSettings(Arc::new(RoleSettings { database, role, settings }))
    });
    let privileges =
        (oid(), oid(), any::<i32>(), acl()).prop_map(|(class, object, column, items)| {
            Descriptor::Privileges(Arc::new(Privileges { class, object, column, items }))
        });
    let defaults =
        (oid(), oid(), oid(), any::<u8>(), acl()).prop_map(|(oid, role, schema, kind, items)| {
            let defaults = DefaultPrivileges { oid, role, schema, kind, items };
            Descriptor::DefaultPrivileges(Arc::new(defaults))
        });
    let statistics = (oid(), any::<i16>(), prop::collection::vec(text(), 0..3)).prop_map(
        |(relation, column, words)| {
            let words: Vec<_> = words.into_iter().map(Datum::text).collect();
            let frequencies = vec![0.25; words.len()];
            Descriptor::Statistics(Arc::new(Statistics {
                relation,
                column,
                ty: TypeRef::plain(type_oid::TEXT),
                null_fraction: 0.5,
                width: 3,
                distinct: -1.0,
                histogram: Some(Values(words.clone().into())),
                common: Some(CommonValues { values: Values(words.into()), frequencies }),
                correlation: None,
            }))
        },
    );
    let access = prop_oneof![membership, settings, privileges, defaults, statistics];
    let database = (oid(), text(), oid(), any::<[bool; 2]>(), any::<i32>()).prop_map(
        |(oid, name, owner, [allow_connections, is_template], connection_limit)| {
            Descriptor::Database(Arc::new(Database {
                oid,
                name,
                owner,
                allow_connections,
                is_template,
                connection_limit,
                collate: "C".into(),
                ctype: "C.UTF-8".into(),
            }))
        },
    );
    prop_oneof![6 => relation, 1 => comment, 1 => schema, 1 => role, 1 => database, 2 => access]
}

proptest! {
    #[test]
    fn descriptors_and_their_keys_come_back(descriptor in descriptor()) {
        let bytes = descriptor.encode().unwrap();
        prop_assert_eq!(Descriptor::decode(&bytes).unwrap(), descriptor.clone());
        let key = descriptor.key();
        prop_assert_eq!(DescriptorKey::decode(&key.encode()).unwrap(), key);
        for cut in 0..bytes.len() {
            prop_assert!(Descriptor::decode(&bytes[..cut]).is_err(), "cut at {}", cut);
        }
        let mut longer = bytes;
        longer.push(0);
        prop_assert!(Descriptor::decode(&longer).is_err());
    }

    #[test]
    fn damaged_rows_are_refused_or_read_without_a_panic(
        descriptor in descriptor(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = descriptor.encode().unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = Descriptor::decode(&bytes);
        let mut versioned = vec![FORMAT_VERSION];
        versioned.extend_from_slice(&noise);
        let _ = Descriptor::decode(&versioned);
        if let Ok(key) = DescriptorKey::decode(&noise) {
            prop_assert_eq!(key.encode(), noise);
        }
    }
}
