//! Types that users create: enums, and what goes for types of any kind.
//!
//! A value of an enum is stored as the place of its label ([`aegis_types::user_type`]), so that no
//! row and no key changes when labels come or are renamed.

use std::sync::Arc;

use aegis_catalog::access::Kind;
use aegis_catalog::snapshot::{PG_CATALOG, PG_CLASS, PG_CONSTRAINT, PG_TYPE};
use aegis_catalog::{Descriptor, DescriptorKey, TypeBody, UserType, standard};
use aegis_types::user_type::{EnumLabel, new_places, place_between};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::dependency::Item;
use super::ownership::not_owner;
use crate::ast::{
    AlterEnumAction, AlterEnumStmt, CreateEnumStmt, DropStmt, EnumPosition, ObjectName, ObjectType,
    TypeName,
};

/// The longest label, in bytes.
const LABEL_BYTES_MAX: usize = 63;

impl Ddl<'_> {
    /// `CREATE TYPE … AS ENUM`
    pub(super) async fn create_enum(&mut self, create: &CreateEnumStmt) -> SqlResult<&'static str> {
        let (schema, name) = self.new_type_name(&create.name).await?;
        let mut labels: Vec<EnumLabel> = Vec::with_capacity(create.labels.len());
        let (oid, array) = (self.counters.next_oid()?, self.counters.next_oid()?);
        for (at, (label, place)) in create.labels.iter().zip(new_places()).enumerate() {
            check_label(label)?;
            if labels.iter().any(|other| other.name == *label) {
                return Err(SqlError::new(
                    SqlState::UniqueViolation,
                    "duplicate key value violates unique constraint \"pg_enum_typid_label_index\"",
                )
                .detail(format!("Key (enumtypid, enumlabel)=({oid}, {label}) already exists.")));
            }
            labels.push(EnumLabel {
                oid: self.counters.next_oid()?,
                name: label.clone(),
                sort_order: sort_order(at + 1),
                place,
                uncommitted: false,
            });
        }
        self.put_new_type(oid, array, schema, name, TypeBody::Enum(labels.into()))?;
        Ok("CREATE TYPE")
    }

    /// Adds a type to the catalog, with the array over it.
    pub(super) fn put_new_type(
        &mut self,
        oid: Oid,
        array: Oid,
        schema: Oid,
        name: String,
        body: TypeBody,
    ) -> SqlResult<()> {
        let array_name = self.free_array_name(schema, &name);
        self.put(Descriptor::Type(Arc::new(UserType {
            oid,
            database: self.context.database,
            schema,
            name,
            owner: self.role,
            array,
            array_name,
            body,
        })))
    }

    /// Where a new type goes, and its name, which is free.
    pub(super) async fn new_type_name(&mut self, names: &[String]) -> SqlResult<(Oid, String)> {
        let range_var = super::name::range_var(names)?;
        let schema = self.creation_schema_of_type(&range_var)?;
        self.claim_type_name(schema, &range_var.name).await?;
        self.free_type_name(schema, &range_var.name)?;
        Ok((schema, range_var.name))
    }

    /// 42710 if a type has the name; an array type gives it up, as in PostgreSQL.
    fn free_type_name(&mut self, schema: Oid, name: &str) -> SqlResult<()> {
        let catalog = self.context.catalog.clone();
        let Some(taken) = catalog.type_named(schema, name) else {
            return Ok(());
        };
        if let Some(ty) = catalog.user_type_of_array(taken) {
            let mut changed = (**ty).clone();
            changed.array_name = self.free_array_name(schema, name);
            return self.put(Descriptor::Type(Arc::new(changed)));
        }
        if catalog.relation_of_row_type(taken).is_some_and(|table| table.row_array_type == taken) {
            return Ok(());
        }
        Err(type_exists(name))
    }

    /// `_name`, with as many underscores more as it takes (`makeArrayTypeName`).
    fn free_array_name(&self, schema: Oid, name: &str) -> String {
        let mut array_name = format!("_{name}");
        loop {
            let end = (0..=LABEL_BYTES_MAX.min(array_name.len()))
                .rev()
                .find(|end| array_name.is_char_boundary(*end))
                .unwrap_or(0);
            array_name.truncate(end);
            if self.context.catalog.type_named(schema, &array_name).is_none() {
                return array_name;
            }
            array_name.insert(0, '_');
        }
    }

    /// The type of a user that a statement names: locked, and as it is once locked.
    async fn open_enum(
        &mut self,
        names: &[String],
    ) -> SqlResult<(Arc<UserType>, Arc<[EnumLabel]>)> {
        let oid = self.named_type(names)?;
        if self.context.catalog.user_type(oid).is_some() {
            self.lock_type(oid).await?;
        }
        let ty = self.context.catalog.user_type(oid);
        match ty.map(|ty| (ty, &ty.body)) {
            Some((ty, TypeBody::Enum(labels))) => {
                self.check_owns_type(ty)?;
                Ok((ty.clone(), labels.clone()))
            }
            _ => Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("{} is not an enum", self.shown_type(oid)),
            )),
        }
    }

    /// The type that a name means.
    pub(super) fn named_type(&self, names: &[String]) -> SqlResult<Oid> {
        let name = TypeName::generic(names.to_vec(), 0);
        self.analyzer()
            .resolve_type_name(&name)
            .map(|ty| ty.oid)
            .map_err(SqlError::without_position)
    }

    /// A type as messages have it.
    pub(super) fn shown_type(&self, oid: Oid) -> String {
        let path = &self.search_path;
        let ty = aegis_types::TypeRef::plain(oid);
        crate::analyze::format_type(&self.context.catalog, path, ty)
    }

    /// `ALTER TYPE … ADD VALUE`, `ALTER TYPE … RENAME VALUE`
    pub(super) async fn alter_enum(&mut self, alter: &AlterEnumStmt) -> SqlResult<&'static str> {
        let (ty, labels) = self.open_enum(&alter.name).await?;
        let mut changed = labels.to_vec();
        let before = self.context.catalog.clone();
        match &alter.action {
            AlterEnumAction::AddValue { label, position, skip_if_exists } => {
                check_label(label)?;
                if labels.iter().any(|other| other.name == *label) {
                    let message = format!("enum label \"{label}\" already exists");
                    if *skip_if_exists {
                        self.notice(SqlState::DuplicateObject, format!("{message}, skipping"));
                        return Ok("ALTER TYPE");
                    }
                    return Err(SqlError::new(SqlState::DuplicateObject, message));
                }
                let oid = self.counters.next_oid()?;
                insert_label(&mut changed, oid, label, position)?;
            }
            AlterEnumAction::RenameValue { old, new } => {
                check_label(new)?;
                let at = labels.iter().position(|label| label.name == *old);
                let at = at.ok_or_else(|| not_a_label(old))?;
                if labels.iter().any(|label| label.name == *new) {
                    return Err(SqlError::new(
                        SqlState::DuplicateObject,
                        format!("enum label \"{new}\" already exists"),
                    ));
                }
                new.clone_into(&mut changed[at].name);
            }
        }
        let renamed = matches!(alter.action, AlterEnumAction::RenameValue { .. });
        let ty = UserType { body: TypeBody::Enum(changed.into()), ..(*ty).clone() };
        self.put(Descriptor::Type(Arc::new(ty)))?;
        if renamed {
            self.reprint(&before).await?;
        }
        Ok("ALTER TYPE")
    }

    /// The type that an `ALTER TYPE` of any kind may change, locked.
    async fn alterable_type(&mut self, name: &TypeName, domain: bool) -> SqlResult<Arc<UserType>> {
        let oid = self.analyzer().resolve_type_name(name).map_err(SqlError::without_position)?.oid;
        let catalog = self.context.catalog.clone();
        let is_domain =
            catalog.user_type(oid).is_some_and(|ty| matches!(ty.body, TypeBody::Domain(_)));
        if domain && !is_domain {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("{} is not a domain", self.shown_type(oid)),
            ));
        }
        if catalog.user_type(oid).is_some() {
            self.lock_type(oid).await?;
            if let Some(ty) = self.context.catalog.user_type(oid).cloned() {
                self.check_owns_type(&ty)?;
                return Ok(ty);
            }
        }
        let shown = self.shown_type(oid);
        if let Some(element) = catalog.element_of(oid).or(aegis_types::io::element_type(oid)) {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("cannot alter array type {shown}"),
            )
            .hint(format!(
                "You can alter type {}, which will alter the array type as well.",
                self.shown_type(element)
            )));
        }
        if catalog.relation_of_row_type(oid).is_some() {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("{shown} is a table's row type"),
            )
            .hint("Use ALTER TABLE instead."));
        }
        Err(not_owner("type", &shown))
    }

    /// `ALTER TYPE … RENAME TO`
    pub(super) async fn rename_type(
        &mut self,
        name: &TypeName,
        new: &str,
        domain: bool,
    ) -> SqlResult<&'static str> {
        let ty = self.alterable_type(name, domain).await?;
        let before = self.context.catalog.clone();
        self.claim_type_name(ty.schema, new).await?;
        self.free_type_name(ty.schema, new)?;
        // Its own array may have given up the name just now.
        let mut changed = self.type_now(&ty)?;
        new.clone_into(&mut changed.name);
        changed.array_name = self.free_array_name(ty.schema, new);
        self.put(Descriptor::Type(Arc::new(changed)))?;
        self.reprint(&before).await?;
        Ok(altered(domain))
    }

    fn type_now(&self, ty: &UserType) -> SqlResult<UserType> {
        let now = self.context.catalog.user_type(ty.oid);
        now.map(|now| (**now).clone())
            .ok_or_else(|| SqlError::internal(format!("type {} is missing", ty.oid)))
    }

    /// `ALTER TYPE … SET SCHEMA`
    pub(super) async fn move_type(
        &mut self,
        name: &TypeName,
        schema: &str,
        domain: bool,
    ) -> SqlResult<&'static str> {
        self.analyzer().resolve_type_name(name).map_err(SqlError::without_position)?;
        let schema_oid = self.schema(schema)?;
        self.check_may_create_in(schema_oid)?;
        let ty = self.alterable_type(name, domain).await?;
        if schema_oid == ty.schema {
            return Ok(altered(domain));
        }
        if schema_oid == PG_CATALOG || self.context.catalog.schema(schema_oid).is_none() {
            return Err(SqlError::unsupported("moving a type into a system schema"));
        }
        let before = self.context.catalog.clone();
        self.claim_type_name(schema_oid, &ty.name).await?;
        if self.context.catalog.type_named(schema_oid, &ty.name).is_some() {
            return Err(SqlError::new(
                SqlState::DuplicateObject,
                format!("type \"{}\" already exists in schema \"{schema}\"", ty.name),
            ));
        }
        let mut changed = (*ty).clone();
        changed.schema = schema_oid;
        changed.array_name = self.free_array_name(schema_oid, &ty.name);
        self.put(Descriptor::Type(Arc::new(changed)))?;
        self.reprint(&before).await?;
        Ok(altered(domain))
    }

    /// `ALTER TYPE … OWNER TO`
    pub(super) async fn own_type(
        &mut self,
        name: &TypeName,
        owner: Oid,
        domain: bool,
    ) -> SqlResult<&'static str> {
        let ty = self.alterable_type(name, domain).await?;
        self.set_type_owner(&ty, owner)?;
        Ok(altered(domain))
    }

    pub(super) fn set_type_owner(&mut self, ty: &UserType, owner: Oid) -> SqlResult<()> {
        self.put(Descriptor::Type(Arc::new(UserType { owner, ..ty.clone() })))?;
        self.pass_privileges(Kind::Type, ty.oid, ty.owner, owner)
    }

    /// `DROP TYPE`, `DROP DOMAIN`
    pub(super) async fn drop_types(&mut self, drop: &DropStmt) -> SqlResult<&'static str> {
        let mut targets = Vec::new();
        for object in &drop.objects {
            let ObjectName::Type(name) = object else {
                return Err(SqlError::internal("a type is dropped by name"));
            };
            let found = self.type_to_drop(name, drop.object_type, drop.missing_ok).await?;
            if let Some(item) = found.filter(|item| !targets.contains(item)) {
                targets.push(item);
            }
        }
        self.drop_items(&targets, drop.behavior).await?;
        Ok(if drop.object_type == ObjectType::Domain { "DROP DOMAIN" } else { "DROP TYPE" })
    }

    async fn type_to_drop(
        &mut self,
        name: &TypeName,
        kind: ObjectType,
        missing_ok: bool,
    ) -> SqlResult<Option<Item>> {
        let oid = match self.analyzer().resolve_type_name(name) {
            Ok(ty) => ty.oid,
            Err(error)
                if missing_ok
                    && matches!(
                        error.code(),
                        SqlState::UndefinedObject | SqlState::InvalidSchemaName
                    ) =>
            {
                let message = format!("{}, skipping", error.fields().message);
                self.notice(SqlState::SuccessfulCompletion, message);
                return Ok(None);
            }
            Err(error) => return Err(error.without_position()),
        };
        let shown = self.shown_type(oid);
        let is_domain = self
            .context
            .catalog
            .user_type(oid)
            .is_some_and(|ty| matches!(ty.body, TypeBody::Domain(_)));
        if kind == ObjectType::Domain && !is_domain {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("\"{}\" is not a domain", name.names.join(".")),
            ));
        }
        let catalog = self.context.catalog.clone();
        if catalog.user_type(oid).is_some() && standard::domain(oid).is_none() {
            self.lock_type(oid).await?;
            if let Some(ty) = self.context.catalog.user_type(oid)
                && !self.access().owns(self.role, Kind::Schema, ty.schema)
            {
                self.check_owns_type(ty)?;
            }
            return Ok(Some(Item::Type(oid)));
        }
        let required = |what: String| {
            SqlError::new(
                SqlState::DependentObjectsStillExist,
                format!("cannot drop type {shown} because {what} requires it"),
            )
            .hint(format!("You can drop {what} instead."))
        };
        if let Some(element) = catalog.element_of(oid) {
            return Err(required(format!("type {}", self.shown_type(element))));
        }
        if let Some(relation) = catalog.relation_of_row_type(oid) {
            return Err(required(self.describe(Item::Relation(relation.oid))));
        }
        Err(SqlError::new(
            SqlState::DependentObjectsStillExist,
            format!("cannot drop type {shown} because it is required by the database system"),
        ))
    }

    /// Removes a type; nothing depends on it any more.
    pub(super) fn drop_type(&mut self, oid: Oid) -> SqlResult<()> {
        let Some(ty) = self.context.catalog.user_type(oid).cloned() else {
            return Ok(());
        };
        match &ty.body {
            TypeBody::Domain(body) => {
                for check in &body.checks {
                    self.delete_comments(PG_CONSTRAINT, check.oid)?;
                }
            }
            TypeBody::Composite(body) => self.delete_comments(PG_CLASS, body.relation)?,
            TypeBody::Enum(_) => {}
        }
        self.delete_comments(PG_TYPE, oid)?;
        self.delete(DescriptorKey::Type(oid))
    }
}

