//! `GRANT` and `REVOKE` of privileges, and `ALTER DEFAULT PRIVILEGES` (PostgreSQL's `aclchk.c`).
//!
//! ```text
//! words ─► privileges ─┐
//! names ─► targets ────┴─► who grants? what may he? ─► the list changed ─► one descriptor a list
//! ```

use std::sync::Arc;

use aegis_catalog::access::{self, Access, GrantError, Kind, Privilege, relation_kind, sorted};
use aegis_catalog::{
    AclItem, DefaultPrivileges, Descriptor, DescriptorKey, Privileges, Relation, RelationBody,
    TypeBody,
};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::ownership::denied;
use crate::ast::{
    AccessPrivilege, AlterDefaultPrivilegesStmt, DropBehavior, GrantStmt, GrantTarget, ObjectName,
    ObjectType, RoleSpec, RoleSpecKind,
};

/// What privileges are on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// Its kind.
    pub(super) kind: Kind,
    /// The object.
    pub(super) object: Oid,
    /// The column, or 0.
    pub(super) column: i32,
}

/// What is done to lists.
pub(super) struct Change {
    /// Whether privileges are granted.
    pub(super) is_grant: bool,
    /// To whom or from whom; [`access::everybody`] is PUBLIC.
    pub(super) grantees: Vec<Oid>,
    /// `WITH GRANT OPTION`, `GRANT OPTION FOR`
    pub(super) with_option: bool,
    /// `CASCADE`
    pub(super) cascade: bool,
    /// `ALL PRIVILEGES`: less than all is no surprise.
    pub(super) all: bool,
}

impl Change {
    /// Changes a list. `privileges` is what the grantor may.
    fn apply(
        &self,
        access: &Access<'_>,
        items: &mut Vec<AclItem>,
        privileges: Privilege,
        grantor: Oid,
        owner: Oid,
    ) -> SqlResult<()> {
        for grantee in &self.grantees {
            let if_so = |condition: bool| if condition { privileges.0 } else { 0 };
            let item = AclItem {
                grantee: *grantee,
                grantor,
                privileges: if_so(self.is_grant || !self.with_option),
                grantable: if_so(!self.is_grant || self.with_option),
            };
            let changed = if self.is_grant {
                access::grant(access, items, owner, item)
            } else {
                access::revoke(access, items, owner, item, self.cascade)
            };
            changed.map_err(|error| match error {
                GrantError::Circular => SqlError::new(
                    SqlState::InvalidGrantOperation,
                    "grant options cannot be granted back to your own grantor",
                ),
                GrantError::Dependent => SqlError::new(
                    SqlState::DependentObjectsStillExist,
                    "dependent privileges exist",
                )
                .hint("Use CASCADE to revoke them too."),
            })?;
        }
        Ok(())
    }
}

/// The kind, the privileges that may be named, and what messages call it.
fn kind_of(object_type: ObjectType) -> SqlResult<(Kind, &'static str)> {
    Ok(match object_type {
        ObjectType::Table => (Kind::Table, "relation"),
        ObjectType::Sequence => (Kind::Sequence, "sequence"),
        ObjectType::Database => (Kind::Database, "database"),
        ObjectType::Domain => (Kind::Type, "domain"),
        ObjectType::Function => (Kind::Function, "function"),
        ObjectType::Procedure => (Kind::Function, "procedure"),
        ObjectType::Routine => (Kind::Function, "routine"),
        ObjectType::Language => (Kind::Language, "language"),
        ObjectType::Schema => (Kind::Schema, "schema"),
        ObjectType::Tablespace => (Kind::Tablespace, "tablespace"),
        ObjectType::Type => (Kind::Type, "type"),
        other => return Err(SqlError::unsupported(format!("GRANT ON {}", other.words()))),
    })
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::InvalidGrantOperation, message)
}

