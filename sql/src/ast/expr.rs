//! Expressions, as `a_expr`, `b_expr` and `c_expr` of PostgreSQL's grammar build them.

use super::{SelectStmt, SortBy, TypeName, WindowDef};

/// Any scalar expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// `a`, `t.a`, `t.*`, `*`.
    ColumnRef(ColumnRef),
    /// `$1`.
    Param(ParamRef),
    /// A literal without a type of its own.
    Const(Const),
    /// Operators, and what behaves like one.
    AExpr(Box<AExpr>),
    /// `x [NOT] IN (a, b)`. With a subquery it is a [`SubLink`].
    In(Box<InExpr>),
    /// `x [NOT] BETWEEN [SYMMETRIC] a AND b`.
    Between(Box<BetweenExpr>),
    /// `AND`, `OR`, `NOT`.
    Bool(BoolExpr),
    /// `x IS [NOT] NULL`.
    NullTest(Box<NullTest>),
    /// `x IS [NOT] TRUE|FALSE|UNKNOWN`.
    BooleanTest(Box<BooleanTest>),
    /// `x::t`, `CAST(x AS t)`, `t 'literal'`.
    TypeCast(Box<TypeCast>),
    /// `x COLLATE c`.
    Collate(Box<CollateClause>),
    /// A function call, or SQL syntax that stands for one.
    Func(Box<FuncCall>),
    /// `name => x`, only directly among the arguments of a [`FuncCall`].
    NamedArg(Box<NamedArgExpr>),
    /// `x[1]`, `x[1:2]`, `(x).field`, `(x).*`.
    Indirection(Box<AIndirection>),
    /// `ARRAY[a, b]`, and `[a, b]` within one.
    Array(AArrayExpr),
    /// `ROW(a, b)` or `(a, b)`.
    Row(RowExpr),
    /// `CASE`.
    Case(Box<CaseExpr>),
    /// `COALESCE(a, b)`.
    Coalesce(CoalesceExpr),
    /// `GREATEST(a, b)`, `LEAST(a, b)`.
    MinMax(MinMaxExpr),
    /// `CURRENT_DATE` and the like.
    SqlValue(SqlValueFunction),
    /// A subquery within an expression.
    SubLink(Box<SubLink>),
    /// `GROUPING(a, b)`.
    Grouping(GroupingFunc),
    /// `DEFAULT`: in `VALUES` and `SET` only; the analyzer rejects it elsewhere.
    SetToDefault(SetToDefault),
    /// `CURRENT OF cursor`.
    CurrentOf(CurrentOfExpr),
}

/// A column by name, or all columns of a relation.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnRef {
    /// The dotted names before the star, if there is one. Empty only for a lone `*`.
    pub names: Vec<String>,
    /// Whether `*` or `.*` ends it.
    pub star: bool,
    /// Where it begins.
    pub location: u32,
}

/// `$n`.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamRef {
    /// Its number; 0 and numbers without a parameter are the analyzer's to reject.
    pub number: i32,
    /// Where it begins.
    pub location: u32,
}

/// A literal.
#[derive(Clone, Debug, PartialEq)]
pub struct Const {
    /// Its value.
    pub value: ConstValue,
    /// Where it begins.
    pub location: u32,
}

/// The value of a literal, as the lexer knows it.
#[derive(Clone, Debug, PartialEq)]
pub enum ConstValue {
    /// A number without a point that fits `int4`.
    Integer(i32),
    /// Any other number, as written (a folded minus sign in front): `int8` or `numeric`.
    Float(String),
    /// A quoted string, its escapes resolved: of type `unknown`.
    String(String),
    /// `B'0101'` as `b0101`, `X'1FF'` as `x1FF`.
    BitString(String),
    /// `TRUE`, `FALSE`.
    Boolean(bool),
    /// `NULL`.
    Null,
}

