//! Who may do what: privileges, their lists on objects, and the roles that a role acts as.
//!
//! ```text
//! object ─► its list, or the one that its kind begins with ─┐
//! role ─► itself, PUBLIC, the roles it inherits from ───────┴─► privileges held, and grantable ones
//! ```
//!
//! The rules are those of PostgreSQL's `acl.c` and `aclchk.c`. Nothing here raises an error or knows
//! a statement: whoever asks says what is refused.

use std::ops::{BitAnd, BitOr, Not};

use aegis_types::Oid;

use crate::descriptor::{AclItem, Relation, RelationBody};
use crate::snapshot::{
    BOOTSTRAP_ROLE, CatalogSnapshot, DATABASE_OWNER_ROLE, INFORMATION_SCHEMA, PG_CATALOG, PG_CLASS,
    PG_DATABASE, PG_LANGUAGE, PG_NAMESPACE, PG_PROC, PG_TABLESPACE, PG_TYPE,
};
use crate::system;

mod list;

pub use list::{GrantError, aclitem_text, grant, merge, revoke, sorted, with_new_owner};

/// `pg_read_all_data`
const READ_ALL_DATA: Oid = Oid(6181);
/// `pg_write_all_data`
const WRITE_ALL_DATA: Oid = Oid(6182);

/// The grantee that stands for every role.
#[must_use]
pub const fn everybody() -> Oid {
    Oid::NONE
}

/// A set of privileges: `AclMode` without its upper half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privilege(pub u16);

impl Privilege {
    /// None.
    pub const NONE: Self = Self(0);
    /// `a`
    pub const INSERT: Self = Self(1);
    /// `r`
    pub const SELECT: Self = Self(1 << 1);
    /// `w`
    pub const UPDATE: Self = Self(1 << 2);
    /// `d`
    pub const DELETE: Self = Self(1 << 3);
    /// `D`
    pub const TRUNCATE: Self = Self(1 << 4);
    /// `x`
    pub const REFERENCES: Self = Self(1 << 5);
    /// `t`
    pub const TRIGGER: Self = Self(1 << 6);
    /// `X`
    pub const EXECUTE: Self = Self(1 << 7);
    /// `U`
    pub const USAGE: Self = Self(1 << 8);
    /// `C`
    pub const CREATE: Self = Self(1 << 9);
    /// `T`
    pub const TEMPORARY: Self = Self(1 << 10);
    /// `c`
    pub const CONNECT: Self = Self(1 << 11);
    /// `s`
    pub const SET: Self = Self(1 << 12);
    /// `A`
    pub const ALTER_SYSTEM: Self = Self(1 << 13);

    /// Every privilege with its letter and its name, in the order in which lists print them.
    pub const ALL: [(Self, char, &'static str); 14] = [
        (Self::INSERT, 'a', "INSERT"),
        (Self::SELECT, 'r', "SELECT"),
        (Self::UPDATE, 'w', "UPDATE"),
        (Self::DELETE, 'd', "DELETE"),
        (Self::TRUNCATE, 'D', "TRUNCATE"),
        (Self::REFERENCES, 'x', "REFERENCES"),
        (Self::TRIGGER, 't', "TRIGGER"),
        (Self::EXECUTE, 'X', "EXECUTE"),
        (Self::USAGE, 'U', "USAGE"),
        (Self::CREATE, 'C', "CREATE"),
        (Self::TEMPORARY, 'T', "TEMPORARY"),
        (Self::CONNECT, 'c', "CONNECT"),
        (Self::SET, 's', "SET"),
        (Self::ALTER_SYSTEM, 'A', "ALTER SYSTEM"),
    ];

    /// Whether it holds nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it holds all of another set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The privilege of this name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("temp") {
            return Some(Self::TEMPORARY);
        }
        Self::ALL.iter().find(|(_, _, known)| known.eq_ignore_ascii_case(name)).map(|row| row.0)
    }

    /// Its members, each alone.
    pub fn members(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().map(|row| row.0).filter(move |one| self.contains(*one))
    }

    /// The names of its members.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().filter(move |row| self.contains(row.0)).map(|row| row.2)
    }
}

