//! How statements name relations, types, routines, roles and other objects; and the statements
//! that take an object of any kind: `DROP`, `RENAME`, `SET SCHEMA`, `OWNER TO`, `COMMENT ON`.

use super::{Alias, Expr, FunctionParameter};

/// How long a relation lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelPersistence {
    /// For good.
    Permanent,
    /// `UNLOGGED`
    Unlogged,
    /// `TEMPORARY`
    Temporary,
}

/// A relation by name.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeVar {
    /// The database, if written.
    pub catalog: Option<String>,
    /// The schema, if written.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
    /// Whether descendants are meant too: false for `ONLY`.
    pub inherits: bool,
    /// As written where a relation is created.
    pub persistence: RelPersistence,
    /// Its alias.
    pub alias: Option<Alias>,
    /// Where the name begins.
    pub location: u32,
}

/// A type by name, with everything that may stand around it.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeName {
    /// The name, possibly qualified. SQL's own spellings are `pg_catalog.int4` and so on already.
    pub names: Vec<String>,
    /// `SETOF`.
    pub setof: bool,
    /// `%TYPE`: then the name is that of a column.
    pub pct_type: bool,
    /// The modifiers. Those of `interval` are [`interval_mask`] and the precision, as in PostgreSQL.
    pub typmods: Vec<Expr>,
    /// One item a dimension: its length, -1 if none is written. No item: no array.
    pub array_bounds: Vec<i32>,
    /// Where it begins.
    pub location: u32,
}

/// The masks by which `interval`'s first modifier names its fields (PostgreSQL's `datetime.h`).
pub mod interval_mask {
    /// `YEAR`
    pub const YEAR: i32 = 1 << 2;
    /// `MONTH`
    pub const MONTH: i32 = 1 << 1;
    /// `DAY`
    pub const DAY: i32 = 1 << 3;
    /// `HOUR`
    pub const HOUR: i32 = 1 << 10;
    /// `MINUTE`
    pub const MINUTE: i32 = 1 << 11;
    /// `SECOND`
    pub const SECOND: i32 = 1 << 12;
    /// All fields.
    pub const FULL_RANGE: i32 = 0x7FFF;
}

/// A role where a statement wants one.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleSpec {
    /// Which.
    pub kind: RoleSpecKind,
    /// Where it is.
    pub location: u32,
}

/// The ways to name a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleSpecKind {
    /// By name.
    Name(String),
    /// `CURRENT_ROLE`
    CurrentRole,
    /// `CURRENT_USER`
    CurrentUser,
    /// `SESSION_USER`
    SessionUser,
    /// `PUBLIC`
    Public,
}

/// `CASCADE` or `RESTRICT`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DropBehavior {
    /// `RESTRICT`, or nothing written.
    #[default]
    Restrict,
    /// `CASCADE`
    Cascade,
}

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectType {
    /// An access method.
    AccessMethod,
    /// An aggregate function.
    Aggregate,
    /// An attribute of a composite type.
    Attribute,
    /// A cast.
    Cast,
    /// A column.
    Column,
    /// A collation.
    Collation,
    /// A conversion.
    Conversion,
    /// A database.
    Database,
    /// A domain.
    Domain,
    /// A constraint of a domain.
    DomainConstraint,
    /// An event trigger.
    EventTrigger,
    /// An extension.
    Extension,
    /// A foreign-data wrapper.
    ForeignDataWrapper,
    /// A foreign server.
    ForeignServer,
    /// A foreign table.
    ForeignTable,
    /// A function.
    Function,
    /// An index.
    Index,
    /// A procedural language.
    Language,
    /// A large object.
    LargeObject,
    /// A materialized view.
    MatView,
    /// An operator class.
    OperatorClass,
    /// An operator.
    Operator,
    /// An operator family.
    OperatorFamily,
    /// A row security policy.
    Policy,
    /// A procedure.
    Procedure,
    /// A publication.
    Publication,
    /// A role.
    Role,
    /// A function, aggregate or procedure.
    Routine,
    /// A rule.
    Rule,
    /// A schema.
    Schema,
    /// A sequence.
    Sequence,
    /// An extended statistics object.
    Statistics,
    /// A subscription.
    Subscription,
    /// A constraint of a table.
    TableConstraint,
    /// A table.
    Table,
    /// A tablespace.
    Tablespace,
    /// A transform.
    Transform,
    /// A trigger.
    Trigger,
    /// A text search configuration.
    TextSearchConfiguration,
    /// A text search dictionary.
    TextSearchDictionary,
    /// A text search parser.
    TextSearchParser,
    /// A text search template.
    TextSearchTemplate,
    /// A type.
    Type,
    /// A view.
    View,
}