/// What kind of operator expression an [`AExpr`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AExprKind {
    /// `a + b`, `- a`.
    Op,
    /// `a = ANY (array)`.
    OpAny,
    /// `a = ALL (array)`.
    OpAll,
    /// `a IS DISTINCT FROM b`; the operator is `=`.
    Distinct,
    /// `a IS NOT DISTINCT FROM b`; the operator is `=`.
    NotDistinct,
    /// `NULLIF(a, b)`; the operator is `=`.
    NullIf,
    /// `a [NOT] LIKE b`; the operator is `~~` or `!~~`. With `ESCAPE`, the right side is a call of
    /// `pg_catalog.like_escape`.
    Like,
    /// `a [NOT] ILIKE b`; the operator is `~~*` or `!~~*`.
    ILike,
    /// `a [NOT] SIMILAR TO b`; the operator is `~` or `!~`, the right side a call of
    /// `pg_catalog.similar_to_escape`.
    Similar,
}

/// An operator applied to one or two operands.
///
/// Chains such as `1 + 1 + …` lean left by thousands ([`crate::parser::CHAIN_MAX`]): who walks them
/// should loop over [`AExpr::left`] or mind the stack.
#[derive(Debug, PartialEq)]
pub struct AExpr {
    /// What kind.
    pub kind: AExprKind,
    /// The operator's name, qualified if written as `OPERATOR(schema.op)`. `!=` is `<>` already.
    pub name: Vec<String>,
    /// The left operand; `None` for a prefix operator.
    pub left: Option<Expr>,
    /// The right operand.
    pub right: Expr,
    /// Where the operator is.
    pub location: u32,
}

impl Clone for AExpr {
    /// Copies from the left end of the chain up, so that its length takes no stack.
    fn clone(&self) -> Self {
        let without_left = |node: &Self, left| Self {
            kind: node.kind,
            name: node.name.clone(),
            left,
            right: node.right.clone(),
            location: node.location,
        };
        let mut above = Vec::new();
        let mut node = self;
        while let Some(Expr::AExpr(left)) = &node.left {
            above.push(node);
            node = left;
        }
        let mut copy = without_left(node, node.left.clone());
        while let Some(node) = above.pop() {
            copy = without_left(node, Some(Expr::AExpr(Box::new(copy))));
        }
        copy
    }
}

/// `left [NOT] IN (list)`.
#[derive(Clone, Debug, PartialEq)]
pub struct InExpr {
    /// What is looked for.
    pub left: Expr,
    /// Where it is looked for; at least one.
    pub list: Vec<Expr>,
    /// Whether `NOT IN`.
    pub negated: bool,
    /// Where `IN` or `NOT` is.
    pub location: u32,
}

/// `arg [NOT] BETWEEN [SYMMETRIC] low AND high`.
#[derive(Clone, Debug, PartialEq)]
pub struct BetweenExpr {
    /// What is compared.
    pub arg: Expr,
    /// The first bound.
    pub low: Expr,
    /// The second bound.
    pub high: Expr,
    /// Whether `NOT BETWEEN`.
    pub negated: bool,
    /// Whether the bounds may come in either order.
    pub symmetric: bool,
    /// Where `BETWEEN` or `NOT` is.
    pub location: u32,
}

/// Which connective a [`BoolExpr`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoolOp {
    /// All of the arguments; two or more.
    And,
    /// Any of the arguments; two or more.
    Or,
    /// Not the argument; exactly one.
    Not,
}

/// `AND` and `OR` of a flattened chain, or `NOT`.
#[derive(Clone, Debug, PartialEq)]
pub struct BoolExpr {
    /// Which.
    pub op: BoolOp,
    /// The operands, from left to right.
    pub args: Vec<Expr>,
    /// Where the first connective is.
    pub location: u32,
}

/// `arg IS [NOT] NULL`.
#[derive(Clone, Debug, PartialEq)]
pub struct NullTest {
    /// What is tested.
    pub arg: Expr,
    /// Whether `NOT NULL`.
    pub negated: bool,
    /// Where `IS` is.
    pub location: u32,
}

