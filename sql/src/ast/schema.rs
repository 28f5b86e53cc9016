//! Databases, schemas, sequences, types, domains, extensions, roles and privileges.

use super::{
    CollationName, ColumnDef, Constraint, DefElem, DropBehavior, Expr, ObjectName, ObjectType,
    RangeVar, RoleSpec, SequenceOption, Statement, TypeName, VariableSetStmt,
};

/// `CREATE DATABASE`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateDatabaseStmt {
    /// The name.
    pub name: String,
    /// The options, their names lower case: `owner`, `template`, `encoding`, `connection_limit`, ….
    pub options: Vec<DefElem>,
}

/// `ALTER DATABASE name [WITH] options`.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterDatabaseStmt {
    /// The name.
    pub name: String,
    /// The options; `SET TABLESPACE` is one named `tablespace`.
    pub options: Vec<DefElem>,
}

/// `ALTER DATABASE name SET …` or `RESET …`.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterDatabaseSetStmt {
    /// The name.
    pub name: String,
    /// The setting.
    pub set: VariableSetStmt,
}

/// `DROP DATABASE`.
#[derive(Clone, Debug, PartialEq)]
pub struct DropDatabaseStmt {
    /// The name.
    pub name: String,
    /// `IF EXISTS`.
    pub missing_ok: bool,
    /// `WITH (FORCE)`.
    pub options: Vec<DefElem>,
}

/// `CREATE SCHEMA`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateSchemaStmt {
    /// The name; the owner's if `None`.
    pub name: Option<String>,
    /// `AUTHORIZATION`.
    pub authorization: Option<RoleSpec>,
    /// The statements that follow and create objects in it.
    pub elements: Vec<Statement>,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
}

/// `CREATE SEQUENCE`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateSequenceStmt {
    /// The sequence; its persistence is in it.
    pub sequence: RangeVar,
    /// The options, in the order written.
    pub options: Vec<SequenceOption>,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
}

/// `ALTER SEQUENCE name options`.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterSequenceStmt {
    /// The sequence.
    pub sequence: RangeVar,
    /// The options, at least one.
    pub options: Vec<SequenceOption>,
    /// `IF EXISTS`.
    pub missing_ok: bool,
}

/// `CREATE TYPE name AS ENUM (…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateEnumStmt {
    /// The name, possibly qualified.
    pub name: Vec<String>,
    /// The labels.
    pub labels: Vec<String>,
}

/// Where a new label goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnumPosition {
    /// At the end.
    Last,
    /// `BEFORE label`
    Before(String),
    /// `AFTER label`
    After(String),
}

/// What `ALTER TYPE` does to an enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterEnumAction {
    /// `ADD VALUE [IF NOT EXISTS] label [BEFORE|AFTER other]`
    AddValue {
        /// The label.
        label: String,
        /// Where it goes.
        position: EnumPosition,
        /// `IF NOT EXISTS`.
        skip_if_exists: bool,
    },
    /// `RENAME VALUE label TO label`
    RenameValue {
        /// The old label.
        old: String,
        /// The new label.
        new: String,
    },
}

/// `ALTER TYPE` of an enum.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterEnumStmt {
    /// The type, possibly qualified.
    pub name: Vec<String>,
    /// What is done.
    pub action: AlterEnumAction,
}

/// `CREATE TYPE name AS (…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct CompositeTypeStmt {
    /// The name.
    pub name: RangeVar,
    /// The attributes.
    pub columns: Vec<ColumnDef>,
}

/// `CREATE DOMAIN`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateDomainStmt {
    /// The name, possibly qualified.
    pub name: Vec<String>,
    /// The type beneath.
    pub type_name: TypeName,
    /// `COLLATE`.
    pub collation: Option<CollationName>,
    /// The constraints.
    pub constraints: Vec<Constraint>,
}

/// What `ALTER DOMAIN` does.
#[derive(Clone, Debug, PartialEq)]
pub enum AlterDomainAction {
    /// `SET DEFAULT e`, `DROP DEFAULT`
    Default(Option<Expr>),
    /// `DROP NOT NULL`
    DropNotNull,
    /// `SET NOT NULL`
    SetNotNull,
    /// `ADD constraint`
    AddConstraint(Constraint),
    /// `DROP CONSTRAINT [IF EXISTS] name [CASCADE]`
    DropConstraint {
        /// The name.
        name: String,
        /// `IF EXISTS`.
        missing_ok: bool,
        /// `CASCADE`.
        behavior: DropBehavior,
    },
    /// `VALIDATE CONSTRAINT name`
    ValidateConstraint(String),
}

/// `ALTER DOMAIN`.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterDomainStmt {
    /// The domain, possibly qualified.
    pub name: Vec<String>,
    /// What is done.
    pub action: AlterDomainAction,
}

/// A `CREATE` of an object that a list of definitions describes.
#[derive(Clone, Debug, PartialEq)]
pub struct DefineStmt {
    /// The kind: aggregate, operator, type (base, shell or range), text search object, collation.
    pub object_type: ObjectType,
    /// The name, possibly qualified.
    pub name: Vec<String>,
    /// An aggregate's parameters; `None` if the old syntax, or no aggregate. An operator's never.
    pub args: Option<super::AggregateArgs>,
    /// The definitions; empty for a shell type.
    pub definition: Vec<DefElem>,
    /// `CREATE TYPE … AS RANGE`.
    pub range: bool,
    /// `CREATE COLLATION … FROM other`.
    pub from: Option<Vec<String>>,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `OR REPLACE`.
    pub replace: bool,
}

/// Which word a role was created by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleStmtType {
    /// `CREATE ROLE`
    Role,
    /// `CREATE USER`: may log in unless told otherwise
    User,
    /// `CREATE GROUP`
    Group,
}

