//! Functions, procedures, aggregates, triggers and rules.

use super::{
    Expr, FuncCall, ObjectType, ObjectWithArgs, RangeVar, Statement, TypeName, VariableSetStmt,
};

/// The mode of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterMode {
    /// Nothing written: `IN`.
    Default,
    /// `IN`
    In,
    /// `OUT`
    Out,
    /// `INOUT`
    InOut,
    /// `VARIADIC`
    Variadic,
    /// A column of `RETURNS TABLE (…)`
    Table,
}

/// A parameter of a routine.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionParameter {
    /// Its name.
    pub name: Option<String>,
    /// Its type.
    pub arg_type: TypeName,
    /// Its mode.
    pub mode: ParameterMode,
    /// `DEFAULT e` or `= e`.
    pub default: Option<Expr>,
    /// Where it begins.
    pub location: u32,
}

/// The parameters of an aggregate.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateArgs {
    /// All parameters; none is `(*)`.
    pub parameters: Vec<FunctionParameter>,
    /// How many of them are direct arguments, of `ORDER BY` aggregates.
    pub direct_count: Option<usize>,
}

/// An option of a routine, in the order written.
#[derive(Clone, Debug, PartialEq)]
pub enum FunctionOption {
    /// `AS 'definition' [, 'link symbol']`
    As {
        /// The strings: one for SQL, two for an object file.
        definition: Vec<String>,
        /// Where the first of them is in the text.
        place: Option<BodyPlace>,
    },
    /// `LANGUAGE name`
    Language(String),
    /// `TRANSFORM FOR TYPE …`
    Transform(Vec<TypeName>),
    /// `WINDOW`
    Window,
    /// `STRICT`, `RETURNS NULL ON NULL INPUT` (true); `CALLED ON NULL INPUT` (false)
    Strict(bool),
    /// `IMMUTABLE`, `STABLE`, `VOLATILE`, lower case
    Volatility(String),
    /// `SECURITY DEFINER` (true) or `INVOKER`
    SecurityDefiner(bool),
    /// `[NOT] LEAKPROOF`
    LeakProof(bool),
    /// `COST n`, as written
    Cost(String),
    /// `ROWS n`, as written
    Rows(String),
    /// `SUPPORT function`
    Support(Vec<String>),
    /// `SET …`
    Set(VariableSetStmt),
    /// `PARALLEL word`
    Parallel(String),
}

/// Where a body that is a string stands in the text around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyPlace {
    /// Its first byte, behind the quote.
    pub start: u32,
    /// Whether each quote in it is written twice.
    pub doubled: bool,
}

impl BodyPlace {
    /// Where a byte of the body is in the text around it.
    #[must_use]
    pub fn around(self, body: &str, position: u32) -> u32 {
        let before = body.as_bytes().iter().take(position as usize);
        let quotes = before.filter(|byte| self.doubled && **byte == b'\'').count();
        self.start.saturating_add(position).saturating_add(u32::try_from(quotes).unwrap_or(0))
    }
}

/// The body of a routine in SQL's own syntax.
#[derive(Clone, Debug, PartialEq)]
pub enum RoutineBody {
    /// `RETURN e`
    Return(Expr),
    /// `BEGIN ATOMIC … END`
    Atomic(Vec<Statement>),
}

/// `CREATE FUNCTION` or `CREATE PROCEDURE`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateFunctionStmt {
    /// Whether a procedure.
    pub is_procedure: bool,
    /// `OR REPLACE`.
    pub replace: bool,
    /// The name, possibly qualified.
    pub name: Vec<String>,
    /// The parameters; the columns of `RETURNS TABLE` are among them.
    pub parameters: Vec<FunctionParameter>,
    /// `RETURNS`; of `RETURNS TABLE`, as PostgreSQL derives it.
    pub return_type: Option<TypeName>,
    /// The options.
    pub options: Vec<FunctionOption>,
    /// The body, if it is no string.
    pub body: Option<RoutineBody>,
}

/// `ALTER FUNCTION` and its like, with options.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterFunctionStmt {
    /// Function, procedure or routine.
    pub object_type: ObjectType,
    /// Which.
    pub function: ObjectWithArgs,
    /// The options.
    pub options: Vec<FunctionOption>,
}

/// When a trigger fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerTiming {
    /// `BEFORE`
    Before,
    /// `AFTER`
    After,
    /// `INSTEAD OF`
    InsteadOf,
}

/// What a trigger fires on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TriggerEvent {
    /// `INSERT`
    Insert,
    /// `DELETE`
    Delete,
    /// `UPDATE [OF columns]`
    Update(Vec<String>),
    /// `TRUNCATE`
    Truncate,
}

/// `REFERENCING OLD|NEW TABLE AS name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerTransition {
    /// The name.
    pub name: String,
    /// Whether `NEW`.
    pub is_new: bool,
    /// Whether `TABLE` (else `ROW`).
    pub is_table: bool,
}

/// `CREATE TRIGGER`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTriggerStmt {
    /// `OR REPLACE`.
    pub replace: bool,
    /// `CONSTRAINT`.
    pub is_constraint: bool,
    /// The name.
    pub name: String,
    /// The table.
    pub relation: RangeVar,
    /// The function.
    pub function: Vec<String>,
    /// Its arguments, as text.
    pub args: Vec<String>,
    /// `FOR EACH ROW`.
    pub row: bool,
    /// When it fires.
    pub timing: TriggerTiming,
    /// What it fires on.
    pub events: Vec<TriggerEvent>,
    /// `WHEN (…)`.
    pub when: Option<Expr>,
    /// `REFERENCING`.
    pub transitions: Vec<TriggerTransition>,
    /// `DEFERRABLE`.
    pub deferrable: bool,
    /// `INITIALLY DEFERRED`.
    pub initially_deferred: bool,
    /// `FROM table`.
    pub constraint_relation: Option<RangeVar>,
}

/// What a rule applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleEvent {
    /// `SELECT`
    Select,
    /// `INSERT`
    Insert,
    /// `UPDATE`
    Update,
    /// `DELETE`
    Delete,
}

/// `CREATE RULE`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateRuleStmt {
    /// `OR REPLACE`.
    pub replace: bool,
    /// The name.
    pub name: String,
    /// The relation.
    pub relation: RangeVar,
    /// `ON`.
    pub event: RuleEvent,
    /// `WHERE`.
    pub where_clause: Option<Expr>,
    /// `INSTEAD`.
    pub instead: bool,
    /// What is done; empty is `NOTHING`.
    pub actions: Vec<Statement>,
}

/// `DO 'code' [LANGUAGE name]`.
#[derive(Clone, Debug, PartialEq)]
pub struct DoStmt {
    /// The code.
    pub code: String,
    /// `LANGUAGE`; `plpgsql` if `None`.
    pub language: Option<String>,
}

/// `CALL procedure(…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct CallStmt {
    /// The call.
    pub call: FuncCall,
}
