//! The immutable picture of the catalog at one commit.
//!
//! A successor shares everything that did not change: each kind of object is a map behind an `Arc`
//! that is copied when an object of that kind changes, and the objects themselves are shared. The
//! built-in schemas (`pg_catalog`, `information_schema`) belong to every database and are not rows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aegis_types::builtin::{FunctionRef, FunctionRow, builtins};
use aegis_types::{Oid, TypeRef};

use crate::descriptor::{
    Comment, Database, DefaultPrivileges, Descriptor, Extension, Function, Membership, Privileges,
    Relation, Role, RoleSettings, Schema, Statistics, TypeBody, UserType,
};
use crate::{engine, standard};

pub use aegis_types::builtin::{INFORMATION_SCHEMA, PG_CATALOG};

/// `public`'s OID in the database `postgres`, as in PostgreSQL.
pub const PUBLIC: Oid = Oid(2200);
/// The database `postgres`.
pub const POSTGRES_DATABASE: Oid = Oid(5);
/// The database `template1`.
pub const TEMPLATE1_DATABASE: Oid = Oid(1);
/// The database `template0`.
pub const TEMPLATE0_DATABASE: Oid = Oid(4);
/// The role `postgres`.
pub const BOOTSTRAP_ROLE: Oid = Oid(10);
/// `pg_database_owner`, which owns the schemas `public`.
pub const DATABASE_OWNER_ROLE: Oid = Oid(6171);
/// The catalogs that comments name: `pg_class`, `pg_namespace`, `pg_database`, `pg_constraint`,
/// `pg_type`.
pub const PG_CLASS: Oid = Oid(1259);
/// `pg_namespace`
pub const PG_NAMESPACE: Oid = Oid(2615);
/// `pg_database`
pub const PG_DATABASE: Oid = Oid(1262);
/// `pg_constraint`
pub const PG_CONSTRAINT: Oid = Oid(2606);
/// `pg_type`
pub const PG_TYPE: Oid = Oid(1247);
/// `pg_authid`
pub const PG_AUTHID: Oid = Oid(1260);
/// `pg_proc`
pub const PG_PROC: Oid = Oid(1255);
/// `pg_rewrite`
pub const PG_REWRITE: Oid = Oid(2618);
/// `pg_language`
pub const PG_LANGUAGE: Oid = Oid(2612);
/// `pg_tablespace`
pub const PG_TABLESPACE: Oid = Oid(1213);
/// `pg_default_acl`
pub const PG_DEFAULT_ACL: Oid = Oid(826);
/// `pg_extension`
pub const PG_EXTENSION: Oid = Oid(3079);
/// `pg_attrdef`
pub const PG_ATTRDEF: Oid = Oid(2604);

/// What the names of schemas of temporary relations begin with; nobody else can choose such a name.
pub const TEMPORARY_PREFIX: &str = "pg_temp_";

/// The catalog as of one commit, or as one transaction sees it with its own DDL.
#[derive(Clone, Debug, Default)]
pub struct CatalogSnapshot {
    /// Grows with every change; equal versions are equal catalogs, within one transaction.
    pub version: u64,
    databases: Arc<BTreeMap<Oid, Arc<Database>>>,
    roles: Arc<BTreeMap<Oid, Arc<Role>>>,
    schemas: Arc<BTreeMap<Oid, Arc<Schema>>>,
    relations: Arc<BTreeMap<Oid, Arc<Relation>>>,
    relation_names: Arc<HashMap<Oid, BTreeMap<String, Oid>>>,
    row_types: Arc<HashMap<Oid, Oid>>,
    comments: Arc<BTreeMap<CommentKey, Arc<Comment>>>,
    types: Arc<BTreeMap<Oid, Arc<UserType>>>,
    type_names: Arc<HashMap<Oid, BTreeMap<String, Oid>>>,
    type_arrays: Arc<HashMap<Oid, Oid>>,
    /// By member, then role.
    memberships: Arc<BTreeMap<(Oid, Oid), Arc<Membership>>>,
    /// By database, then role.
    role_settings: Arc<BTreeMap<(Oid, Oid), Arc<RoleSettings>>>,
    privileges: Arc<BTreeMap<CommentKey, Arc<Privileges>>>,
    default_privileges: Arc<BTreeMap<DefaultPrivilegesKey, Arc<DefaultPrivileges>>>,
    functions: Arc<BTreeMap<Oid, UserFunction>>,
    /// By name, those of every schema.
    function_names: Arc<HashMap<String, Vec<Oid>>>,
    extensions: Arc<BTreeMap<Oid, Arc<Extension>>>,
    /// By relation, then column.
    statistics: Arc<BTreeMap<(Oid, i16), Arc<Statistics>>>,
}

