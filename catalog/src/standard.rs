//! The domains of `information_schema`, by which its views give the standard's types.
//!
//! ```text
//! data/domains.tsv        ── the five domains, with what they are over
//! data/domain_checks.tsv  ── what two of them demand
//! ```
//!
//! They are built in like the schema they lie in: every database has them, and no descriptor is stored
//! for them. Nothing here can be changed.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use aegis_types::builtin::INFORMATION_SCHEMA;
use aegis_types::{Collation, Oid, TypeRef};

use crate::descriptor::{DomainBody, DomainCheck, TypeBody, UserType};
use crate::snapshot::BOOTSTRAP_ROLE;

static DOMAINS: LazyLock<BTreeMap<Oid, Arc<UserType>>> = LazyLock::new(|| {
    let mut checks: BTreeMap<Oid, Vec<DomainCheck>> = BTreeMap::new();
    for fields in lines(include_str!("../data/domain_checks.tsv")) {
        checks.entry(oid(fields[0])).or_default().push(DomainCheck {
            oid: oid(fields[1]),
            name: fields[2].to_owned(),
            expression: fields[3].to_owned(),
            validated: true,
        });
    }
    lines(include_str!("../data/domains.tsv"))
        .map(|fields| {
            let key = oid(fields[0]);
            let body = DomainBody {
                base: TypeRef::with_typmod(oid(fields[3]), number(fields[4])),
                collation: Collation::with_oid(oid(fields[5])),
                not_null: false,
                default: Some(fields[6]).filter(|text| !text.is_empty()).map(str::to_owned),
                checks: checks.remove(&key).unwrap_or_default(),
            };
            let domain = UserType {
                oid: key,
                database: Oid::NONE,
                schema: INFORMATION_SCHEMA,
                name: fields[1].to_owned(),
                owner: BOOTSTRAP_ROLE,
                array: oid(fields[2]),
                array_name: format!("_{}", fields[1]),
                body: TypeBody::Domain(Arc::new(body)),
            };
            (key, Arc::new(domain))
        })
        .collect()
});

fn lines(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table.lines().map(|line| line.split('\t').collect())
}

fn oid(field: &str) -> Oid {
    Oid(number(field))
}

fn number<T: FromStr<Err: std::fmt::Debug>>(field: &str) -> T {
    field.parse().expect("the generated tables hold numbers in their numeric columns")
}

/// All of them, by OID.
pub fn domains() -> impl Iterator<Item = &'static Arc<UserType>> {
    DOMAINS.values()
}

/// The one with this OID.
#[must_use]
pub fn domain(oid: Oid) -> Option<&'static Arc<UserType>> {
    // Most types that are asked for are users': they need no look.
    if oid >= Oid::FIRST_USER { None } else { DOMAINS.get(&oid) }
}

/// The one that this is the array type over.
#[must_use]
pub fn domain_of_array(array: Oid) -> Option<&'static Arc<UserType>> {
    if array >= Oid::FIRST_USER { None } else { domains().find(|domain| domain.array == array) }
}

/// The type of a schema with this name: one of them, or the array over one.
#[must_use]
pub fn type_named(schema: Oid, name: &str) -> Option<Oid> {
    if schema != INFORMATION_SCHEMA {
        return None;
    }
    domains().find_map(|domain| {
        if domain.name == name {
            Some(domain.oid)
        } else {
            (domain.array_name == name).then_some(domain.array)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_belongs_to_a_domain() {
        let checks: usize = domains()
            .map(|domain| match &domain.body {
                TypeBody::Domain(body) => body.checks.len(),
                TypeBody::Enum(_) | TypeBody::Composite(_) => panic!("it is a domain"),
            })
            .sum();
        assert_eq!(checks, lines(include_str!("../data/domain_checks.tsv")).count());
        assert_eq!(domains().count(), 5);
        let known = |it: &Arc<UserType>| it.oid.is_described_type() && it.array.is_described_type();
        assert!(domains().all(known), "what reads and writes values asks by OID alone");
    }

    #[test]
    fn names_lead_to_domains_and_to_arrays_over_them() {
        let found = type_named(INFORMATION_SCHEMA, "yes_or_no").expect("it is one of them");
        let domain = domain(found).expect("its OID is known");
        assert_eq!(type_named(INFORMATION_SCHEMA, "_yes_or_no"), Some(domain.array));
        assert_eq!(domain_of_array(domain.array).map(|it| it.oid), Some(found));
        assert_eq!(type_named(crate::snapshot::PG_CATALOG, "yes_or_no"), None);
    }
}
