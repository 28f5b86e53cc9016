//! Operators and their precedence: PostgreSQL's `a_expr` and `b_expr`.
//!
//! ```text
//! OR < AND < NOT < IS < comparison < BETWEEN IN LIKE < other operators < + - < * / % < ^ < AT TIME ZONE
//!    < COLLATE < unary sign < ::
//! ```
//!
//! [`TokenStream::climb`] extends a left operand as long as the next operator binds more tightly than
//! the one that waits on its left ([`Binding`] `floor`). Of two equal ones, `NOT` takes the right,
//! most take the left, and comparisons, `IS`, and the `LIKE` family do not associate: then the second
//! is a syntax error. A complete postfix construct such as `IS NULL` waits for nothing, which is why
//! `a IS NULL IS NULL` is legal and `a < b < c` is not.

use aegis_types::{SqlError, SqlResult};

use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::{CHAIN_MAX, NODE_CHAIN_MAX, TokenStream, too_deep};
use crate::ast::{
    AExpr, AExprKind, BetweenExpr, BoolExpr, BoolOp, BoolTestType, BooleanTest, CallForm,
    CollateClause, Const, ConstValue, Expr, FuncCall, InExpr, NullTest, SubLink, SubLinkKind,
    TypeCast,
};

/// How tightly an operator binds, loosest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Binding {
    /// Nothing waits.
    None,
    Or,
    And,
    Not,
    Is,
    Comparison,
    Like,
    Operator,
    Sum,
    Product,
    Power,
    At,
    Collate,
    Sign,
    Cast,
}

impl Binding {
    fn is_nonassociative(self) -> bool {
        matches!(self, Self::Is | Self::Comparison | Self::Like)
    }
}

/// Which of PostgreSQL's two grammars of expressions applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grammar {
    /// `a_expr`: everything.
    Any,
    /// `b_expr`: without `AND`, `OR`, `NOT`, `LIKE`, `IN`, `BETWEEN`, `IS NULL`, `COLLATE`, and
    /// `AT TIME ZONE`, for places where those words mean something else.
    Restricted,
    /// `a_expr` as an output column, behind which a bare label may stand.
    Target,
    /// `a_expr` in `SUBSTRING`, behind which `SIMILAR` may stand without `TO`.
    Substring,
}