/// A function that users made, and the row that calls of it are resolved by.
#[derive(Clone)]
struct UserFunction {
    descriptor: Arc<Function>,
    row: Arc<FunctionRow>,
}

impl std::fmt::Debug for UserFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.descriptor.fmt(f)
    }
}

/// What default privileges are for: role, schema, kind.
pub type DefaultPrivilegesKey = (Oid, Oid, u8);

/// What a comment is on: class, object, column.
pub type CommentKey = (Oid, Oid, i32);

/// Which row of the catalog's tree a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DescriptorKey {
    /// A database.
    Database(Oid),
    /// A role.
    Role(Oid),
    /// A schema.
    Schema(Oid),
    /// A table, view, sequence or index.
    Relation(Oid),
    /// A comment.
    Comment(Oid, Oid, i32),
    /// A type.
    Type(Oid),
    /// A membership: member, role.
    Membership(Oid, Oid),
    /// Settings: database, role.
    RoleSettings(Oid, Oid),
    /// Privileges: class, object, column.
    Privileges(Oid, Oid, i32),
    /// Default privileges: role, schema, kind.
    DefaultPrivileges(Oid, Oid, u8),
    /// A function.
    Function(Oid),
    /// An extension.
    Extension(Oid),
    /// What ANALYZE found: relation, column.
    Statistics(Oid, i16),
}

impl Descriptor {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> DescriptorKey {
        match self {
            Self::Database(database) => DescriptorKey::Database(database.oid),
            Self::Role(role) => DescriptorKey::Role(role.oid),
            Self::Schema(schema) => DescriptorKey::Schema(schema.oid),
            Self::Relation(relation) => DescriptorKey::Relation(relation.oid),
            Self::Comment(comment) => {
                DescriptorKey::Comment(comment.class, comment.object, comment.column)
            }
            Self::Type(ty) => DescriptorKey::Type(ty.oid),
            Self::Membership(it) => DescriptorKey::Membership(it.member, it.role),
            Self::RoleSettings(it) => DescriptorKey::RoleSettings(it.database, it.role),
            Self::Privileges(it) => DescriptorKey::Privileges(it.class, it.object, it.column),
            Self::DefaultPrivileges(it) => {
                DescriptorKey::DefaultPrivileges(it.role, it.schema, it.kind)
            }
            Self::Function(function) => DescriptorKey::Function(function.oid),
            Self::Extension(extension) => DescriptorKey::Extension(extension.oid),
            Self::Statistics(it) => DescriptorKey::Statistics(it.relation, it.column),
        }
    }
}

impl CatalogSnapshot {
    /// The successor in which a descriptor is added or replaced.
    #[must_use]
    pub fn with(mut self, descriptor: &Descriptor) -> Self {
        self.version += 1;
        match descriptor {
            Descriptor::Database(database) => {
                Arc::make_mut(&mut self.databases).insert(database.oid, database.clone());
            }
            Descriptor::Role(role) => {
                Arc::make_mut(&mut self.roles).insert(role.oid, role.clone());
            }
            Descriptor::Schema(schema) => {
                Arc::make_mut(&mut self.schemas).insert(schema.oid, schema.clone());
            }
            Descriptor::Relation(relation) => self.put_relation(relation),
            Descriptor::Comment(comment) => {
                Arc::make_mut(&mut self.comments)
                    .insert((comment.class, comment.object, comment.column), comment.clone());
            }
            Descriptor::Type(ty) => self.put_type(ty),
            Descriptor::Membership(it) => {
                Arc::make_mut(&mut self.memberships).insert((it.member, it.role), it.clone());
            }
            Descriptor::RoleSettings(it) => {
                Arc::make_mut(&mut self.role_settings).insert((it.database, it.role), it.clone());
            }
            Descriptor::Privileges(it) => {
                Arc::make_mut(&mut self.privileges)
                    .insert((it.class, it.object, it.column), it.clone());
            }
            Descriptor::DefaultPrivileges(it) => {
                Arc::make_mut(&mut self.default_privileges)
                    .insert((it.role, it.schema, it.kind), it.clone());
            }
            Descriptor::Function(function) => self.put_function(function),
            Descriptor::Extension(it) => {
                Arc::make_mut(&mut self.extensions).insert(it.oid, it.clone());
            }
            Descriptor::Statistics(it) => {
                Arc::make_mut(&mut self.statistics).insert((it.relation, it.column), it.clone());
            }
        }
        self
    }

