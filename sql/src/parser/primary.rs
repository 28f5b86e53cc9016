//! Primary expressions: PostgreSQL's `c_expr`, `AexprConst` and `columnref`.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::expr::{Binding, Grammar, SelectOrList, sql_call, string_const};
use super::keyword::{Keyword as Kw, KeywordCategory};
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::{
    AArrayExpr, AIndirection, CaseExpr, CaseWhen, ColumnRef, Const, ConstValue, Expr, GroupingFunc,
    IndirectionElement, ParamRef, RowExpr, SelectStmt, SubLink, SubLinkKind, TypeCast, TypeName,
};

impl TokenStream<'_> {
    /// A primary expression.
    pub(super) fn primary(&mut self) -> SqlResult<Expr> {
        let location = self.location();
        let constant = |value| Ok(Expr::Const(Const { value, location }));
        match self.peek() {
            TokenKind::Integer(number) => {
                let number = *number;
                self.skip();
                constant(ConstValue::Integer(number))
            }
            TokenKind::Float(_) | TokenKind::String(_) | TokenKind::BitString(_) => {
                match self.advance() {
                    TokenKind::Float(text) => constant(ConstValue::Float(text.into_string())),
                    TokenKind::String(text) => constant(ConstValue::String(text.into_string())),
                    TokenKind::BitString(text) => {
                        constant(ConstValue::BitString(text.into_string()))
                    }
                    _ => Err(self.syntax_error()),
                }
            }
            TokenKind::Param(number) => {
                let number = *number;
                self.skip();
                self.with_indirection(Expr::Param(ParamRef { number, location }))
            }
            TokenKind::Char('(') => self.parenthesis(),
            TokenKind::Ident(_) => self.name_expr(),
            TokenKind::Keyword(keyword) => self.keyword_primary(*keyword),
            _ => Err(self.syntax_error()),
        }
    }

    /// A primary expression that begins with a keyword.
    fn keyword_primary(&mut self, keyword: Kw) -> SqlResult<Expr> {
        let location = self.location();
        let constant = |value| Ok(Expr::Const(Const { value, location }));
        match keyword {
            Kw::Null => {
                self.skip();
                constant(ConstValue::Null)
            }
            Kw::True => {
                self.skip();
                constant(ConstValue::Boolean(true))
            }
            Kw::False => {
                self.skip();
                constant(ConstValue::Boolean(false))
            }
            Kw::Case => self.case(),
            Kw::Array => self.array(),
            Kw::Row if self.char_ahead(1, '(') => self.explicit_row(),
            Kw::Exists if self.char_ahead(1, '(') => {
                self.skip();
                let subselect = Box::new(self.select_with_parens()?);
                Ok(Expr::SubLink(Box::new(SubLink {
                    kind: SubLinkKind::Exists,
                    test: None,
                    operator_name: Vec::new(),
                    subselect,
                    location,
                })))
            }
            Kw::Grouping if self.char_ahead(1, '(') => {
                self.skip();
                let args = self.parenthesized_list(Self::expr)?;
                Ok(Expr::Grouping(GroupingFunc { args, location }))
            }
            Kw::Interval => self.interval_const(),
            _ if self.is_typed_const() => self.typed_const(),
            _ if self.is_special_call(keyword) => self.special_call(),
            _ => match keyword.category() {
                KeywordCategory::Unreserved
                | KeywordCategory::ColumnName
                | KeywordCategory::TypeFunctionName => self.name_expr(),
                KeywordCategory::Reserved => Err(self.syntax_error()),
            },
        }
    }

    /// Whether SQL's own name of a type begins a literal here, and is not a column's name.
    fn is_typed_const(&self) -> bool {
        let string = |ahead| matches!(self.peek_ahead(ahead), TokenKind::String(_));
        let paren = |ahead| self.char_ahead(ahead, '(');
        match self.keyword() {
            Some(Kw::Int | Kw::Integer | Kw::Smallint | Kw::Bigint | Kw::Real | Kw::Boolean) => {
                string(1)
            }
            Some(
                Kw::Float
                | Kw::Decimal
                | Kw::Dec
                | Kw::Numeric
                | Kw::Varchar
                | Kw::Timestamp
                | Kw::Time,
            ) if string(1) || paren(1) => true,
            Some(Kw::Timestamp | Kw::Time) => {
                self.at_ahead(1, Kw::Without)
                    || (self.at_ahead(1, Kw::With) && self.at_ahead(2, Kw::Time))
            }
            Some(Kw::Bit | Kw::Character | Kw::Char | Kw::Nchar) => {
                string(1) || paren(1) || self.at_ahead(1, Kw::Varying)
            }
            Some(Kw::National) => matches!(self.keyword_ahead(1), Some(Kw::Character | Kw::Char)),
            Some(Kw::Double) => self.at_ahead(1, Kw::Precision),
            _ => false,
        }
    }

    /// `int '1'`, `timestamp with time zone '…'`.
    fn typed_const(&mut self) -> SqlResult<Expr> {
        let location = self.location();
        let type_name = self.const_type_name()?;
        self.string_of_type(type_name, location)
    }

    /// The string behind a type's name.
    fn string_of_type(&mut self, type_name: TypeName, location: u32) -> SqlResult<Expr> {
        let string_location = self.location();
        let value = self.string()?;
        Ok(Expr::TypeCast(Box::new(TypeCast {
            arg: string_const(value, string_location),
            type_name,
            location,
        })))
    }

    /// `interval '1' year`, `interval(3) '1'`; else a column of that name.
    fn interval_const(&mut self) -> SqlResult<Expr> {
        let location = self.location();
        if !matches!(self.peek_ahead(1), TokenKind::String(_)) && !self.char_ahead(1, '(') {
            return self.name_expr();
        }
        self.skip();
        if self.at_char('(') {
            let type_name = self.interval_with_precision(location)?;
            return self.string_of_type(type_name, location);
        }
        let string_location = self.location();
        let value = self.string()?;
        let type_name = self.interval_with_fields(location)?;
        Ok(Expr::TypeCast(Box::new(TypeCast {
            arg: string_const(value, string_location),
            type_name,
            location,
        })))
    }

    /// A column, a function call, or a literal of a type with a generic name.
    fn name_expr(&mut self) -> SqlResult<Expr> {
        let location = self.location();
        let can_be_function = self.type_function_name_ahead(0);
        let can_be_column = self.col_id_ahead(0);
        let name = self.take_name();
        if can_be_function {
            match self.peek() {
                TokenKind::Char('(') => return self.call_or_typed_const(vec![name], location),
                TokenKind::String(_) => {
                    return self.string_of_type(TypeName::generic(vec![name], location), location);
                }
                _ => {}
            }
        }
        if !can_be_column {
            // A type's or function's name must be followed by what makes it one.
            return Err(self.syntax_error());
        }
        let mut names = vec![name];
        let mut star = false;
        while self.at_char('.') {
            self.skip();
            if self.eat_char('*') {
                star = true;
                break;
            }
            names.push(self.col_label()?);
        }
        if !star && names.len() > 1 {
            match self.peek() {
                TokenKind::Char('(') => return self.call_or_typed_const(names, location),
                TokenKind::String(_) => {
                    return self.string_of_type(TypeName::generic(names, location), location);
                }
                _ => {}
            }
        }
        let column = Expr::ColumnRef(ColumnRef { names, star, location });
        if star {
            if self.at_char('.') || self.at_char('[') {
                // Consumed as the grammar would, to complain where PostgreSQL does.
                self.indirection()?;
                return Err(self.error_here("improper use of \"*\""));
            }
            return Ok(column);
        }
        self.with_indirection(column)
    }

    /// Subscripts and fields behind a value, if there are any.
    pub(super) fn with_indirection(&mut self, arg: Expr) -> SqlResult<Expr> {
        let indirection = self.indirection()?;
        if indirection.is_empty() {
            return Ok(arg);
        }
        let misplaced =
            indirection.iter().rev().skip(1).any(|element| *element == IndirectionElement::Star);
        if misplaced {
            return Err(self.error_here("improper use of \"*\""));
        }
        Ok(Expr::Indirection(Box::new(AIndirection { arg, indirection })))
    }

    /// Any number of `.field`, `.*`, `[index]`, `[lower:upper]`.
    pub(super) fn indirection(&mut self) -> SqlResult<Vec<IndirectionElement>> {
        let mut elements = Vec::new();
        loop {
            if self.eat_char('.') {
                elements.push(if self.eat_char('*') {
                    IndirectionElement::Star
                } else {
                    IndirectionElement::Field(self.col_label()?)
                });
            } else if self.eat_char('[') {
                elements.push(self.subscript()?);
                self.expect_char(']')?;
            } else {
                return Ok(elements);
            }
        }
    }

    fn subscript(&mut self) -> SqlResult<IndirectionElement> {
        let lower = if self.at_char(':') {
            None
        } else {
            let index = self.expr()?;
            if !self.at_char(':') {
                return Ok(IndirectionElement::Index(index));
            }
            Some(index)
        };
        self.expect_char(':')?;
        let upper = if self.at_char(']') { None } else { Some(self.expr()?) };
        Ok(IndirectionElement::Slice { lower, upper })
    }

    /// What begins with a parenthesis: a subquery, an expression or a row.
    fn parenthesis(&mut self) -> SqlResult<Expr> {
        let location = self.location();
        let content = self.nested(Self::select_or_row)?;
        match content {
            Parenthesized::Select(subselect) => {
                let link = sub_query(subselect, location);
                self.with_indirection(link)
            }
            Parenthesized::Expr(expr) => self.with_indirection(expr),
            Parenthesized::Row(args) => {
                self.row_or_overlaps(RowExpr { args, implicit: true, location })
            }
        }
    }

    /// A row, or two of them around `OVERLAPS`, which no other operand may have.
    fn row_or_overlaps(&mut self, left: RowExpr) -> SqlResult<Expr> {
        if !self.at(Kw::Overlaps) {
            return Ok(Expr::Row(left));
        }
        let location = self.location();
        self.skip();
        let right_location = self.location();
        let right = if self.eat(Kw::Row) {
            self.expect_char('(')?;
            let args = if self.at_char(')') { Vec::new() } else { self.expr_list()? };
            self.expect_char(')')?;
            args
        } else {
            if !self.at_char('(') {
                return Err(self.syntax_error());
            }
            match self.nested(Self::select_or_row)? {
                Parenthesized::Row(args) => args,
                _ => return Err(self.syntax_error()),
            }
        };
        let mut args = left.args;
        for (side, count, location) in
            [("left", args.len(), left.location), ("right", right.len(), right_location)]
        {
            if count != 2 {
                return Err(SqlError::new(
                    SqlState::SyntaxError,
                    format!("wrong number of parameters on {side} side of OVERLAPS expression"),
                )
                .at(location));
            }
        }
        args.extend(right);
        Ok(sql_call("overlaps", args, location))
    }

    /// `( … )` as a value.
    fn select_or_row(&mut self) -> SqlResult<Parenthesized> {
        Ok(match self.select_or_list()? {
            SelectOrList::Select(select) => Parenthesized::Select(select),
            SelectOrList::List(mut list) => match (list.pop(), list.is_empty()) {
                (Some(only), true) => Parenthesized::Expr(only),
                (Some(last), false) => {
                    list.push(last);
                    Parenthesized::Row(list)
                }
                (None, _) => return Err(self.syntax_error()),
            },
        })
    }

    /// `( query )` or `( expression )`.
    pub(super) fn select_or_expr(&mut self) -> SqlResult<SelectOrList> {
        self.select_or_items(false)
    }

    /// `( query )` or `( expressions )`.
    pub(super) fn select_or_list(&mut self) -> SqlResult<SelectOrList> {
        self.select_or_items(true)
    }

    /// A parenthesis, which is at hand, up to its end. Whether a query or an expression is within
    /// cannot be known before a query that begins with further parentheses has ended:
    /// `((SELECT 1))`, `((SELECT 1) UNION SELECT 2)`, `((SELECT 1) + 1, 2)`.
    fn select_or_items(&mut self, many: bool) -> SqlResult<SelectOrList> {
        self.expect_char('(')?;
        if self.at_select_keyword() {
            let select = self.select_no_parens()?;
            self.expect_char(')')?;
            return Ok(SelectOrList::Select(Box::new(select)));
        }
        let mut items = Vec::new();
        if self.at_char('(') && self.leads_to_select() {
            let location = self.location();
            match self.nested(Self::select_or_row)? {
                Parenthesized::Select(select) => {
                    if self.at_char(')') || self.at_select_continuation() {
                        let select = self.continue_select(*select)?;
                        self.expect_char(')')?;
                        return Ok(SelectOrList::Select(Box::new(select)));
                    }
                    let left = self.with_indirection(sub_query(select, location))?;
                    items.push(self.climb(left, Binding::None, Grammar::Any)?);
                }
                Parenthesized::Expr(expr) => {
                    let left = self.with_indirection(expr)?;
                    items.push(self.climb(left, Binding::None, Grammar::Any)?);
                }
                Parenthesized::Row(args) => {
                    let left = self.row_or_overlaps(RowExpr { args, implicit: true, location })?;
                    items.push(self.climb(left, Binding::None, Grammar::Any)?);
                }
            }
        } else {
            items.push(self.expr()?);
        }
        while many && self.eat_char(',') {
            items.push(self.expr()?);
        }
        self.expect_char(')')?;
        Ok(SelectOrList::List(items))
    }

    /// Whether a query's first word comes behind the parentheses at hand.
    pub(super) fn leads_to_select(&self) -> bool {
        let mut ahead = 0;
        while self.char_ahead(ahead, '(') {
            ahead += 1;
        }
        self.select_keyword_ahead(ahead)
    }

    /// `(query)`, in any number of parentheses.
    pub(super) fn select_with_parens(&mut self) -> SqlResult<SelectStmt> {
        self.nested(|stream| {
            stream.expect_char('(')?;
            let select = if stream.at_char('(') {
                let inner = stream.select_with_parens()?;
                stream.continue_select(inner)?
            } else {
                stream.select_no_parens()?
            };
            stream.expect_char(')')?;
            Ok(select)
        })
    }

    /// `CASE`.
    fn case(&mut self) -> SqlResult<Expr> {
        let location = self.location();
        self.expect(Kw::Case)?;
        let arg = if self.at(Kw::When) { None } else { Some(self.expr()?) };
        let mut whens = Vec::new();
        loop {
            let location = self.location();
            self.expect(Kw::When)?;
            let condition = self.expr()?;
            self.expect(Kw::Then)?;
            let result = self.expr()?;
            whens.push(CaseWhen { condition, result, location });
            if !self.at(Kw::When) {
                break;
            }
        }
        let default = if self.eat(Kw::Else) { Some(self.expr()?) } else { None };
        self.expect(Kw::End)?;
        Ok(Expr::Case(Box::new(CaseExpr { arg, whens, default, location })))
    }

    /// `ARRAY[…]` or `ARRAY(query)`.
    fn array(&mut self) -> SqlResult<Expr> {
        let location = self.location();
        self.expect(Kw::Array)?;
        if self.at_char('(') {
            let subselect = Box::new(self.select_with_parens()?);
            return Ok(Expr::SubLink(Box::new(SubLink {
                kind: SubLinkKind::Array,
                test: None,
                operator_name: Vec::new(),
                subselect,
                location,
            })));
        }
        let elements = self.array_elements()?;
        Ok(Expr::Array(AArrayExpr { elements, location }))
    }

    /// `[…]`: expressions or further brackets, not both.
    fn array_elements(&mut self) -> SqlResult<Vec<Expr>> {
        self.expect_char('[')?;
        if self.eat_char(']') {
            return Ok(Vec::new());
        }
        let elements = if self.at_char('[') {
            self.comma_list(|stream| {
                stream.nested(|stream| {
                    let location = stream.location();
                    let elements = stream.array_elements()?;
                    Ok(Expr::Array(AArrayExpr { elements, location }))
                })
            })?
        } else {
            self.expr_list()?
        };
        self.expect_char(']')?;
        Ok(elements)
    }

    /// `ROW(…)`.
    fn explicit_row(&mut self) -> SqlResult<Expr> {
        let location = self.location();
        self.expect(Kw::Row)?;
        self.expect_char('(')?;
        let args = if self.at_char(')') { Vec::new() } else { self.expr_list()? };
        self.expect_char(')')?;
        self.row_or_overlaps(RowExpr { args, implicit: false, location })
    }
}

/// What a pair of parentheses holds where a value is wanted.
enum Parenthesized {
    Select(Box<SelectStmt>),
    Expr(Expr),
    Row(Vec<Expr>),
}

/// A query as a value.
fn sub_query(subselect: Box<SelectStmt>, location: u32) -> Expr {
    Expr::SubLink(Box::new(SubLink {
        kind: SubLinkKind::Expr,
        test: None,
        operator_name: Vec::new(),
        subselect,
        location,
    }))
}