fn privilege_named(name: &str) -> SqlResult<Privilege> {
    if name == "rule" {
        return Ok(Privilege::NONE);
    }
    Privilege::named(name).ok_or_else(|| {
        SqlError::new(SqlState::SyntaxError, format!("unrecognized privilege type \"{name}\""))
    })
}

/// The privileges that stand for all of an object.
fn whole(
    privileges: &[AccessPrivilege],
    allowed: Privilege,
    what: &str,
) -> SqlResult<Option<Privilege>> {
    let mut found = Privilege::NONE;
    for privilege in privileges.iter().filter(|privilege| privilege.columns.is_empty()) {
        let Some(name) = &privilege.name else { return Ok(None) };
        let one = privilege_named(name)?;
        if !allowed.contains(one) {
            let name = one.names().next().unwrap_or_default();
            return Err(invalid(format!("invalid privilege type {name} for {what}")));
        }
        found = found | one;
    }
    Ok((!privileges.is_empty()).then_some(found))
}

impl Ddl<'_> {
    /// `GRANT`, `REVOKE`
    pub(super) async fn grant(&mut self, grant: &GrantStmt) -> SqlResult<&'static str> {
        if let Some(grantor) = &grant.grantor
            && self.role_oid(grantor)? != self.role
        {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "grantor must be current user",
            ));
        }
        let (kind, what) = kind_of(grant.object_type)?;
        let relations = self.relations_of_grant(grant)?;
        let objects = if relations.is_some() { Vec::new() } else { self.objects_of_grant(grant)? };
        let allowed = match kind {
            // GRANT ON TABLE is for sequences too.
            Kind::Table => kind.all() | Kind::Sequence.all(),
            kind => kind.all(),
        };
        let change = self.change_of(grant)?;
        let has_columns = grant.privileges.iter().any(|it| !it.columns.is_empty());
        if has_columns && !matches!(kind, Kind::Table) {
            return Err(invalid("column privileges are only valid for relations".to_owned()));
        }
        let privileges = whole(&grant.privileges, allowed, what)?;
        let change = Change { all: privileges.is_none(), ..change };
        for relation in relations.into_iter().flatten() {
            self.grant_on_relation(grant, &relation, privileges, &change)?;
        }
        for object in objects {
            let target = Target { kind, object, column: 0 };
            self.change_privileges(&target, privileges.unwrap_or(kind.all()), &change)?;
        }
        Ok(if grant.is_grant { "GRANT" } else { "REVOKE" })
    }

    fn change_of(&self, grant: &GrantStmt) -> SqlResult<Change> {
        let mut grantees = Vec::with_capacity(grant.grantees.len());
        for role in &grant.grantees {
            let everybody = role.kind == RoleSpecKind::Public;
            if everybody && grant.is_grant && grant.grant_option {
                return Err(invalid("grant options can only be granted to roles".to_owned()));
            }
            grantees.push(if everybody { access::everybody() } else { self.role_oid(role)? });
        }
        Ok(Change {
            is_grant: grant.is_grant,
            grantees,
            with_option: grant.grant_option,
            cascade: grant.behavior == DropBehavior::Cascade,
            all: false,
        })
    }

    /// The relations that a statement names; `None` if it is about other objects.
    fn relations_of_grant(&self, grant: &GrantStmt) -> SqlResult<Option<Vec<GrantedRelation>>> {
        match &grant.target {
            GrantTarget::Relations(names) => {
                let mut found = Vec::with_capacity(names.len());
                for name in names {
                    found.push(self.granted_relation(name)?);
                }
                Ok(Some(found))
            }
            GrantTarget::AllInSchema(schemas)
                if matches!(grant.object_type, ObjectType::Table | ObjectType::Sequence) =>
            {
                let mut found = Vec::new();
                for schema in schemas {
                    let schema = self.schema(schema)?;
                    self.check_may_use(schema)?;
                    let all = self.context.catalog.relations_in(schema);
                    found.extend(all.filter(|it| it.as_index().is_none()).cloned());
                }
                let sequences = grant.object_type == ObjectType::Sequence;
                found.retain(|relation| relation.as_sequence().is_some() == sequences);
                found.sort_by_key(|relation| relation.oid);
                Ok(Some(found.into_iter().map(GrantedRelation::Stored).collect()))
            }
            _ => Ok(None),
        }
    }

    fn granted_relation(&self, name: &crate::ast::RangeVar) -> SqlResult<GrantedRelation> {
        if let Some(schema) = &name.schema {
            self.schema(schema)?;
        }
        match self.analyzer().resolve_relation(name)? {
            crate::analyze::ResolvedRelation::Stored(relation) => {
                Ok(GrantedRelation::Stored(relation))
            }
            crate::analyze::ResolvedRelation::System(name, _) => {
                aegis_catalog::system::relation(&name)
                    .map(GrantedRelation::System)
                    .ok_or_else(|| SqlError::internal("a system relation is missing"))
            }
        }
    }

    fn objects_of_grant(&self, grant: &GrantStmt) -> SqlResult<Vec<Oid>> {
        match &grant.target {
            GrantTarget::Objects(objects) => {
                objects.iter().map(|object| self.granted_object(grant, object)).collect()
            }
            GrantTarget::AllInSchema(schemas) => {
                for schema in schemas {
                    let schema = self.schema(schema)?;
                    self.check_may_use(schema)?;
                }
                self.functions_in(schemas)
            }
            GrantTarget::Relations(_) | GrantTarget::Defaults => Ok(Vec::new()),
        }
    }

    /// The functions of schemas. Those of `pg_catalog` are the built-in ones.
    fn functions_in(&self, schemas: &[String]) -> SqlResult<Vec<Oid>> {
        if schemas.iter().any(|schema| schema == "pg_catalog") {
            return Err(SqlError::unsupported("GRANT ON ALL FUNCTIONS IN SCHEMA pg_catalog"));
        }
        Ok(Vec::new())
    }

    fn granted_object(&self, grant: &GrantStmt, object: &ObjectName) -> SqlResult<Oid> {
        let name = match object {
            ObjectName::Name(names) => names.last().map_or("", String::as_str),
            _ => "",
        };
        let fixed = |relation: &str| {
            aegis_catalog::system::fixed_rows(relation).into_iter().find_map(|row| match &row[..] {
                [aegis_types::Datum::Oid(oid), aegis_types::Datum::Text(text), rest @ ..]
                    if **text == *name =>
                {
                    Some((*oid, rest.to_vec()))
                }
                _ => None,
            })
        };
        let missing = |what: &str| {
            let message = format!("{what} \"{name}\" does not exist");
            SqlError::new(SqlState::UndefinedObject, message)
        };
        match grant.object_type {
            ObjectType::Schema => self.schema(name),
            ObjectType::Database => self.database_named(name).map(|database| database.oid),
            ObjectType::Language => {
                let (oid, rest) =
                    fixed("pg_catalog.pg_language").ok_or_else(|| missing("language"))?;
                // lanowner, lanispl, lanpltrusted
                if !matches!(rest.get(2), Some(aegis_types::Datum::Bool(true))) && name != "sql" {
                    return Err(SqlError::new(
                        SqlState::WrongObjectType,
                        format!("language \"{name}\" is not trusted"),
                    )
                    .detail(
                        "GRANT and REVOKE are not allowed on untrusted languages, because only \
                         superusers can use untrusted languages.",
                    ));
                }
                Ok(oid)
            }
            ObjectType::Tablespace => fixed("pg_catalog.pg_tablespace")
                .map(|(oid, _)| oid)
                .ok_or_else(|| missing("tablespace")),
            ObjectType::Type | ObjectType::Domain => self.granted_type(grant.object_type, object),
            ObjectType::Function | ObjectType::Procedure | ObjectType::Routine => {
                self.granted_function(grant.object_type, object)
            }
            other => Err(SqlError::unsupported(format!("GRANT ON {}", other.words()))),
        }
    }

    fn granted_type(&self, object_type: ObjectType, object: &ObjectName) -> SqlResult<Oid> {
        let ObjectName::Name(names) = object else {
            return Err(SqlError::unsupported("GRANT ON this type"));
        };
        let quoted: Vec<String> =
            names.iter().map(|name| aegis_types::functions::quote_ident(name)).collect();
        let parsed = crate::parser::parse_type_name(&quoted.join("."))?;
        let oid = self.analyzer().resolve_type_name(&parsed).map_err(|error| {
            if error.code() != SqlState::UndefinedObject {
                return error;
            }
            let message = format!("type \"{}\" does not exist", names.join("."));
            SqlError::new(SqlState::UndefinedObject, message)
        })?;
        let catalog = &self.context.catalog;
        if object_type == ObjectType::Domain
            && !matches!(catalog.user_type(oid.oid).map(|ty| &ty.body), Some(TypeBody::Domain(_)))
        {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("\"{}\" is not a domain", names.last().map_or("", String::as_str)),
            ));
        }
        let form = aegis_types::builtin::builtins().type_row(oid.oid);
        if form.is_some_and(|form| form.category == b'A' && form.length == -1)
            || catalog.element_of(oid.oid).is_some()
        {
            return Err(invalid("cannot set privileges of array types".to_owned())
                .hint("Set the privileges of the element type instead."));
        }
        Ok(oid.oid)
    }

    fn granted_function(&self, kind: ObjectType, object: &ObjectName) -> SqlResult<Oid> {
        let ObjectName::WithArgs(function) = object else {
            return Err(SqlError::unsupported("GRANT ON this function"));
        };
        self.find_function(function, kind, false)?.map(|row| row.oid).map_err(SqlError::internal)
    }

    fn grant_on_relation(
        &mut self,
        grant: &GrantStmt,
        relation: &GrantedRelation,
        privileges: Option<Privilege>,
        change: &Change,
    ) -> SqlResult<()> {
        let (name, is_sequence) = (relation.name().to_owned(), relation.is_sequence());
        if relation.is_index() {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("\"{name}\" is an index"),
            ));
        }
        if grant.object_type == ObjectType::Sequence && !is_sequence {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("\"{name}\" is not a sequence"),
            ));
        }
        let kind = if is_sequence { Kind::Sequence } else { Kind::Table };
        let mut wanted = privileges.unwrap_or(kind.all());
        if is_sequence && !kind.all().contains(wanted) {
            self.warning(
                SqlState::InvalidGrantOperation,
                format!("sequence \"{name}\" only supports USAGE, SELECT, and UPDATE privileges"),
            );
            wanted = wanted & kind.all();
        } else if !kind.all().contains(wanted) {
            let surplus = (wanted & !kind.all()).names().next().unwrap_or_default();
            return Err(invalid(format!("invalid privilege type {surplus} for table")));
        }
        let object = relation.oid();
        let mut columns = self.column_privileges(grant, relation)?;
        // What is revoked of the whole is revoked of every column.
        if !grant.is_grant {
            let of_columns = wanted & Kind::Column.all();
            for (number, found) in &mut columns {
                if self.context.catalog.privileges(kind.class(), object, *number).is_some() {
                    *found = *found | of_columns;
                }
            }
        }
        if !wanted.is_empty() {
            self.change_privileges(&Target { kind, object, column: 0 }, wanted, change)?;
        }
        for (column, wanted) in columns.into_iter().filter(|(_, wanted)| !wanted.is_empty()) {
            let target = Target { kind: Kind::Column, object, column };
            self.change_privileges(&target, wanted, change)?;
        }
        Ok(())
    }

    /// For every column of a relation the privileges that the statement names on it.
    fn column_privileges(
        &self,
        grant: &GrantStmt,
        relation: &GrantedRelation,
    ) -> SqlResult<Vec<(i32, Privilege)>> {
        let mut columns: Vec<(String, i32, Privilege)> = relation
            .columns()
            .into_iter()
            .map(|(name, number)| (name, i32::from(number), Privilege::NONE))
            .collect();
        for privilege in grant.privileges.iter().filter(|it| !it.columns.is_empty()) {
            let wanted = match &privilege.name {
                Some(name) => privilege_named(name)?,
                None => Kind::Column.all(),
            };
            for name in &privilege.columns {
                let found = columns.iter_mut().find(|(column, ..)| column == name);
                let (.., sum) = found.ok_or_else(|| {
                    SqlError::new(
                        SqlState::UndefinedColumn,
                        format!(
                            "column \"{name}\" of relation \"{}\" does not exist",
                            relation.name()
                        ),
                    )
                })?;
                *sum = *sum | wanted;
            }
            if !Kind::Column.all().contains(wanted) {
                let name = wanted.names().next().unwrap_or_default();
                return Err(invalid(format!("invalid privilege type {name} for column")));
            }
        }
        Ok(columns.into_iter().map(|(_, number, wanted)| (number, wanted)).collect())
    }

    /// Changes the list of one object, as far as the current role may.
    pub(super) fn change_privileges(
        &mut self,
        target: &Target,
        wanted: Privilege,
        change: &Change,
    ) -> SqlResult<()> {
        let Target { kind, object, column } = *target;
        let catalog = self.context.catalog.clone();
        let access = catalog.access(self.context.database);
        let missing = || SqlError::internal(format!("object {object} is missing"));
        let (owner, mut items) = access.list(kind, object, column).ok_or_else(missing)?;
        let mut grantable_by = items.clone();
        if kind == Kind::Column {
            let of_table = access.list(Kind::Table, object, 0).ok_or_else(missing)?.1;
            grantable_by = access::merge(&of_table, &items);
        }
        let (grantor, may) = access.grantor(self.role, wanted, &grantable_by, owner);
        let name = self.target_name(target);
        if may.is_empty() {
            let held = access.held_in(&grantable_by, owner, grantor);
            let any = (held.privileges | held.grantable) & kind.all();
            if any.is_empty() && !access.is_superuser(self.role) {
                return Err(denied(self.target_word(target), &name));
            }
        }
        self.warn_of_less(target, wanted, may, change);
        let wanted = wanted & may;
        change.apply(&access, &mut items, wanted, grantor, owner)?;
        let class = kind.class();
        if kind == Kind::Column && items.is_empty() {
            if catalog.privileges(class, object, column).is_some() {
                self.delete(DescriptorKey::Privileges(class, object, column))?;
            }
            return Ok(());
        }
        let stored = Privileges { class, object, column, items };
        self.put(Descriptor::Privileges(Arc::new(stored)))
    }

    fn warn_of_less(
        &mut self,
        target: &Target,
        wanted: Privilege,
        may: Privilege,
        change: &Change,
    ) {
        let less = if may.is_empty() {
            "no privileges"
        } else if !change.all && may != wanted {
            "not all privileges"
        } else {
            return;
        };
        let mut name = format!("\"{}\"", self.target_name(target));
        if target.kind == Kind::Column {
            let column = i16::try_from(target.column).unwrap_or_default();
            let relation = self.context.catalog.relation(target.object);
            let column = relation.and_then(|relation| relation.column(column));
            let column = column.map_or("", |column| column.name.as_str());
            name = format!("column \"{column}\" of relation {name}");
        }
        let (code, verb) = if change.is_grant {
            (SqlState::WarningPrivilegeNotGranted, "were granted")
        } else {
            (SqlState::WarningPrivilegeNotRevoked, "could be revoked")
        };
        self.warning(code, format!("{less} {verb} for {name}"));
    }

    /// The word for a target in messages.
    fn target_word(&self, target: &Target) -> &'static str {
        match target.kind {
            Kind::Table | Kind::Sequence | Kind::Column => {
                match self.context.catalog.relation(target.object) {
                    Some(relation) => super::name::kind_word(relation.kind()),
                    None => "table",
                }
            }
            Kind::Database => "database",
            Kind::Function => "function",
            Kind::Language => "language",
            Kind::Schema => "schema",
            Kind::Tablespace => "tablespace",
            Kind::Type => "type",
            Kind::ForeignDataWrapper => "foreign-data wrapper",
            Kind::ForeignServer => "foreign server",
            Kind::LargeObject => "large object",
            Kind::Parameter => "parameter",
        }
    }

    /// The bare name of a target.
    fn target_name(&self, target: &Target) -> String {
        let catalog = &self.context.catalog;
        let object = target.object;
        match target.kind {
            Kind::Table | Kind::Sequence | Kind::Column => catalog.relation(object).map_or_else(
                || {
                    aegis_catalog::system::relation_by_oid(object)
                        .map_or_else(String::new, |found| found.short_name().to_owned())
                },
                |relation| relation.name.clone(),
            ),
            Kind::Database => {
                catalog.database(object).map_or_else(String::new, |it| it.name.clone())
            }
            Kind::Schema => catalog.schema_name(object).unwrap_or_default().to_owned(),
            kind => self.described_object(kind.class(), object),
        }
    }

    /// What messages call a function, a type or a language.
    pub(super) fn described_object(&self, class: Oid, object: Oid) -> String {
        use aegis_catalog::snapshot::{PG_LANGUAGE, PG_PROC, PG_TYPE};
        match class {
            PG_PROC => self
                .context
                .catalog
                .function(object)
                .map_or_else(|| object.to_string(), |row| row.name.to_string()),
            PG_TYPE => {
                let ty = aegis_types::TypeRef::plain(object);
                crate::analyze::format_type(&self.context.catalog, &self.search_path, ty)
            }
            PG_LANGUAGE => "sql".to_owned(),
            _ => object.to_string(),
        }
    }

    /// `ALTER DEFAULT PRIVILEGES`
    pub(super) fn alter_default_privileges(
        &mut self,
        alter: &AlterDefaultPrivilegesStmt,
    ) -> SqlResult<&'static str> {
        let action = &alter.action;
        let (kind, what) = kind_of(action.object_type)?;
        let change = self.change_of(action)?;
        if action.privileges.iter().any(|privilege| !privilege.columns.is_empty()) {
            return Err(invalid("default privileges cannot be set for columns".to_owned()));
        }
        let privileges = whole(&action.privileges, kind.all(), what)?.unwrap_or(kind.all());
        let mut schemas = vec![Oid::NONE];
        if !alter.schemas.is_empty() {
            if kind == Kind::Schema {
                return Err(invalid(
                    "cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS".to_owned(),
                ));
            }
            schemas =
                alter.schemas.iter().map(|name| self.schema(name)).collect::<SqlResult<_>>()?;
        }
        let current = [RoleSpec { kind: RoleSpecKind::CurrentUser, location: 0 }];
        let roles = if alter.roles.is_empty() { &current[..] } else { &alter.roles };
        for role in roles {
            let role = self.role_oid(role)?;
            self.check_is_member(role)?;
            for schema in &schemas {
                self.change_default_privileges(kind, role, *schema, privileges, &change)?;
            }
        }
        Ok("ALTER DEFAULT PRIVILEGES")
    }

    pub(super) fn take_from_defaults(
        &mut self,
        stored: &DefaultPrivileges,
        role: Oid,
    ) -> SqlResult<()> {
        let kinds = [Kind::Table, Kind::Sequence, Kind::Function, Kind::Type, Kind::Schema];
        let Some(kind) = kinds.into_iter().find(|kind| default_letter(*kind) == stored.kind) else {
            return Ok(());
        };
        let change = Change {
            is_grant: false,
            grantees: vec![role],
            with_option: false,
            cascade: true,
            all: true,
        };
        self.change_default_privileges(kind, stored.role, stored.schema, kind.all(), &change)
    }

    fn change_default_privileges(
        &mut self,
        kind: Kind,
        role: Oid,
        schema: Oid,
        privileges: Privilege,
        change: &Change,
    ) -> SqlResult<()> {
        let letter = default_letter(kind);
        let initial = if schema.is_some() { Vec::new() } else { kind.initial(role) };
        let catalog = self.context.catalog.clone();
        let stored = catalog.default_privileges(role, schema, letter);
        let mut items = stored.map_or_else(|| initial.clone(), |stored| stored.items.clone());
        let access = catalog.access(self.context.database);
        change.apply(&access, &mut items, privileges, role, role)?;
        if sorted(&items) == sorted(&initial) {
            if stored.is_some() {
                self.delete(DescriptorKey::DefaultPrivileges(role, schema, letter))?;
            }
            return Ok(());
        }
        let oid = match stored {
            Some(stored) => stored.oid,
            None => self.counters.next_oid()?,
        };
        let stored = DefaultPrivileges { oid, role, schema, kind: letter, items };
        self.put(Descriptor::DefaultPrivileges(Arc::new(stored)))
    }

    /// Gives a new object the privileges that its maker's defaults ask for
    /// (`get_user_default_acl`).
    pub(super) fn give_default_privileges(&mut self, new: &Descriptor) -> SqlResult<()> {
        let (kind, object, owner, schema) = match new {
            Descriptor::Relation(relation) if !matches!(relation.body, RelationBody::Index(_)) => {
                (relation_kind(relation), relation.oid, relation.owner, relation.schema)
            }
            Descriptor::Schema(schema) => (Kind::Schema, schema.oid, schema.owner, Oid::NONE),
            Descriptor::Function(it) => (Kind::Function, it.oid, it.owner, it.schema),
            _ => return Ok(()),
        };
        let catalog = &self.context.catalog;
        let letter = default_letter(kind);
        let everywhere = catalog.default_privileges(owner, Oid::NONE, letter);
        let here = schema.is_some().then(|| catalog.default_privileges(owner, schema, letter));
        let here = here.flatten();
        if everywhere.is_none() && here.is_none() {
            return Ok(());
        }
        let initial = kind.initial(owner);
        let base = everywhere.map_or_else(|| initial.clone(), |stored| stored.items.clone());
        let items = access::merge(&base, here.map_or(&[][..], |stored| &stored.items));
        if sorted(&items) == sorted(&initial) {
            return Ok(());
        }
        let stored = Privileges { class: kind.class(), object, column: 0, items };
        self.put(Descriptor::Privileges(Arc::new(stored)))
    }
}

/// The letter of `defaclobjtype`.
const fn default_letter(kind: Kind) -> u8 {
    match kind {
        Kind::Sequence => b'S',
        kind => kind.letter(),
    }
}

/// A relation that privileges are granted on.
enum GrantedRelation {
    Stored(Arc<Relation>),
    System(&'static aegis_catalog::system::SystemRelation),
}

impl GrantedRelation {
    fn oid(&self) -> Oid {
        match self {
            Self::Stored(relation) => relation.oid,
            Self::System(relation) => relation.oid,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Stored(relation) => &relation.name,
            Self::System(relation) => relation.short_name(),
        }
    }

    fn is_sequence(&self) -> bool {
        matches!(self, Self::Stored(relation) if relation.as_sequence().is_some())
    }

    fn is_index(&self) -> bool {
        matches!(self, Self::Stored(relation) if relation.as_index().is_some())
    }

    fn columns(&self) -> Vec<(String, i16)> {
        match self {
            Self::Stored(relation) => {
                relation.live_columns().map(|column| (column.name.clone(), column.number)).collect()
            }
            Self::System(relation) => {
                let names = relation.columns.iter().map(|column| column.name.to_owned());
                names.zip(1..).collect()
            }
        }
    }
}