    /// The successor in which a descriptor is gone.
    #[must_use]
    pub fn without(mut self, key: DescriptorKey) -> Self {
        self.version += 1;
        match key {
            DescriptorKey::Database(oid) => {
                Arc::make_mut(&mut self.databases).remove(&oid);
            }
            DescriptorKey::Role(oid) => {
                Arc::make_mut(&mut self.roles).remove(&oid);
            }
            DescriptorKey::Schema(oid) => {
                Arc::make_mut(&mut self.schemas).remove(&oid);
            }
            DescriptorKey::Relation(oid) => self.remove_relation(oid),
            DescriptorKey::Comment(class, object, column) => {
                Arc::make_mut(&mut self.comments).remove(&(class, object, column));
            }
            DescriptorKey::Type(oid) => self.remove_type(oid),
            DescriptorKey::Membership(member, role) => {
                Arc::make_mut(&mut self.memberships).remove(&(member, role));
            }
            DescriptorKey::RoleSettings(database, role) => {
                Arc::make_mut(&mut self.role_settings).remove(&(database, role));
            }
            DescriptorKey::Privileges(class, object, column) => {
                Arc::make_mut(&mut self.privileges).remove(&(class, object, column));
            }
            DescriptorKey::DefaultPrivileges(role, schema, kind) => {
                Arc::make_mut(&mut self.default_privileges).remove(&(role, schema, kind));
            }
            DescriptorKey::Function(oid) => self.remove_function(oid),
            DescriptorKey::Extension(oid) => {
                Arc::make_mut(&mut self.extensions).remove(&oid);
            }
            DescriptorKey::Statistics(relation, column) => {
                Arc::make_mut(&mut self.statistics).remove(&(relation, column));
            }
        }
        self
    }

    fn put_relation(&mut self, relation: &Arc<Relation>) {
        self.remove_relation(relation.oid);
        Arc::make_mut(&mut self.relation_names)
            .entry(relation.schema)
            .or_default()
            .insert(relation.name.clone(), relation.oid);
        if relation.row_type.is_some() {
            let row_types = Arc::make_mut(&mut self.row_types);
            row_types.insert(relation.row_type, relation.oid);
            row_types.insert(relation.row_array_type, relation.oid);
        }
        Arc::make_mut(&mut self.relations).insert(relation.oid, relation.clone());
    }

    fn remove_relation(&mut self, oid: Oid) {
        let Some(old) = Arc::make_mut(&mut self.relations).remove(&oid) else {
            return;
        };
        if let Some(names) = Arc::make_mut(&mut self.relation_names).get_mut(&old.schema)
            && names.get(&old.name) == Some(&oid)
        {
            names.remove(&old.name);
        }
        if old.row_type.is_some() {
            let row_types = Arc::make_mut(&mut self.row_types);
            row_types.remove(&old.row_type);
            row_types.remove(&old.row_array_type);
        }
    }

    fn put_type(&mut self, ty: &Arc<UserType>) {
        self.remove_type(ty.oid);
        let names = Arc::make_mut(&mut self.type_names).entry(ty.schema).or_default();
        names.insert(ty.name.clone(), ty.oid);
        names.insert(ty.array_name.clone(), ty.array);
        Arc::make_mut(&mut self.type_arrays).insert(ty.array, ty.oid);
        Arc::make_mut(&mut self.types).insert(ty.oid, ty.clone());
    }