/// The six tests of a boolean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoolTestType {
    /// `IS TRUE`
    IsTrue,
    /// `IS NOT TRUE`
    IsNotTrue,
    /// `IS FALSE`
    IsFalse,
    /// `IS NOT FALSE`
    IsNotFalse,
    /// `IS UNKNOWN`
    IsUnknown,
    /// `IS NOT UNKNOWN`
    IsNotUnknown,
}

/// `arg IS [NOT] TRUE|FALSE|UNKNOWN`.
#[derive(Clone, Debug, PartialEq)]
pub struct BooleanTest {
    /// What is tested.
    pub arg: Expr,
    /// Against what.
    pub test: BoolTestType,
    /// Where `IS` is.
    pub location: u32,
}

/// A cast in any of its spellings.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeCast {
    /// What is cast.
    pub arg: Expr,
    /// To which type.
    pub type_name: TypeName,
    /// Where `CAST` or `::` is; for `type 'literal'`, where the type begins.
    pub location: u32,
}

/// `arg COLLATE name`.
#[derive(Clone, Debug, PartialEq)]
pub struct CollateClause {
    /// What gets the collation.
    pub arg: Expr,
    /// The collation, possibly qualified.
    pub name: Vec<String>,
    /// Where `COLLATE` is.
    pub location: u32,
}

/// How a function call was written; decides how it is printed and named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallForm {
    /// `name(args)`.
    Explicit,
    /// SQL's own syntax, such as `EXTRACT(field FROM x)` or `x AT TIME ZONE z`.
    SqlSyntax,
    /// `CALL name(args)`.
    Procedure,
}

/// A call of a function, an aggregate or a window function.
#[derive(Clone, Debug, PartialEq)]
pub struct FuncCall {
    /// The function's name, possibly qualified.
    pub name: Vec<String>,
    /// The arguments; named ones are [`Expr::NamedArg`].
    pub args: Vec<Expr>,
    /// `ORDER BY` among the arguments, or of `WITHIN GROUP`.
    pub agg_order: Vec<SortBy>,
    /// `FILTER (WHERE …)`.
    pub agg_filter: Option<Expr>,
    /// `OVER …`.
    pub over: Option<WindowDef>,
    /// Whether [`FuncCall::agg_order`] came from `WITHIN GROUP`.
    pub agg_within_group: bool,
    /// Whether the argument is `*`.
    pub agg_star: bool,
    /// Whether `DISTINCT` precedes the arguments.
    pub agg_distinct: bool,
    /// Whether `VARIADIC` marks the last argument.
    pub func_variadic: bool,
    /// How it was written.
    pub form: CallForm,
    /// Where it begins; for `AT TIME ZONE` and other infix syntax, where the first word of it is.
    pub location: u32,
}

/// `name => arg` or `name := arg`.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedArgExpr {
    /// The parameter's name.
    pub name: String,
    /// Its value.
    pub arg: Expr,
    /// Where the name begins.
    pub location: u32,
}

/// One step into a value.
#[derive(Clone, Debug, PartialEq)]
pub enum IndirectionElement {
    /// `.field`
    Field(String),
    /// `.*`
    Star,
    /// `[index]`
    Index(Expr),
    /// `[lower:upper]`
    Slice {
        /// The first subscript, if written.
        lower: Option<Expr>,
        /// The last subscript, if written.
        upper: Option<Expr>,
    },
}

/// Subscripts and fields of a value. Has no location of its own, as in PostgreSQL: it is its argument's.
#[derive(Clone, Debug, PartialEq)]
pub struct AIndirection {
    /// The value.
    pub arg: Expr,
    /// The steps, from left to right; at least one.
    pub indirection: Vec<IndirectionElement>,
}

/// `ARRAY[…]`.
#[derive(Clone, Debug, PartialEq)]
pub struct AArrayExpr {
    /// The elements; inner brackets are [`Expr::Array`].
    pub elements: Vec<Expr>,
    /// Where `ARRAY`, or the inner bracket, is.
    pub location: u32,
}