impl BitOr for Privilege {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Privilege {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for Privilege {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0)
    }
}

/// The kinds of objects that privileges are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A table, a view, or anything else in `pg_class` but a sequence.
    Table,
    /// A sequence.
    Sequence,
    /// A column.
    Column,
    /// A database.
    Database,
    /// A function, aggregate or procedure.
    Function,
    /// A procedural language.
    Language,
    /// A schema.
    Schema,
    /// A tablespace.
    Tablespace,
    /// A type or domain.
    Type,
    /// A foreign-data wrapper.
    ForeignDataWrapper,
    /// A foreign server.
    ForeignServer,
    /// A large object.
    LargeObject,
    /// A setting.
    Parameter,
}

impl Kind {
    /// The privileges that there are on objects of the kind.
    #[must_use]
    pub fn all(self) -> Privilege {
        use Privilege as P;
        let (r, a, w) = (P::SELECT, P::INSERT, P::UPDATE);
        match self {
            Self::Table => r | a | w | P::DELETE | P::TRUNCATE | P::REFERENCES | P::TRIGGER,
            Self::Sequence => P::USAGE | r | w,
            Self::Column => a | r | w | P::REFERENCES,
            Self::Database => P::CREATE | P::TEMPORARY | P::CONNECT,
            Self::Function => P::EXECUTE,
            Self::Schema => P::USAGE | P::CREATE,
            Self::Tablespace => P::CREATE,
            Self::Language | Self::Type | Self::ForeignDataWrapper | Self::ForeignServer => {
                P::USAGE
            }
            Self::LargeObject => r | w,
            Self::Parameter => P::SET | P::ALTER_SYSTEM,
        }
    }

    /// What everybody has on a new object.
    #[must_use]
    pub fn of_everybody(self) -> Privilege {
        match self {
            Self::Database => Privilege::TEMPORARY | Privilege::CONNECT,
            Self::Function => Privilege::EXECUTE,
            Self::Language | Self::Type => Privilege::USAGE,
            _ => Privilege::NONE,
        }
    }

    /// The catalog whose OIDs name the objects.
    #[must_use]
    pub const fn class(self) -> Oid {
        match self {
            Self::Table | Self::Sequence | Self::Column => PG_CLASS,
            Self::Database => PG_DATABASE,
            Self::Function => PG_PROC,
            Self::Language => PG_LANGUAGE,
            Self::Schema => PG_NAMESPACE,
            Self::Tablespace => PG_TABLESPACE,
            Self::Type => PG_TYPE,
            Self::ForeignDataWrapper => Oid(2328),
            Self::ForeignServer => Oid(1417),
            Self::LargeObject => Oid(2995),
            Self::Parameter => Oid(6243),
        }
    }

    /// The kind's letter in `pg_default_acl` and `acldefault`.
    #[must_use]
    pub const fn letter(self) -> u8 {
        match self {
            Self::Table => b'r',
            Self::Sequence => b's',
            Self::Column => b'c',
            Self::Database => b'd',
            Self::Function => b'f',
            Self::Language => b'l',
            Self::Schema => b'n',
            Self::Tablespace => b't',
            Self::Type => b'T',
            Self::ForeignDataWrapper => b'F',
            Self::ForeignServer => b'S',
            Self::LargeObject => b'L',
            Self::Parameter => b'p',
        }
    }

    /// The list that an object of the kind begins with (`acldefault`).
    #[must_use]
    pub fn initial(self, owner: Oid) -> Vec<AclItem> {
        let mut items = Vec::new();
        let mut add = |grantee: Oid, privileges: Privilege| {
            if !privileges.is_empty() {
                let privileges = privileges.0;
                items.push(AclItem { grantee, grantor: owner, privileges, grantable: 0 });
            }
        };
        if self != Self::Column {
            add(everybody(), self.of_everybody());
            add(owner, self.all());
        }
        items
    }
}

/// What a role holds on an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The privileges.
    pub privileges: Privilege,
    /// Those that it may grant on.
    pub grantable: Privilege,
}