    fn remove_type(&mut self, oid: Oid) {
        let Some(old) = Arc::make_mut(&mut self.types).remove(&oid) else {
            return;
        };
        Arc::make_mut(&mut self.type_arrays).remove(&old.array);
        if let Some(names) = Arc::make_mut(&mut self.type_names).get_mut(&old.schema) {
            for (name, own) in [(&old.name, old.oid), (&old.array_name, old.array)] {
                if names.get(name) == Some(&own) {
                    names.remove(name);
                }
            }
        }
    }

    fn put_function(&mut self, function: &Arc<Function>) {
        self.remove_function(function.oid);
        let names = Arc::make_mut(&mut self.function_names);
        names.entry(function.name.clone()).or_default().push(function.oid);
        let row = Arc::new(function.row());
        let function = UserFunction { descriptor: function.clone(), row };
        Arc::make_mut(&mut self.functions).insert(function.descriptor.oid, function);
    }

    fn remove_function(&mut self, oid: Oid) {
        let Some(old) = Arc::make_mut(&mut self.functions).remove(&oid) else {
            return;
        };
        if let Some(named) = Arc::make_mut(&mut self.function_names).get_mut(&old.descriptor.name) {
            named.retain(|known| *known != oid);
        }
    }

    /// The function with this OID, PostgreSQL's own or a user's.
    #[must_use]
    pub fn function(&self, oid: Oid) -> Option<FunctionRef> {
        match self.functions.get(&oid) {
            Some(function) => Some(FunctionRef::User(function.row.clone())),
            None => builtins().function(oid).map(FunctionRef::BuiltIn).or_else(|| {
                engine::function(oid).map(|known| FunctionRef::User(known.row.clone()))
            }),
        }
    }

    /// What a function declares besides how it is called: a user's, or an engine's.
    #[must_use]
    pub fn declared_function(&self, oid: Oid) -> Option<&Arc<Function>> {
        let of_engine = || engine::function(oid).map(|function| &function.descriptor);
        self.user_function(oid).or_else(of_engine)
    }