/// `CREATE ROLE`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateRoleStmt {
    /// The word.
    pub stmt_type: RoleStmtType,
    /// The name.
    pub role: String,
    /// The options.
    pub options: Vec<RoleOption>,
}

/// An option of a role, and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleOption {
    /// Which.
    pub kind: RoleOptionKind,
    /// Where it begins.
    pub location: u32,
}

/// The options of a role.
#[derive(Clone, Debug, PartialEq)]
pub enum RoleOptionKind {
    /// `PASSWORD 'text'`, `PASSWORD NULL`
    Password(Option<String>),
    /// `[NO]SUPERUSER`
    Superuser(bool),
    /// `[NO]CREATEDB`
    CreateDb(bool),
    /// `[NO]CREATEROLE`
    CreateRole(bool),
    /// `[NO]INHERIT`
    Inherit(bool),
    /// `[NO]LOGIN`
    Login(bool),
    /// `[NO]REPLICATION`
    Replication(bool),
    /// `[NO]BYPASSRLS`
    BypassRls(bool),
    /// `CONNECTION LIMIT n`
    ConnectionLimit(i32),
    /// `VALID UNTIL 'time'`
    ValidUntil(String),
    /// `SYSID n`
    SysId(i32),
    /// `ADMIN roles`
    AdminMembers(Vec<RoleSpec>),
    /// `ROLE roles`, `USER roles`, and `ALTER GROUP … ADD|DROP USER`
    RoleMembers(Vec<RoleSpec>),
    /// `IN ROLE roles`, `IN GROUP roles`
    AddToRole(Vec<RoleSpec>),
}

/// `ALTER ROLE name options`.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterRoleStmt {
    /// The role.
    pub role: RoleSpec,
    /// The options.
    pub options: Vec<RoleOption>,
    /// For `ALTER GROUP … DROP USER`, false: members are taken away.
    pub add: bool,
}

/// `ALTER ROLE name|ALL [IN DATABASE d] SET …`.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterRoleSetStmt {
    /// The role; `None` is `ALL`.
    pub role: Option<RoleSpec>,
    /// `IN DATABASE`.
    pub database: Option<String>,
    /// The setting.
    pub set: VariableSetStmt,
}

/// `DROP ROLE`.
#[derive(Clone, Debug, PartialEq)]
pub struct DropRoleStmt {
    /// The roles.
    pub roles: Vec<RoleSpec>,
    /// `IF EXISTS`.
    pub missing_ok: bool,
}

/// `GRANT` and `REVOKE` of roles.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantRoleStmt {
    /// The roles that are granted.
    pub granted: Vec<String>,
    /// To or from whom.
    pub grantees: Vec<RoleSpec>,
    /// Whether `GRANT`.
    pub is_grant: bool,
    /// `WITH ADMIN OPTION`, or `REVOKE ADMIN OPTION FOR`.
    pub admin_option: bool,
    /// `GRANTED BY`.
    pub grantor: Option<RoleSpec>,
    /// `CASCADE`.
    pub behavior: DropBehavior,
}

/// A privilege, possibly of columns.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessPrivilege {
    /// Its name, lower case; `None` is `ALL`.
    pub name: Option<String>,
    /// The columns.
    pub columns: Vec<String>,
}

/// Whose privileges are granted.
#[derive(Clone, Debug, PartialEq)]
pub enum GrantTarget {
    /// Single objects.
    Objects(Vec<ObjectName>),
    /// Relations: tables, views and sequences.
    Relations(Vec<RangeVar>),
    /// `ALL … IN SCHEMA names`
    AllInSchema(Vec<String>),
    /// Of default privileges: whatever will be created.
    Defaults,
}

/// `GRANT` and `REVOKE` of privileges.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantStmt {
    /// Whether `GRANT`.
    pub is_grant: bool,
    /// The kind of objects.
    pub object_type: ObjectType,
    /// The objects.
    pub target: GrantTarget,
    /// The privileges; all if empty.
    pub privileges: Vec<AccessPrivilege>,
    /// To or from whom.
    pub grantees: Vec<RoleSpec>,
    /// `WITH GRANT OPTION`, or `REVOKE GRANT OPTION FOR`.
    pub grant_option: bool,
    /// `GRANTED BY`.
    pub grantor: Option<RoleSpec>,
    /// `CASCADE`.
    pub behavior: DropBehavior,
}

/// `ALTER DEFAULT PRIVILEGES [FOR ROLE …] [IN SCHEMA …] GRANT|REVOKE …`.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterDefaultPrivilegesStmt {
    /// `FOR ROLE`.
    pub roles: Vec<RoleSpec>,
    /// `IN SCHEMA`.
    pub schemas: Vec<String>,
    /// What is granted; its target is [`GrantTarget::Defaults`].
    pub action: GrantStmt,
}

/// `REASSIGN OWNED BY roles TO role`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReassignOwnedStmt {
    /// The old owners.
    pub roles: Vec<RoleSpec>,
    /// The new owner.
    pub new_role: RoleSpec,
}

/// `DROP OWNED BY roles`.
#[derive(Clone, Debug, PartialEq)]
pub struct DropOwnedStmt {
    /// The owners.
    pub roles: Vec<RoleSpec>,
    /// `CASCADE`.
    pub behavior: DropBehavior,
}

/// `CREATE EXTENSION`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateExtensionStmt {
    /// The name.
    pub name: String,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `SCHEMA`.
    pub schema: Option<String>,
    /// `VERSION`.
    pub version: Option<String>,
    /// `CASCADE`.
    pub cascade: bool,
}

/// `ALTER EXTENSION name UPDATE [TO version]`.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterExtensionStmt {
    /// The name.
    pub name: String,
    /// `TO`.
    pub version: Option<String>,
}