/// A catalog as it is asked who may do what, by sessions of a database.
#[derive(Clone, Copy)]
pub struct Access<'a> {
    /// What there is.
    pub catalog: &'a CatalogSnapshot,
    /// The database that the session is connected to: its owner is `pg_database_owner`.
    pub database: Oid,
}

impl CatalogSnapshot {
    /// Who may do what, as sessions of a database see it.
    #[must_use]
    pub const fn access(&self, database: Oid) -> Access<'_> {
        Access { catalog: self, database }
    }
}

impl<'a> Access<'a> {
    /// Whether a role passes every check.
    #[must_use]
    pub fn is_superuser(&self, role: Oid) -> bool {
        self.catalog.role(role).is_some_and(|role| role.superuser)
    }

    /// The role itself and all that it is a member of, by whatever way; with `inherited`, only those
    /// whose privileges it has without `SET ROLE`.
    #[must_use]
    pub fn roles_of(&self, member: Oid, inherited: bool) -> Vec<Oid> {
        let mut roles = vec![member];
        let mut at = 0;
        let owner = self.catalog.database(self.database).map(|database| database.owner);
        while let Some(role) = roles.get(at).copied() {
            at += 1;
            if inherited && !self.catalog.role(role).is_some_and(|role| role.inherit) {
                continue;
            }
            let implicit = (owner == Some(role)).then_some(DATABASE_OWNER_ROLE);
            let granted = self.catalog.memberships_of(role).map(|it| it.role);
            for found in granted.chain(implicit) {
                if !roles.contains(&found) {
                    roles.push(found);
                }
            }
        }
        roles
    }

    /// Whether a role may act as another after `SET ROLE`; a superuser may as any.
    #[must_use]
    pub fn is_member(&self, member: Oid, role: Oid) -> bool {
        member == role || self.is_superuser(member) || self.is_member_by_grant(member, role)
    }

    /// Whether a role is a member of another, superuser or not.
    #[must_use]
    pub fn is_member_by_grant(&self, member: Oid, role: Oid) -> bool {
        self.roles_of(member, false).contains(&role)
    }

    /// Whether a role has another's privileges; a superuser has all.
    #[must_use]
    pub fn has_privileges_of(&self, member: Oid, role: Oid) -> bool {
        member == role || self.is_superuser(member) || self.roles_of(member, true).contains(&role)
    }

    /// Whether a role may make others members of a role.
    #[must_use]
    pub fn is_admin(&self, member: Oid, role: Oid) -> bool {
        if self.is_superuser(member) {
            return true;
        }
        // By policy nobody is an admin of himself.
        member != role
            && self.roles_of(member, false).into_iter().any(|through| {
                self.catalog.membership(through, role).is_some_and(|found| found.admin)
            })
    }

    /// What a list gives a role, of whatever owner's object (`aclmask`).
    #[must_use]
    pub fn held_in(&self, items: &[AclItem], owner: Oid, role: Oid) -> Held {
        let roles = self.roles_of(role, true);
        let owns = self.is_superuser(role) || roles.contains(&owner);
        let mut held = Held::default();
        if owns {
            held.grantable = Privilege(u16::MAX);
        }
        for item in items {
            if item.grantee == everybody() || roles.contains(&item.grantee) {
                held.privileges = held.privileges | Privilege(item.privileges);
                held.grantable = held.grantable | Privilege(item.grantable);
            }
        }
        held
    }

    /// What a list gives a role itself, not by way of others (`aclmask_direct`).
    #[must_use]
    pub fn held_directly(items: &[AclItem], owner: Oid, role: Oid) -> Held {
        let mut held = Held::default();
        if role == owner {
            held.grantable = Privilege(u16::MAX);
        }
        for item in items.iter().filter(|item| item.grantee == role) {
            held.privileges = held.privileges | Privilege(item.privileges);
            held.grantable = held.grantable | Privilege(item.grantable);
        }
        held
    }