/// A row constructor.
#[derive(Clone, Debug, PartialEq)]
pub struct RowExpr {
    /// The fields.
    pub args: Vec<Expr>,
    /// Whether written without the word `ROW`.
    pub implicit: bool,
    /// Where it begins.
    pub location: u32,
}

/// `CASE [arg] WHEN … THEN … [ELSE …] END`.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseExpr {
    /// What is compared with each `WHEN`, if anything.
    pub arg: Option<Expr>,
    /// The branches, at least one.
    pub whens: Vec<CaseWhen>,
    /// `ELSE`.
    pub default: Option<Expr>,
    /// Where `CASE` is.
    pub location: u32,
}

/// One branch of a `CASE`.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseWhen {
    /// The condition, or the value to compare with.
    pub condition: Expr,
    /// The result.
    pub result: Expr,
    /// Where `WHEN` is.
    pub location: u32,
}

/// `COALESCE(…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct CoalesceExpr {
    /// The arguments, at least one.
    pub args: Vec<Expr>,
    /// Where it begins.
    pub location: u32,
}

/// `GREATEST(…)` or `LEAST(…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct MinMaxExpr {
    /// Whether `LEAST`.
    pub least: bool,
    /// The arguments, at least one.
    pub args: Vec<Expr>,
    /// Where it begins.
    pub location: u32,
}

/// The functions that SQL calls without parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlValueOp {
    /// `CURRENT_DATE`
    CurrentDate,
    /// `CURRENT_TIME`, with a precision or without
    CurrentTime,
    /// `CURRENT_TIMESTAMP`, with a precision or without
    CurrentTimestamp,
    /// `LOCALTIME`, with a precision or without
    LocalTime,
    /// `LOCALTIMESTAMP`, with a precision or without
    LocalTimestamp,
    /// `CURRENT_ROLE`
    CurrentRole,
    /// `CURRENT_USER`
    CurrentUser,
    /// `USER`
    User,
    /// `SESSION_USER`
    SessionUser,
    /// `CURRENT_CATALOG`
    CurrentCatalog,
    /// `CURRENT_SCHEMA`
    CurrentSchema,
}

/// A call of one of [`SqlValueOp`].
#[derive(Clone, Debug, PartialEq)]
pub struct SqlValueFunction {
    /// Which.
    pub op: SqlValueOp,
    /// The precision, -1 if none is written.
    pub typmod: i32,
    /// Where it begins.
    pub location: u32,
}

/// How a subquery is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubLinkKind {
    /// `EXISTS (…)`
    Exists,
    /// `x op ALL (…)`
    All,
    /// `x op ANY (…)`, `x IN (…)`
    Any,
    /// `(…)` as a value
    Expr,
    /// `ARRAY(…)`
    Array,
}

/// A subquery within an expression. `x NOT IN (…)` is `NOT` of an `Any`.
#[derive(Clone, Debug, PartialEq)]
pub struct SubLink {
    /// How it is used.
    pub kind: SubLinkKind,
    /// The left operand of `ALL` and `ANY`.
    pub test: Option<Expr>,
    /// The operator of `ALL` and `ANY`; empty for `IN`, which means `=`.
    pub operator_name: Vec<String>,
    /// The subquery.
    pub subselect: Box<SelectStmt>,
    /// Where the operator or the keyword is, or the parenthesis.
    pub location: u32,
}

/// `GROUPING(…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupingFunc {
    /// The arguments, at least one.
    pub args: Vec<Expr>,
    /// Where it begins.
    pub location: u32,
}

/// `DEFAULT` in place of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct SetToDefault {
    /// Where it is.
    pub location: u32,
}

/// `WHERE CURRENT OF cursor`.
#[derive(Clone, Debug, PartialEq)]
pub struct CurrentOfExpr {
    /// The cursor's name.
    pub cursor_name: String,
    /// Where `CURRENT` is.
    pub location: u32,
}