const fn altered(domain: bool) -> &'static str {
    if domain { "ALTER DOMAIN" } else { "ALTER TYPE" }
}

/// 42710
pub(super) fn type_exists(name: &str) -> SqlError {
    SqlError::new(SqlState::DuplicateObject, format!("type \"{name}\" already exists"))
}

fn check_label(label: &str) -> SqlResult<()> {
    if label.len() > LABEL_BYTES_MAX {
        return Err(SqlError::new(
            SqlState::InvalidName,
            format!("invalid enum label \"{label}\""),
        )
        .detail(format!("Labels must be {LABEL_BYTES_MAX} bytes or less.")));
    }
    Ok(())
}

fn not_a_label(label: &str) -> SqlError {
    SqlError::new(
        SqlState::InvalidParameterValue,
        format!("\"{label}\" is not an existing enum label"),
    )
}

#[expect(clippy::cast_precision_loss, reason = "PostgreSQL counts labels in float4 too")]
fn sort_order(at: usize) -> f32 {
    at as f32
}

/// Puts a label among the others: its `enumsortorder` as PostgreSQL would choose it, its place so
/// that no other changes.
fn insert_label(
    labels: &mut Vec<EnumLabel>,
    oid: Oid,
    name: &str,
    position: &EnumPosition,
) -> SqlResult<()> {
    let find = |neighbour: &String| {
        let at = labels.iter().position(|label| label.name == *neighbour);
        at.ok_or_else(|| not_a_label(neighbour))
    };
    let (at, nearer_lower) = match position {
        EnumPosition::Last => (labels.len(), true),
        EnumPosition::Before(neighbour) => (find(neighbour)?, true),
        EnumPosition::After(neighbour) => (find(neighbour)? + 1, false),
    };
    let lower = at.checked_sub(1).map(|before| &labels[before]);
    let upper = labels.get(at);
    let place = place_between(lower.map(|l| l.place), upper.map(|u| u.place), nearer_lower);
    let place = place.ok_or_else(|| {
        SqlError::new(
            SqlState::ProgramLimitExceeded,
            format!("there is no room for another enum label where \"{name}\" goes"),
        )
        .hint("Create a new type with all labels, and convert the columns to it.")
    })?;
    let order = match (lower.map(|l| l.sort_order), upper.map(|u| u.sort_order)) {
        (None, None) => Some(1.0),
        (Some(lower), None) => Some(lower + 1.0),
        (None, Some(upper)) => Some(upper - 1.0),
        (Some(lower), Some(upper)) => {
            let middle = f32::midpoint(lower, upper);
            (middle != lower && middle != upper).then_some(middle)
        }
    };
    if order.is_none() {
        // PostgreSQL renumbers where float4 has nothing between.
        for (at, label) in labels.iter_mut().enumerate() {
            label.sort_order = sort_order(at + 1);
        }
    }
    let sort_order = order.unwrap_or_else(|| sort_order(at) + 0.5);
    let name = name.to_owned();
    labels.insert(at, EnumLabel { oid, name, sort_order, place, uncommitted: true });
    Ok(())
}