impl ObjectType {
    /// The words that name the kind in a statement, such as `MATERIALIZED VIEW`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::AccessMethod => "ACCESS METHOD",
            Self::Aggregate => "AGGREGATE",
            Self::Attribute => "ATTRIBUTE",
            Self::Cast => "CAST",
            Self::Column => "COLUMN",
            Self::Collation => "COLLATION",
            Self::Conversion => "CONVERSION",
            Self::Database => "DATABASE",
            Self::Domain => "DOMAIN",
            Self::DomainConstraint | Self::TableConstraint => "CONSTRAINT",
            Self::EventTrigger => "EVENT TRIGGER",
            Self::Extension => "EXTENSION",
            Self::ForeignDataWrapper => "FOREIGN DATA WRAPPER",
            Self::ForeignServer => "SERVER",
            Self::ForeignTable => "FOREIGN TABLE",
            Self::Function => "FUNCTION",
            Self::Index => "INDEX",
            Self::Language => "LANGUAGE",
            Self::LargeObject => "LARGE OBJECT",
            Self::MatView => "MATERIALIZED VIEW",
            Self::OperatorClass => "OPERATOR CLASS",
            Self::Operator => "OPERATOR",
            Self::OperatorFamily => "OPERATOR FAMILY",
            Self::Policy => "POLICY",
            Self::Procedure => "PROCEDURE",
            Self::Publication => "PUBLICATION",
            Self::Role => "ROLE",
            Self::Routine => "ROUTINE",
            Self::Rule => "RULE",
            Self::Schema => "SCHEMA",
            Self::Sequence => "SEQUENCE",
            Self::Statistics => "STATISTICS",
            Self::Subscription => "SUBSCRIPTION",
            Self::Table => "TABLE",
            Self::Tablespace => "TABLESPACE",
            Self::Transform => "TRANSFORM",
            Self::Trigger => "TRIGGER",
            Self::TextSearchConfiguration => "TEXT SEARCH CONFIGURATION",
            Self::TextSearchDictionary => "TEXT SEARCH DICTIONARY",
            Self::TextSearchParser => "TEXT SEARCH PARSER",
            Self::TextSearchTemplate => "TEXT SEARCH TEMPLATE",
            Self::Type => "TYPE",
            Self::View => "VIEW",
        }
    }
}

/// A routine by name and, mostly, argument types.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectWithArgs {
    /// The name, possibly qualified.
    pub name: Vec<String>,
    /// The input types; `None` if no list is written. An operator's absent side is `None` inside.
    pub args: Option<Vec<Option<TypeName>>>,
    /// All parameters with modes and names, for functions and procedures.
    pub parameters: Vec<FunctionParameter>,
}

/// An object of some [`ObjectType`].
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectName {
    /// A possibly qualified name. Of a column, constraint, policy, rule or trigger *of a relation*:
    /// the relation's name followed by the object's.
    Name(Vec<String>),
    /// A type or domain.
    Type(TypeName),
    /// A constraint of a domain: the domain, and the constraint's name.
    DomainConstraint(TypeName, String),
    /// A function, procedure, routine, aggregate or operator.
    WithArgs(ObjectWithArgs),
    /// A cast: source and target.
    Cast(TypeName, TypeName),
    /// An operator class or family: its name, and the access method.
    OperatorClass(Vec<String>, String),
    /// A transform: the type, and the language.
    Transform(TypeName, String),
    /// A large object: its OID, as written.
    LargeObject(String),
}

/// `DROP kind [IF EXISTS] names [CASCADE]`.
#[derive(Clone, Debug, PartialEq)]
pub struct DropStmt {
    /// The kind.
    pub object_type: ObjectType,
    /// The objects, at least one.
    pub objects: Vec<ObjectName>,
    /// `IF EXISTS`.
    pub missing_ok: bool,
    /// `CASCADE`.
    pub behavior: DropBehavior,
    /// `DROP INDEX CONCURRENTLY`.
    pub concurrent: bool,
}

/// `ALTER kind name RENAME [part] TO new`.
#[derive(Clone, Debug, PartialEq)]
pub struct RenameStmt {
    /// What is renamed.
    pub rename_type: ObjectType,
    /// The relation that is renamed, or of which a part is: its kind as written in the statement.
    pub relation_type: Option<ObjectType>,
    /// The relation, if it is one or belongs to one.
    pub relation: Option<RangeVar>,
    /// The object, if it is not a relation.
    pub object: Option<ObjectName>,
    /// The part: column, constraint, attribute, trigger, rule, policy.
    pub subname: Option<String>,
    /// The new name.
    pub new_name: String,
    /// `CASCADE`, of attributes.
    pub behavior: DropBehavior,
    /// `IF EXISTS`.
    pub missing_ok: bool,
}

/// `ALTER kind name SET SCHEMA new`.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterObjectSchemaStmt {
    /// The kind.
    pub object_type: ObjectType,
    /// The relation, if it is one.
    pub relation: Option<RangeVar>,
    /// The object, if it is not a relation.
    pub object: Option<ObjectName>,
    /// The schema.
    pub new_schema: String,
    /// `IF EXISTS`.
    pub missing_ok: bool,
}

/// `ALTER kind name OWNER TO role`.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterOwnerStmt {
    /// The kind; never a relation.
    pub object_type: ObjectType,
    /// The object.
    pub object: ObjectName,
    /// The role.
    pub new_owner: RoleSpec,
}

/// `COMMENT ON kind name IS text`.
#[derive(Clone, Debug, PartialEq)]
pub struct CommentStmt {
    /// The kind.
    pub object_type: ObjectType,
    /// The object.
    pub object: ObjectName,
    /// The text; `None` removes it.
    pub comment: Option<String>,
}