impl TokenStream<'_> {
    /// An expression (`a_expr`).
    pub fn expr(&mut self) -> SqlResult<Expr> {
        self.operand(Binding::None, Grammar::Any)
    }

    /// An expression whose syntax collides with nothing (`b_expr`).
    pub(super) fn b_expr(&mut self) -> SqlResult<Expr> {
        self.operand(Binding::None, Grammar::Restricted)
    }

    /// An expression as an output column.
    pub(super) fn target_expr(&mut self) -> SqlResult<Expr> {
        self.operand(Binding::None, Grammar::Target)
    }

    /// An expression as the first argument of `SUBSTRING`.
    pub(super) fn substring_expr(&mut self) -> SqlResult<Expr> {
        self.operand(Binding::None, Grammar::Substring)
    }

    /// A list of expressions.
    pub(super) fn expr_list(&mut self) -> SqlResult<Vec<Expr>> {
        self.comma_list(Self::expr)
    }

    /// An expression behind an operator that binds as `floor`.
    fn operand(&mut self, floor: Binding, grammar: Grammar) -> SqlResult<Expr> {
        self.nested(|stream| {
            let left = stream.prefix(grammar)?;
            stream.climb(left, floor, grammar)
        })
    }

    /// A prefix operator with its operand, or a primary expression.
    fn prefix(&mut self, grammar: Grammar) -> SqlResult<Expr> {
        let location = self.location();
        match self.peek() {
            TokenKind::Keyword(Kw::Not) if grammar != Grammar::Restricted => {
                self.skip();
                let arg = self.inner_operand(Binding::Not, grammar)?;
                Ok(Expr::Bool(BoolExpr { op: BoolOp::Not, args: vec![arg], location }))
            }
            TokenKind::Char('-') => {
                self.skip();
                let arg = self.inner_operand(Binding::Sign, grammar)?;
                Ok(negate(arg, location))
            }
            TokenKind::Char('+') => {
                self.skip();
                let arg = self.inner_operand(Binding::Sign, grammar)?;
                Ok(operator(AExprKind::Op, vec!["+".to_owned()], None, arg, location))
            }
            TokenKind::Op(_) => self.prefix_operator(grammar),
            TokenKind::Keyword(Kw::Operator) if self.char_ahead(1, '(') => {
                self.prefix_operator(grammar)
            }
            TokenKind::Keyword(Kw::Unique) if grammar != Grammar::Restricted => {
                self.skip();
                if self.eat(Kw::Nulls) {
                    self.eat(Kw::Not);
                    self.expect(Kw::Distinct)?;
                }
                self.select_with_parens()?;
                Err(SqlError::new(
                    aegis_types::SqlState::FeatureNotSupported,
                    "UNIQUE predicate is not yet implemented",
                )
                .at(location))
            }
            TokenKind::Keyword(Kw::Default) if grammar != Grammar::Restricted => {
                self.skip();
                Ok(Expr::SetToDefault(crate::ast::SetToDefault { location }))
            }
            _ => self.primary(),
        }
    }

    fn prefix_operator(&mut self, grammar: Grammar) -> SqlResult<Expr> {
        let location = self.location();
        let name = self.qualified_operator()?;
        let arg = self.inner_operand(Binding::Operator, grammar)?;
        Ok(operator(AExprKind::Op, name, None, arg, location))
    }

    /// An operand within an output column is no output column: its words are no labels.
    fn inner_operand(&mut self, floor: Binding, grammar: Grammar) -> SqlResult<Expr> {
        let grammar = match grammar {
            Grammar::Restricted => Grammar::Restricted,
            _ => Grammar::Any,
        };
        self.operand(floor, grammar)
    }

    /// Extends `left` by all operators that bind more tightly than `floor`.
    pub(super) fn climb(
        &mut self,
        mut left: Expr,
        floor: Binding,
        grammar: Grammar,
    ) -> SqlResult<Expr> {
        let mut length = 0;
        let mut others = 0;
        // Of equal operators the waiting one goes first; at the outset of a chain none has been seen.
        while let Some(binding) = self.infix_binding(grammar) {
            if binding < floor {
                break;
            }
            if binding == floor {
                if floor.is_nonassociative() {
                    return Err(self.syntax_error());
                }
                break;
            }
            let ends = match grammar {
                Grammar::Target => self.is_bare_label_here(),
                Grammar::Substring => self.at(Kw::Similar) && !self.at_ahead(1, Kw::To),
                _ => false,
            };
            if ends {
                break;
            }
            left = self.infix(left, binding, grammar)?;
            length += 1;
            if !matches!(left, Expr::AExpr(_)) {
                others += 1;
            }
            if length > CHAIN_MAX || others > NODE_CHAIN_MAX {
                return Err(too_deep());
            }
        }
        Ok(left)
    }

    /// Whether an operator's word is a label: what follows can only follow an output column.
    fn is_bare_label_here(&self) -> bool {
        self.at_bare_label()
            && match self.peek_ahead(1) {
                TokenKind::End | TokenKind::Char(',' | ';' | ')') => true,
                TokenKind::Keyword(keyword) => matches!(
                    keyword,
                    Kw::From
                        | Kw::Into
                        | Kw::Where
                        | Kw::Group
                        | Kw::Having
                        | Kw::Window
                        | Kw::Union
                        | Kw::Intersect
                        | Kw::Except
                        | Kw::Order
                        | Kw::Limit
                        | Kw::Offset
                        | Kw::Fetch
                        | Kw::For
                        | Kw::On
                        | Kw::Returning
                        | Kw::With
                ),
                _ => false,
            }
    }

    /// How tightly the current token binds as an infix or postfix operator, if it is one.
    fn infix_binding(&self, grammar: Grammar) -> Option<Binding> {
        let binding = match self.peek() {
            TokenKind::Char('+' | '-') => Binding::Sum,
            TokenKind::Char('*' | '/' | '%') => Binding::Product,
            TokenKind::Char('^') => Binding::Power,
            TokenKind::Char('<' | '>' | '=')
            | TokenKind::LessEquals
            | TokenKind::GreaterEquals
            | TokenKind::NotEquals => Binding::Comparison,
            TokenKind::Op(_) | TokenKind::Keyword(Kw::Operator) => Binding::Operator,
            TokenKind::TypeCast => Binding::Cast,
            TokenKind::Keyword(Kw::Is) => Binding::Is,
            TokenKind::Keyword(keyword) if grammar != Grammar::Restricted => match keyword {
                Kw::Or => Binding::Or,
                Kw::And => Binding::And,
                Kw::Isnull | Kw::Notnull => Binding::Is,
                Kw::Between | Kw::In | Kw::Like | Kw::Ilike | Kw::Similar => Binding::Like,
                Kw::Not if self.not_leads_infix(1) => Binding::Like,
                // A lone NOT continues nothing, but may be a bare label.
                Kw::At => Binding::At,
                Kw::Collate => Binding::Collate,
                _ => return None,
            },
            _ => return None,
        };
        Some(binding)
    }

    /// Whether the token so many places ahead makes a `NOT` before it an infix operator.
    fn not_leads_infix(&self, ahead: usize) -> bool {
        matches!(
            self.keyword_ahead(ahead),
            Some(Kw::Between | Kw::In | Kw::Like | Kw::Ilike | Kw::Similar)
        )
    }

    /// Consumes the operator at hand and what it needs to its right.
    fn infix(&mut self, left: Expr, binding: Binding, grammar: Grammar) -> SqlResult<Expr> {
        let location = self.location();
        match binding {
            Binding::Or => self.connective(left, BoolOp::Or, grammar),
            Binding::And => self.connective(left, BoolOp::And, grammar),
            Binding::Is => self.is_test(left, grammar),
            Binding::Like => self.like_family(left, grammar),
            Binding::At => {
                self.skip();
                self.expect_sequence(&[Kw::Time, Kw::Zone])?;
                let zone = self.inner_operand(Binding::At, grammar)?;
                Ok(sql_call("timezone", vec![zone, left], location))
            }
            Binding::Collate => {
                self.skip();
                let name = self.any_name()?;
                Ok(Expr::Collate(Box::new(CollateClause { arg: left, name, location })))
            }
            Binding::Cast => {
                self.skip();
                let type_name = self.type_name()?;
                Ok(Expr::TypeCast(Box::new(TypeCast { arg: left, type_name, location })))
            }
            _ => {
                let name = self.any_operator()?;
                if grammar != Grammar::Restricted && self.at_any(&[Kw::Any, Kw::Some, Kw::All]) {
                    return self.quantified(left, name, location);
                }
                let right = self.inner_operand(binding, grammar)?;
                Ok(operator(AExprKind::Op, name, Some(left), right, location))
            }
        }
    }

    /// `AND` or `OR`, flattened as PostgreSQL flattens what leans left.
    fn connective(&mut self, left: Expr, op: BoolOp, grammar: Grammar) -> SqlResult<Expr> {
        let (keyword, binding) = match op {
            BoolOp::And => (Kw::And, Binding::And),
            _ => (Kw::Or, Binding::Or),
        };
        let location = self.location();
        let mut args = vec![left];
        while self.at(keyword) && !(grammar == Grammar::Target && self.is_bare_label_here()) {
            self.skip();
            let right = self.inner_operand(binding, grammar)?;
            args.push(right);
        }
        Ok(Expr::Bool(flatten(op, args, location)))
    }

    /// What follows an `IS`, `ISNULL` or `NOTNULL`.
    fn is_test(&mut self, arg: Expr, grammar: Grammar) -> SqlResult<Expr> {
        let location = self.location();
        let null_test =
            |arg, negated| Expr::NullTest(Box::new(NullTest { arg, negated, location }));
        if self.eat(Kw::Isnull) {
            return Ok(null_test(arg, false));
        }
        if self.eat(Kw::Notnull) {
            return Ok(null_test(arg, true));
        }
        self.expect(Kw::Is)?;
        let negated = self.eat(Kw::Not);
        if self.eat(Kw::Distinct) {
            self.expect(Kw::From)?;
            let right = self.inner_operand(Binding::Is, grammar)?;
            let kind = if negated { AExprKind::NotDistinct } else { AExprKind::Distinct };
            return Ok(operator(kind, vec!["=".to_owned()], Some(arg), right, location));
        }
        if self.at(Kw::Document) {
            return Err(SqlError::unsupported("IS DOCUMENT").at(self.location()));
        }
        if grammar == Grammar::Restricted {
            return Err(self.syntax_error());
        }
        let boolean_test =
            |arg, test| Ok(Expr::BooleanTest(Box::new(BooleanTest { arg, test, location })));
        match self.keyword() {
            Some(Kw::Null) => {
                self.skip();
                Ok(null_test(arg, negated))
            }
            Some(Kw::True) => {
                self.skip();
                boolean_test(
                    arg,
                    if negated { BoolTestType::IsNotTrue } else { BoolTestType::IsTrue },
                )
            }
            Some(Kw::False) => {
                self.skip();
                boolean_test(
                    arg,
                    if negated { BoolTestType::IsNotFalse } else { BoolTestType::IsFalse },
                )
            }
            Some(Kw::Unknown) => {
                self.skip();
                boolean_test(
                    arg,
                    if negated { BoolTestType::IsNotUnknown } else { BoolTestType::IsUnknown },
                )
            }
            Some(Kw::Nfc | Kw::Nfd | Kw::Nfkc | Kw::Nfkd | Kw::Normalized) => {
                self.is_normalized(arg, negated, location)
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// `[NFC|NFD|NFKC|NFKD] NORMALIZED`.
    fn is_normalized(&mut self, arg: Expr, negated: bool, location: u32) -> SqlResult<Expr> {
        let mut args = vec![arg];
        if !self.at(Kw::Normalized) {
            let form_location = self.location();
            let form = self.take_name().to_ascii_uppercase();
            args.push(string_const(form, form_location));
        }
        self.expect(Kw::Normalized)?;
        let call = sql_call("is_normalized", args, location);
        Ok(if negated {
            Expr::Bool(BoolExpr { op: BoolOp::Not, args: vec![call], location })
        } else {
            call
        })
    }

    /// `[NOT] LIKE`, `ILIKE`, `SIMILAR TO`, `BETWEEN`, `IN`.
    fn like_family(&mut self, left: Expr, grammar: Grammar) -> SqlResult<Expr> {
        let location = self.location();
        let negated = self.eat(Kw::Not);
        match self.keyword() {
            Some(Kw::Like) => {
                self.skip();
                let name = if negated { "!~~" } else { "~~" };
                self.like(left, AExprKind::Like, name, location, grammar)
            }
            Some(Kw::Ilike) => {
                self.skip();
                let name = if negated { "!~~*" } else { "~~*" };
                self.like(left, AExprKind::ILike, name, location, grammar)
            }
            Some(Kw::Similar) => {
                self.skip();
                self.expect(Kw::To)?;
                let mut args = vec![self.inner_operand(Binding::Like, grammar)?];
                if self.eat(Kw::Escape) {
                    args.push(self.inner_operand(Binding::Like, grammar)?);
                }
                // The call lies where SIMILAR or NOT does.
                let pattern = explicit_call("similar_to_escape", args, location);
                let name = if negated { "!~" } else { "~" };
                Ok(operator(
                    AExprKind::Similar,
                    vec![name.to_owned()],
                    Some(left),
                    pattern,
                    location,
                ))
            }
            Some(Kw::Between) => {
                self.skip();
                let symmetric = self.eat(Kw::Symmetric);
                if !symmetric {
                    self.eat(Kw::Asymmetric);
                }
                let low = self.b_expr()?;
                self.expect(Kw::And)?;
                let high = self.inner_operand(Binding::Like, grammar)?;
                Ok(Expr::Between(Box::new(BetweenExpr {
                    arg: left,
                    low,
                    high,
                    negated,
                    symmetric,
                    location,
                })))
            }
            _ => {
                self.expect(Kw::In)?;
                self.in_expr(left, negated, location)
            }
        }
    }

    fn like(
        &mut self,
        left: Expr,
        kind: AExprKind,
        name: &str,
        location: u32,
        grammar: Grammar,
    ) -> SqlResult<Expr> {
        let name = vec![name.to_owned()];
        if self.at_any(&[Kw::Any, Kw::Some, Kw::All]) {
            return self.quantified(left, name, location);
        }
        let mut pattern = self.inner_operand(Binding::Like, grammar)?;
        if self.eat(Kw::Escape) {
            let escape = self.inner_operand(Binding::Like, grammar)?;
            pattern = explicit_call("like_escape", vec![pattern, escape], location);
        }
        Ok(operator(kind, name, Some(left), pattern, location))
    }

    /// What stands in the parentheses of `IN`.
    fn in_expr(&mut self, left: Expr, negated: bool, location: u32) -> SqlResult<Expr> {
        if !self.at_char('(') {
            return Err(self.syntax_error());
        }
        let items = self.nested(Self::select_or_list)?;
        match items {
            SelectOrList::Select(subselect) => {
                let link = Expr::SubLink(Box::new(SubLink {
                    kind: SubLinkKind::Any,
                    test: Some(left),
                    operator_name: Vec::new(),
                    subselect,
                    location,
                }));
                Ok(if negated {
                    Expr::Bool(BoolExpr { op: BoolOp::Not, args: vec![link], location })
                } else {
                    link
                })
            }
            SelectOrList::List(list) => {
                Ok(Expr::In(Box::new(InExpr { left, list, negated, location })))
            }
        }
    }

    /// `ANY|SOME|ALL (subquery or array)` behind an operator.
    fn quantified(&mut self, left: Expr, name: Vec<String>, location: u32) -> SqlResult<Expr> {
        let all = self.at(Kw::All);
        self.skip();
        if !self.at_char('(') {
            return Err(self.syntax_error());
        }
        let content = self.nested(Self::select_or_expr)?;
        Ok(match content {
            SelectOrList::Select(subselect) => Expr::SubLink(Box::new(SubLink {
                kind: if all { SubLinkKind::All } else { SubLinkKind::Any },
                test: Some(left),
                operator_name: name,
                subselect,
                location,
            })),
            SelectOrList::List(mut list) => {
                let right = list.pop().ok_or_else(|| self.syntax_error())?;
                let kind = if all { AExprKind::OpAll } else { AExprKind::OpAny };
                operator(kind, name, Some(left), right, location)
            }
        })
    }

    /// An operator, or `OPERATOR(schema.op)` (`qual_all_Op`).
    pub(super) fn qualified_all_operator(&mut self) -> SqlResult<Vec<String>> {
        self.any_operator()
    }

    /// `OPERATOR(schema.op)`, or an operator without a kind of its own (`qual_Op`).
    pub(super) fn qualified_operator(&mut self) -> SqlResult<Vec<String>> {
        match self.peek() {
            TokenKind::Op(_) | TokenKind::Keyword(Kw::Operator) => self.any_operator(),
            _ => Err(self.syntax_error()),
        }
    }

    /// Any operator, or `OPERATOR(schema.op)`.
    fn any_operator(&mut self) -> SqlResult<Vec<String>> {
        if self.eat(Kw::Operator) {
            self.expect_char('(')?;
            let name = self.dotted_operator()?;
            self.expect_char(')')?;
            return Ok(name);
        }
        Ok(vec![self.all_operator()?])
    }

    /// An operator behind any number of `schema.` (`any_operator`).
    pub(super) fn dotted_operator(&mut self) -> SqlResult<Vec<String>> {
        let mut names = Vec::new();
        while self.col_id_ahead(0) {
            names.push(self.col_id()?);
            self.expect_char('.')?;
        }
        names.push(self.all_operator()?);
        Ok(names)
    }

    /// An operator's own name (`all_Op`).
    pub(super) fn all_operator(&mut self) -> SqlResult<String> {
        let name = match self.peek() {
            TokenKind::Op(name) => name.to_string(),
            TokenKind::LessEquals => "<=".to_owned(),
            TokenKind::GreaterEquals => ">=".to_owned(),
            TokenKind::NotEquals => "<>".to_owned(),
            TokenKind::Char(sign @ ('+' | '-' | '*' | '/' | '%' | '^' | '<' | '>' | '=')) => {
                sign.to_string()
            }
            _ => return Err(self.syntax_error()),
        };
        self.skip();
        Ok(name)
    }
}

/// What a pair of parentheses holds.
pub(super) enum SelectOrList {
    /// A query.
    Select(Box<crate::ast::SelectStmt>),
    /// One or more expressions.
    List(Vec<Expr>),
}

/// An [`AExpr`].
pub(super) fn operator(
    kind: AExprKind,
    name: Vec<String>,
    left: Option<Expr>,
    right: Expr,
    location: u32,
) -> Expr {
    Expr::AExpr(Box::new(AExpr { kind, name, left, right, location }))
}

/// A minus sign: folded into a number, as `doNegate` does, else an operator.
fn negate(arg: Expr, location: u32) -> Expr {
    match arg {
        Expr::Const(Const { value: ConstValue::Integer(number), .. }) => Expr::Const(Const {
            // The lexer gives no negative numbers, so that no number lacks its opposite.
            value: ConstValue::Integer(-number),
            location,
        }),
        Expr::Const(Const { value: ConstValue::Float(text), .. }) => {
            Expr::Const(Const { value: ConstValue::Float(negate_text(&text)), location })
        }
        arg => operator(AExprKind::Op, vec!["-".to_owned()], None, arg, location),
    }
}

/// A number's text with its sign turned.
pub(super) fn negate_text(text: &str) -> String {
    match text.strip_prefix('-') {
        Some(positive) => positive.to_owned(),
        None => format!("-{text}"),
    }
}

/// The operands of a connective in one list. A left operand in parentheses that is the same
/// connective joins it, as in PostgreSQL's `makeAndExpr`; a right one stays by itself.
fn flatten(op: BoolOp, mut args: Vec<Expr>, location: u32) -> BoolExpr {
    match args.first() {
        Some(Expr::Bool(first)) if first.op == op => {
            let rest = args.split_off(1);
            match args.pop() {
                Some(Expr::Bool(mut first)) => {
                    first.args.extend(rest);
                    first
                }
                _ => BoolExpr { op, args: rest, location },
            }
        }
        _ => BoolExpr { op, args, location },
    }
}

/// A string literal.
pub(super) fn string_const(value: String, location: u32) -> Expr {
    Expr::Const(Const { value: ConstValue::String(value), location })
}

/// A call of a function of `pg_catalog`.
fn system_call(name: &str, args: Vec<Expr>, form: CallForm, location: u32) -> Expr {
    Expr::Func(Box::new(FuncCall {
        name: vec!["pg_catalog".to_owned(), name.to_owned()],
        args,
        agg_order: Vec::new(),
        agg_filter: None,
        over: None,
        agg_within_group: false,
        agg_star: false,
        agg_distinct: false,
        func_variadic: false,
        form,
        location,
    }))
}

/// A call of a function of `pg_catalog` that SQL has a syntax for.
pub(super) fn sql_call(name: &str, args: Vec<Expr>, location: u32) -> Expr {
    system_call(name, args, CallForm::SqlSyntax, location)
}

/// A call of a function of `pg_catalog` that the grammar itself inserts.
fn explicit_call(name: &str, args: Vec<Expr>, location: u32) -> Expr {
    system_call(name, args, CallForm::Explicit, location)
}