    /// The role that a grant is made by: the owner if the role is one, else the one of its roles
    /// that may grant the most of what is asked for (`select_best_grantor`); and what it may grant.
    #[must_use]
    pub fn grantor(
        &self,
        role: Oid,
        wanted: Privilege,
        items: &[AclItem],
        owner: Oid,
    ) -> (Oid, Privilege) {
        if role == owner || self.is_superuser(role) {
            return (owner, wanted);
        }
        let mut best = (role, Privilege::NONE);
        for other in self.roles_of(role, true) {
            if other == owner {
                return (owner, wanted);
            }
            let grantable = Self::held_directly(items, owner, other).grantable & wanted;
            if grantable == wanted {
                return (other, wanted);
            }
            if grantable.0.count_ones() > best.1.0.count_ones() {
                best = (other, grantable);
            }
        }
        best
    }

    /// The owner of an object and its list; `None` where there is no such object.
    #[must_use]
    pub fn list(&self, kind: Kind, object: Oid, column: i32) -> Option<(Oid, Vec<AclItem>)> {
        let (owner, initial) = self.owner_and_initial(kind, object)?;
        let items = match self.catalog.privileges(kind.class(), object, column) {
            Some(stored) => stored.items.clone(),
            None if kind == Kind::Column => Vec::new(),
            None => initial,
        };
        Some((owner, items))
    }

    /// An object's list where it is not the one that its kind begins with.
    #[must_use]
    pub fn shown_list(&self, kind: Kind, object: Oid) -> Option<Vec<AclItem>> {
        if let Some(stored) = self.catalog.privileges(kind.class(), object, 0) {
            return Some(stored.items.clone());
        }
        // Only what the server itself is made with can differ.
        if self.catalog.relation(object).is_some() && matches!(kind, Kind::Table | Kind::Sequence) {
            return None;
        }
        self.built_in_list(kind, object)
    }

    /// The list that an object of the server itself began with, where it is not the one of its kind.
    #[must_use]
    pub fn built_in_list(&self, kind: Kind, object: Oid) -> Option<Vec<AclItem>> {
        let (owner, initial) = self.owner_and_initial(kind, object)?;
        // Computed relations have a list even where that says nothing else.
        let always = kind == Kind::Table && self.catalog.relation(object).is_none();
        (always || initial != kind.initial(owner)).then_some(initial)
    }

    /// The owner of an object.
    #[must_use]
    pub fn owner(&self, kind: Kind, object: Oid) -> Option<Oid> {
        self.owner_and_initial(kind, object).map(|(owner, _)| owner)
    }

    fn owner_and_initial(&self, kind: Kind, object: Oid) -> Option<(Oid, Vec<AclItem>)> {
        let built_in = |items| Some((BOOTSTRAP_ROLE, items));
        match kind {
            Kind::Table | Kind::Sequence | Kind::Column => match self.catalog.relation(object) {
                Some(relation) => {
                    Some((relation.owner, relation_kind(relation).initial(relation.owner)))
                }
                None => {
                    built_in(of_system_relation(system::relation_by_oid(object)?.name.as_str()))
                }
            },
            Kind::Schema => match (object, self.catalog.schema(object)) {
                (_, Some(schema)) => Some((schema.owner, kind.initial(schema.owner))),
                (PG_CATALOG | INFORMATION_SCHEMA, None) => {
                    let mut items = kind.initial(BOOTSTRAP_ROLE);
                    items.push(of_bootstrap(everybody(), Privilege::USAGE));
                    built_in(items)
                }
                _ => None,
            },
            Kind::Database => {
                let owner = self.catalog.database(object)?.owner;
                Some((owner, kind.initial(owner)))
            }
            Kind::Function => {
                if let Some(own) = self.catalog.declared_function(object) {
                    return Some((own.owner, kind.initial(own.owner)));
                }
                let row = aegis_types::builtin::builtins().function(object)?;
                let reserved = RESERVED_FUNCTIONS.iter().find(|(name, _)| *name == row.name);
                built_in(match reserved {
                    Some((_, role)) => reserved_for(Privilege::EXECUTE, Privilege::EXECUTE, *role),
                    None => kind.initial(BOOTSTRAP_ROLE),
                })
            }
            Kind::Type => {
                if let Some(ty) = self.catalog.user_type(object) {
                    return Some((ty.owner, kind.initial(ty.owner)));
                }
                if let Some(relation) = self.catalog.relation_of_row_type(object) {
                    return Some((relation.owner, kind.initial(relation.owner)));
                }
                let known = aegis_types::builtin::builtins().type_row(object).is_some()
                    || system::relation_of_row_type(object).is_some();
                known.then(|| (BOOTSTRAP_ROLE, kind.initial(BOOTSTRAP_ROLE)))
            }
            Kind::Language | Kind::Tablespace => {
                let name = if kind == Kind::Language { "pg_language" } else { "pg_tablespace" };
                let rows = system::fixed_rows(&format!("pg_catalog.{name}"));
                let found = rows
                    .iter()
                    .any(|row| matches!(row.first(), Some(aegis_types::Datum::Oid(oid)) if *oid == object));
                found.then(|| (BOOTSTRAP_ROLE, kind.initial(BOOTSTRAP_ROLE)))
            }
            Kind::ForeignDataWrapper
            | Kind::ForeignServer
            | Kind::LargeObject
            | Kind::Parameter => None,
        }
    }