    /// The functions with this name in whatever schema.
    pub fn functions_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = FunctionRef> + 'a {
        let own = self.function_names.get(name).into_iter().flatten();
        let own = own.filter_map(|oid| self.functions.get(oid));
        let own = own.map(|function| FunctionRef::User(function.row.clone()));
        let of_engines = engine::functions_named(name);
        let of_engines = of_engines.map(|function| FunctionRef::User(function.row.clone()));
        builtins().functions_named(name).map(FunctionRef::BuiltIn).chain(of_engines).chain(own)
    }

    /// The function of a user with this OID.
    #[must_use]
    pub fn user_function(&self, oid: Oid) -> Option<&Arc<Function>> {
        self.functions.get(&oid).map(|function| &function.descriptor)
    }

    /// The functions that users of a database made, by OID.
    pub fn user_functions_of(&self, database: Oid) -> impl Iterator<Item = &Arc<Function>> {
        let all = self.functions.values().map(|function| &function.descriptor);
        all.filter(move |function| function.database == database)
    }

    /// The function of a schema with this name and these inputs.
    #[must_use]
    pub fn function_with_inputs(
        &self,
        schema: Oid,
        name: &str,
        inputs: &[Oid],
    ) -> Option<FunctionRef> {
        self.functions_named(name).find(|row| row.schema == schema && row.arguments == inputs)
    }

    /// The extension with this OID.
    #[must_use]
    pub fn extension(&self, oid: Oid) -> Option<&Arc<Extension>> {
        self.extensions.get(&oid)
    }

    /// The extensions of all databases.
    pub fn extensions(&self) -> impl Iterator<Item = &Arc<Extension>> {
        self.extensions.values()
    }

    /// The extensions of a database, by OID.
    pub fn extensions_of(&self, database: Oid) -> impl Iterator<Item = &Arc<Extension>> {
        self.extensions.values().filter(move |extension| extension.database == database)
    }

    /// The type of a user with this OID, or the domain of `information_schema`.
    #[must_use]
    pub fn user_type(&self, oid: Oid) -> Option<&Arc<UserType>> {
        self.types.get(&oid).or_else(|| standard::domain(oid))
    }

    /// The type beneath all domains, with the modifier that it has there.
    #[must_use]
    pub fn base_type(&self, mut ty: TypeRef) -> TypeRef {
        while let Some(TypeBody::Domain(body)) = self.user_type(ty.oid).map(|ty| &ty.body) {
            ty = body.base;
        }
        ty
    }

    /// `typlen`: the bytes that a value takes in PostgreSQL, -1 where they differ.
    #[must_use]
    pub fn type_length(&self, oid: Oid) -> i16 {
        if let Some(row) = builtins().type_row(oid) {
            return row.length;
        }
        match self.user_type(oid).map(|ty| &ty.body) {
            Some(TypeBody::Enum(_)) => 4,
            Some(TypeBody::Domain(body)) => self.type_length(body.base.oid),
            Some(TypeBody::Composite(_)) | None => -1,
        }
    }

    /// `typcollation`: that of the type beneath where a domain has none of its own, and that of its
    /// element for an array.
    #[must_use]
    pub fn type_collation(&self, oid: Oid) -> Oid {
        if let Some(row) = builtins().type_row(oid) {
            return row.collation;
        }
        if let Some(element) = self.element_of(oid) {
            return self.type_collation(element);
        }
        match self.user_type(oid).map(|ty| &ty.body) {
            Some(TypeBody::Domain(body)) => match body.collation {
                Some(collation) => collation.oid(),
                None => self.type_collation(body.base.oid),
            },
            _ => Oid::NONE,
        }
    }

    /// The type of a user that this is the array type over, or the domain of `information_schema`.
    #[must_use]
    pub fn user_type_of_array(&self, array: Oid) -> Option<&Arc<UserType>> {
        let own = self.type_arrays.get(&array).and_then(|oid| self.types.get(oid));
        own.or_else(|| standard::domain_of_array(array))
    }

    /// The domains of `information_schema`, and the types of a database, by OID.
    pub fn types_of(&self, database: Oid) -> impl Iterator<Item = &Arc<UserType>> {
        standard::domains()
            .map(|domain| -> &Arc<UserType> { domain })
            .chain(self.user_types_of(database))
    }

    /// The types that users of a database made, by OID.
    pub fn user_types_of(&self, database: Oid) -> impl Iterator<Item = &Arc<UserType>> {
        self.types.values().filter(move |ty| ty.database == database)
    }

    /// The type of a user with this name, arrays not counted.
    #[must_use]
    pub fn user_type_named(&self, schema: Oid, name: &str) -> Option<Oid> {
        let oid = *self.type_names.get(&schema)?.get(name)?;
        self.types.contains_key(&oid).then_some(oid)
    }

    /// The type of a schema with this name: a user's, the array over one, the row type of a
    /// relation, or the array over that.
    #[must_use]
    pub fn type_named(&self, schema: Oid, name: &str) -> Option<Oid> {
        if let Some(found) = self.type_names.get(&schema).and_then(|names| names.get(name)) {
            return Some(*found);
        }
        if let Some(found) = standard::type_named(schema, name) {
            return Some(found);
        }
        let row_type = |name: &str| {
            self.relation_named(schema, name).filter(|relation| relation.row_type.is_some())
        };
        row_type(name).map(|relation| relation.row_type).or_else(|| {
            name.strip_prefix('_').and_then(row_type).map(|relation| relation.row_array_type)
        })
    }

    /// The element of an array type over a user's type or a row type.
    #[must_use]
    pub fn element_of(&self, array: Oid) -> Option<Oid> {
        if let Some(ty) = self.user_type_of_array(array) {
            return Some(ty.oid);
        }
        let relation = self.relation_of_row_type(array)?;
        (relation.row_array_type == array).then_some(relation.row_type)
    }

    /// The array type over a user's type or a row type.
    #[must_use]
    pub fn array_over(&self, element: Oid) -> Option<Oid> {
        if let Some(ty) = self.user_type(element) {
            return Some(ty.array).filter(|array| array.is_some());
        }
        let relation = self.relation_of_row_type(element)?;
        (relation.row_type == element).then_some(relation.row_array_type)
    }

    /// The schema and the name of a user's type, a row type, or an array over such.
    #[must_use]
    pub fn type_parts(&self, oid: Oid) -> Option<(Oid, String)> {
        if let Some(ty) = self.user_type(oid) {
            return Some((ty.schema, ty.name.clone()));
        }
        if let Some(ty) = self.user_type_of_array(oid) {
            return Some((ty.schema, ty.array_name.clone()));
        }
        let relation = self.relation_of_row_type(oid)?;
        let name = &relation.name;
        let is_row = relation.row_type == oid;
        Some((relation.schema, if is_row { name.clone() } else { format!("_{name}") }))
    }

    /// The database with this OID.
    #[must_use]
    pub fn database(&self, oid: Oid) -> Option<&Arc<Database>> {
        self.databases.get(&oid)
    }

    /// The database with this name.
    #[must_use]
    pub fn database_named(&self, name: &str) -> Option<&Arc<Database>> {
        self.databases.values().find(|database| database.name == name)
    }

    /// Every database, by OID.
    pub fn databases(&self) -> impl Iterator<Item = &Arc<Database>> {
        self.databases.values()
    }

    /// The role with this OID.
    #[must_use]
    pub fn role(&self, oid: Oid) -> Option<&Arc<Role>> {
        self.roles.get(&oid)
    }

    /// The role with this name.
    #[must_use]
    pub fn role_named(&self, name: &str) -> Option<&Arc<Role>> {
        self.roles.values().find(|role| role.name == name)
    }

    /// Every role, by OID.
    pub fn roles(&self) -> impl Iterator<Item = &Arc<Role>> {
        self.roles.values()
    }

    /// The schema with this OID; built-in schemas are not rows.
    #[must_use]
    pub fn schema(&self, oid: Oid) -> Option<&Arc<Schema>> {
        self.schemas.get(&oid)
    }

    /// The OID of a schema of a database, or of a built-in one, by name.
    #[must_use]
    pub fn schema_named(&self, database: Oid, name: &str) -> Option<Oid> {
        match name {
            "pg_catalog" => Some(PG_CATALOG),
            "information_schema" => Some(INFORMATION_SCHEMA),
            _ => self.schemas_of(database).find(|schema| schema.name == name).map(|s| s.oid),
        }
    }

    /// The schema of temporary relations that a search path holds.
    #[must_use]
    pub fn temporary_schema_in(&self, path: &[Oid]) -> Option<Oid> {
        path.iter().copied().find(|oid| self.is_temporary_schema(*oid))
    }

    /// A search path without the schema of temporary relations at its head, which comes even before
    /// `pg_catalog`, and that schema.
    #[must_use]
    pub fn split_path<'p>(&self, path: &'p [Oid]) -> (Option<Oid>, &'p [Oid]) {
        match path.split_first() {
            Some((first, rest)) if self.is_temporary_schema(*first) => (Some(*first), rest),
            _ => (None, path),
        }
    }

    /// Whether a schema is one of temporary relations.
    #[must_use]
    pub fn is_temporary_schema(&self, oid: Oid) -> bool {
        self.schemas.get(&oid).is_some_and(|schema| schema.name.starts_with(TEMPORARY_PREFIX))
    }

    /// Every schema of temporary relations, of all databases.
    pub fn temporary_schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.schemas.values().filter(|schema| schema.name.starts_with(TEMPORARY_PREFIX))
    }

    /// The name of a schema, built-in or not.
    #[must_use]
    pub fn schema_name(&self, oid: Oid) -> Option<&str> {
        match oid {
            PG_CATALOG => Some("pg_catalog"),
            INFORMATION_SCHEMA => Some("information_schema"),
            _ => self.schemas.get(&oid).map(|schema| schema.name.as_str()),
        }
    }

    /// The schemas of a database, by OID, without the built-in ones.
    pub fn schemas_of(&self, database: Oid) -> impl Iterator<Item = &Arc<Schema>> {
        self.schemas.values().filter(move |schema| schema.database == database)
    }

    /// The relation with this OID.
    #[must_use]
    pub fn relation(&self, oid: Oid) -> Option<&Arc<Relation>> {
        self.relations.get(&oid)
    }

    /// The relation of a schema with this name.
    #[must_use]
    pub fn relation_named(&self, schema: Oid, name: &str) -> Option<&Arc<Relation>> {
        self.relation_names.get(&schema)?.get(name).and_then(|oid| self.relations.get(oid))
    }

    /// The relations of a schema, by name.
    pub fn relations_in(&self, schema: Oid) -> impl Iterator<Item = &Arc<Relation>> {
        self.relation_names
            .get(&schema)
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter_map(|oid| self.relations.get(oid))
    }

    /// The relations of a database, by OID.
    pub fn relations_of(&self, database: Oid) -> impl Iterator<Item = &Arc<Relation>> {
        self.relations.values().filter(move |relation| relation.database == database)
    }

    /// The relation whose row type, or the array over it, this is.
    #[must_use]
    pub fn relation_of_row_type(&self, row_type: Oid) -> Option<&Arc<Relation>> {
        self.row_types.get(&row_type).and_then(|oid| self.relations.get(oid))
    }

    /// The comment on an object, or on a column of it.
    #[must_use]
    pub fn comment(&self, class: Oid, object: Oid, column: i32) -> Option<&Arc<Comment>> {
        self.comments.get(&(class, object, column))
    }

    /// Every comment, by what it is on.
    pub fn comments(&self) -> impl Iterator<Item = &Arc<Comment>> {
        self.comments.values()
    }

    /// What a role is a member of.
    pub fn memberships_of(&self, member: Oid) -> impl Iterator<Item = &Arc<Membership>> {
        self.memberships.range((member, Oid(0))..=(member, Oid(u32::MAX))).map(|(_, it)| it)
    }

    /// Every membership, by member.
    pub fn memberships(&self) -> impl Iterator<Item = &Arc<Membership>> {
        self.memberships.values()
    }

    /// The membership of a role in another.
    #[must_use]
    pub fn membership(&self, member: Oid, role: Oid) -> Option<&Arc<Membership>> {
        self.memberships.get(&(member, role))
    }

    /// The settings of a role in a database; either may be none.
    #[must_use]
    pub fn role_settings(&self, database: Oid, role: Oid) -> Option<&Arc<RoleSettings>> {
        self.role_settings.get(&(database, role))
    }

    /// All settings of roles and databases.
    pub fn all_role_settings(&self) -> impl Iterator<Item = &Arc<RoleSettings>> {
        self.role_settings.values()
    }

    /// The privileges on an object, where they differ from what it is made with.
    #[must_use]
    pub fn privileges(&self, class: Oid, object: Oid, column: i32) -> Option<&Arc<Privileges>> {
        self.privileges.get(&(class, object, column))
    }

    /// The privileges on an object and all of its columns.
    pub fn privileges_of(&self, class: Oid, object: Oid) -> impl Iterator<Item = &Arc<Privileges>> {
        let range = (class, object, i32::MIN)..=(class, object, i32::MAX);
        self.privileges.range(range).map(|(_, it)| it)
    }

    /// Whether any object of a class has privileges of its own.
    #[must_use]
    pub fn has_privileges_of_class(&self, class: Oid) -> bool {
        let range = (class, Oid(0), i32::MIN)..=(class, Oid(u32::MAX), i32::MAX);
        self.privileges.range(range).next().is_some()
    }

    /// All privileges that differ from what objects are made with.
    pub fn all_privileges(&self) -> impl Iterator<Item = &Arc<Privileges>> {
        self.privileges.values()
    }

    /// The default privileges on what a role makes in a schema, or anywhere.
    #[must_use]
    pub fn default_privileges(
        &self,
        role: Oid,
        schema: Oid,
        kind: u8,
    ) -> Option<&Arc<DefaultPrivileges>> {
        self.default_privileges.get(&(role, schema, kind))
    }

    /// What ANALYZE found in a column of a table, or in an expression of an index.
    #[must_use]
    pub fn statistics(&self, relation: Oid, column: i16) -> Option<&Arc<Statistics>> {
        self.statistics.get(&(relation, column))
    }

    /// What it found in all columns of a relation, by number.
    pub fn statistics_of(&self, relation: Oid) -> impl Iterator<Item = &Arc<Statistics>> {
        self.statistics.range((relation, i16::MIN)..=(relation, i16::MAX)).map(|(_, it)| it)
    }

    /// All default privileges.
    pub fn all_default_privileges(&self) -> impl Iterator<Item = &Arc<DefaultPrivileges>> {
        self.default_privileges.values()
    }
}