    /// What a role holds on an object, superusers and the roles that read or write everything
    /// included; nothing on what is not there.
    #[must_use]
    pub fn held(&self, role: Oid, kind: Kind, object: Oid, column: i32) -> Held {
        if self.is_superuser(role) {
            return Held { privileges: kind.all(), grantable: kind.all() };
        }
        let Some((owner, items)) = self.list(kind, object, column) else {
            return Held::default();
        };
        let mut held = self.held_in(&items, owner, role);
        let has = |role_of_all| self.has_privileges_of(role, role_of_all);
        let extra = match kind {
            Kind::Table | Kind::Sequence => {
                let read = if has(READ_ALL_DATA) { Privilege::SELECT } else { Privilege::NONE };
                let written = Privilege::INSERT | Privilege::UPDATE | Privilege::DELETE;
                let write = if has(WRITE_ALL_DATA) { written } else { Privilege::NONE };
                read | write
            }
            Kind::Schema if has(READ_ALL_DATA) || has(WRITE_ALL_DATA) => Privilege::USAGE,
            _ => Privilege::NONE,
        };
        held.privileges = held.privileges | extra;
        held
    }

    /// Whether a role holds all of these privileges on an object.
    #[must_use]
    pub fn allows(&self, role: Oid, kind: Kind, object: Oid, wanted: Privilege) -> bool {
        self.held(role, kind, object, 0).privileges.contains(wanted)
    }

    /// Whether a role owns an object, or has the privileges of the role that does.
    #[must_use]
    pub fn owns(&self, role: Oid, kind: Kind, object: Oid) -> bool {
        self.is_superuser(role)
            || self.owner(kind, object).is_some_and(|owner| self.has_privileges_of(role, owner))
    }

    /// Whether a role may look up names in a schema.
    #[must_use]
    pub fn may_use_schema(&self, role: Oid, schema: Oid) -> bool {
        self.allows(role, Kind::Schema, schema, Privilege::USAGE)
    }

    /// The columns of a relation on which a role holds a privilege, if it holds it on any.
    #[must_use]
    pub fn holds_on_any_column(&self, role: Oid, relation: Oid, wanted: Privilege) -> bool {
        let is_live = |column: i32| {
            let column = i16::try_from(column).unwrap_or_default();
            self.catalog
                .relation(relation)
                .and_then(|relation| relation.column(column))
                .is_some_and(|column| !column.dropped)
        };
        self.catalog
            .privileges_of(PG_CLASS, relation)
            .filter(|stored| stored.column > 0 && is_live(stored.column))
            .any(|stored| {
                let held = self.held(role, Kind::Column, relation, stored.column);
                held.privileges.contains(wanted)
            })
    }
}

/// The kind of a relation, as privileges see it.
#[must_use]
pub const fn relation_kind(relation: &Relation) -> Kind {
    match relation.body {
        RelationBody::Sequence(_) => Kind::Sequence,
        _ => Kind::Table,
    }
}

fn of_bootstrap(grantee: Oid, privileges: Privilege) -> AclItem {
    AclItem { grantee, grantor: BOOTSTRAP_ROLE, privileges: privileges.0, grantable: 0 }
}

fn reserved_for(own: Privilege, theirs: Privilege, role: Option<Oid>) -> Vec<AclItem> {
    let own = of_bootstrap(BOOTSTRAP_ROLE, own);
    std::iter::once(own).chain(role.map(|role| of_bootstrap(role, theirs))).collect()
}

/// The list of a computed relation: everybody reads most of them.
fn of_system_relation(name: &str) -> Vec<AclItem> {
    let all = Kind::Table.all();
    let reserved = RESERVED_RELATIONS.iter().find(|(known, _)| *known == name);
    match reserved {
        Some((_, role)) => reserved_for(all, Privilege::SELECT, *role),
        None => {
            let mut read = Privilege::SELECT;
            if name == "pg_catalog.pg_settings" {
                read = read | Privilege::UPDATE;
            }
            vec![of_bootstrap(BOOTSTRAP_ROLE, all), of_bootstrap(everybody(), read)]
        }
    }
}

const READ_ALL_STATS: Option<Oid> = Some(Oid(3375));
const MONITOR: Option<Oid> = Some(Oid(3373));

/// The system relations that not everybody reads, and who does.
const RESERVED_RELATIONS: &[(&str, Option<Oid>)] = &[
    ("pg_catalog.pg_authid", None),
    ("pg_catalog.pg_user_mapping", None),
    ("pg_catalog.pg_largeobject", None),
    ("pg_catalog.pg_statistic", None),
    ("pg_catalog.pg_statistic_ext_data", None),
    ("pg_catalog.pg_subscription", None),
    ("pg_catalog.pg_shadow", None),
    ("pg_catalog.pg_file_settings", None),
    ("pg_catalog.pg_hba_file_rules", None),
    ("pg_catalog.pg_ident_file_mappings", None),
    ("pg_catalog.pg_config", None),
    ("pg_catalog.pg_shmem_allocations", READ_ALL_STATS),
    ("pg_catalog.pg_backend_memory_contexts", READ_ALL_STATS),
    ("pg_catalog.pg_replication_origin_status", None),
];

/// Whether not everybody calls the built-in functions of this name.
#[must_use]
pub fn is_reserved_function(name: &str) -> bool {
    RESERVED_FUNCTIONS.iter().any(|(known, _)| *known == name)
}

/// The functions that not everybody calls, and who does.
const RESERVED_FUNCTIONS: &[(&str, Option<Oid>)] = &[
    ("lo_export", None),
    ("lo_import", None),
    ("pg_backup_start", None),
    ("pg_backup_stop", None),
    ("pg_config", None),
    ("pg_create_restore_point", None),
    ("pg_current_logfile", None),
    ("pg_get_backend_memory_contexts", READ_ALL_STATS),
    ("pg_get_shmem_allocations", READ_ALL_STATS),
    ("pg_hba_file_rules", None),
    ("pg_ident_file_mappings", None),
    ("pg_log_backend_memory_contexts", None),
    ("pg_ls_archive_statusdir", MONITOR),
    ("pg_ls_dir", None),
    ("pg_ls_logdir", MONITOR),
    ("pg_ls_tmpdir", MONITOR),
    ("pg_ls_waldir", MONITOR),
    ("pg_promote", None),
    ("pg_read_binary_file", None),
    ("pg_read_file", None),
    ("pg_reload_conf", None),
    ("pg_rotate_logfile", None),
    ("pg_show_all_file_settings", None),
    ("pg_stat_file", None),
    ("pg_stat_have_stats", None),
    ("pg_stat_reset", None),
    ("pg_stat_reset_shared", None),
    ("pg_stat_reset_single_table_counters", None),
    ("pg_switch_wal", None),
    ("pg_wal_replay_pause", None),
    ("pg_wal_replay_resume", None),
];
