//! Type names: PostgreSQL's `Typename`, with SQL's own spellings turned into the catalog's.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::{Const, ConstValue, Expr, TypeName, interval_mask as mask};

impl TypeName {
    /// A type by name alone.
    pub(crate) fn generic(names: Vec<String>, location: u32) -> Self {
        Self {
            names,
            setof: false,
            pct_type: false,
            typmods: Vec::new(),
            array_bounds: Vec::new(),
            location,
        }
    }

    /// A type of `pg_catalog`.
    pub(super) fn system(name: &str, location: u32) -> Self {
        Self::generic(vec!["pg_catalog".to_owned(), name.to_owned()], location)
    }
}

/// Whether a type's name stands in front of a literal: then a missing length of `char` and `bit`
/// means none, not 1.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Declaration,
    Literal,
}

fn integer_const(value: i32, location: u32) -> Expr {
    Expr::Const(Const { value: ConstValue::Integer(value), location })
}

impl TokenStream<'_> {
    /// A type with `SETOF` and array bounds (`Typename`).
    pub fn type_name(&mut self) -> SqlResult<TypeName> {
        let setof = self.eat(Kw::Setof);
        let mut type_name = self.simple_type_name()?;
        type_name.setof = setof;
        if self.eat(Kw::Array) {
            let mut bound = -1;
            if self.eat_char('[') {
                bound = self.integer()?;
                self.expect_char(']')?;
            }
            type_name.array_bounds.push(bound);
            return Ok(type_name);
        }
        while self.eat_char('[') {
            let bound = if self.at_char(']') { -1 } else { self.integer()? };
            self.expect_char(']')?;
            type_name.array_bounds.push(bound);
        }
        Ok(type_name)
    }

    /// A type where a column's type may be borrowed: `relation.column%TYPE` (`func_type`).
    pub(super) fn func_type(&mut self) -> SqlResult<TypeName> {
        let mut ahead = usize::from(self.at(Kw::Setof));
        if self.type_function_name_ahead(ahead) {
            ahead += 1;
            let mut dots = 0;
            while self.char_ahead(ahead, '.') {
                ahead += 2;
                dots += 1;
            }
            if dots > 0 && self.char_ahead(ahead, '%') && self.at_ahead(ahead + 1, Kw::Type) {
                let setof = self.eat(Kw::Setof);
                let location = self.location();
                let mut names = vec![self.type_function_name()?];
                while self.eat_char('.') {
                    names.push(self.col_label()?);
                }
                self.expect_char('%')?;
                self.expect(Kw::Type)?;
                let mut type_name = TypeName::generic(names, location);
                type_name.setof = setof;
                type_name.pct_type = true;
                return Ok(type_name);
            }
        }
        self.type_name()
    }

    /// A type without `SETOF` and array bounds (`SimpleTypename`).
    pub(super) fn simple_type_name(&mut self) -> SqlResult<TypeName> {
        let location = self.location();
        if self.eat(Kw::Interval) {
            if self.at_char('(') {
                return self.interval_with_precision(location);
            }
            return self.interval_with_fields(location);
        }
        if let Some(type_name) = self.sql_type_name(Place::Declaration)? {
            return Ok(type_name);
        }
        if !self.type_function_name_ahead(0) {
            return Err(self.syntax_error());
        }
        let mut names = vec![self.take_name()];
        while self.eat_char('.') {
            names.push(self.col_label()?);
        }
        let mut type_name = TypeName::generic(names, location);
        type_name.typmods = self.opt_type_modifiers()?;
        Ok(type_name)
    }

    /// A type in SQL's own spelling in front of a literal (`ConstTypename` without `interval`).
    pub(super) fn const_type_name(&mut self) -> SqlResult<TypeName> {
        match self.sql_type_name(Place::Literal)? {
            Some(type_name) => Ok(type_name),
            None => Err(self.syntax_error()),
        }
    }

    /// `(expressions)`, or nothing.
    fn opt_type_modifiers(&mut self) -> SqlResult<Vec<Expr>> {
        if self.at_char('(') {
            self.nested(|stream| stream.parenthesized_list(Self::expr))
        } else {
            Ok(Vec::new())
        }
    }

    /// A type in SQL's own spelling, if one is at hand.
    fn sql_type_name(&mut self, place: Place) -> SqlResult<Option<TypeName>> {
        let location = self.location();
        let Some(keyword) = self.keyword() else {
            return Ok(None);
        };
        let name = match keyword {
            Kw::Int | Kw::Integer => "int4",
            Kw::Smallint => "int2",
            Kw::Bigint => "int8",
            Kw::Real => "float4",
            Kw::Boolean => "bool",
            Kw::Double if self.at_ahead(1, Kw::Precision) => {
                self.skip();
                "float8"
            }
            Kw::Float => {
                self.skip();
                return self.float_type(location).map(Some);
            }
            Kw::Decimal | Kw::Dec | Kw::Numeric => {
                self.skip();
                let mut type_name = TypeName::system("numeric", location);
                type_name.typmods = self.opt_type_modifiers()?;
                return Ok(Some(type_name));
            }
            Kw::Bit => return self.bit_type(place).map(Some),
            Kw::Character | Kw::Char | Kw::Nchar | Kw::Varchar | Kw::National => {
                return self.character_type(place).map(Some);
            }
            Kw::Timestamp | Kw::Time => return self.time_type().map(Some),
            _ => return Ok(None),
        };
        self.skip();
        Ok(Some(TypeName::system(name, location)))
    }

    /// `float`, `float(n)`; the word is consumed.
    fn float_type(&mut self, location: u32) -> SqlResult<TypeName> {
        if !self.eat_char('(') {
            return Ok(TypeName::system("float8", location));
        }
        let precision_location = self.location();
        let precision = self.integer()?;
        self.expect_char(')')?;
        let refused = |message| {
            Err(SqlError::new(SqlState::InvalidParameterValue, message).at(precision_location))
        };
        match precision {
            ..=0 => refused("precision for type float must be at least 1 bit"),
            1..=24 => Ok(TypeName::system("float4", location)),
            25..=53 => Ok(TypeName::system("float8", location)),
            _ => refused("precision for type float must be less than 54 bits"),
        }
    }

    fn bit_type(&mut self, place: Place) -> SqlResult<TypeName> {
        let location = self.location();
        self.expect(Kw::Bit)?;
        let varying = self.eat(Kw::Varying);
        let mut type_name = TypeName::system(if varying { "varbit" } else { "bit" }, location);
        if self.at_char('(') {
            type_name.typmods = self.opt_type_modifiers()?;
        } else if !varying && place == Place::Declaration {
            type_name.typmods.push(integer_const(1, location));
        }
        Ok(type_name)
    }

    fn character_type(&mut self, place: Place) -> SqlResult<TypeName> {
        let location = self.location();
        let varying = if self.eat(Kw::Varchar) {
            true
        } else {
            if self.eat(Kw::National) {
                if !self.at_any(&[Kw::Character, Kw::Char]) {
                    return Err(self.syntax_error());
                }
            } else if !self.at_any(&[Kw::Character, Kw::Char, Kw::Nchar]) {
                return Err(self.syntax_error());
            }
            self.skip();
            self.eat(Kw::Varying)
        };
        let mut type_name = TypeName::system(if varying { "varchar" } else { "bpchar" }, location);
        if self.eat_char('(') {
            let length_location = self.location();
            let length = self.integer()?;
            self.expect_char(')')?;
            type_name.typmods.push(integer_const(length, length_location));
        } else if !varying && place == Place::Declaration {
            type_name.typmods.push(integer_const(1, location));
        }
        Ok(type_name)
    }

    fn time_type(&mut self) -> SqlResult<TypeName> {
        let location = self.location();
        let timestamp = self.at(Kw::Timestamp);
        self.skip();
        let mut typmods = Vec::new();
        if self.eat_char('(') {
            let precision_location = self.location();
            typmods.push(integer_const(self.integer()?, precision_location));
            self.expect_char(')')?;
        }
        let mut zone = false;
        if self.at(Kw::With) && self.at_ahead(1, Kw::Time) {
            self.skip();
            self.expect_sequence(&[Kw::Time, Kw::Zone])?;
            zone = true;
        } else if self.eat(Kw::Without) {
            self.expect_sequence(&[Kw::Time, Kw::Zone])?;
        }
        let name = match (timestamp, zone) {
            (true, true) => "timestamptz",
            (true, false) => "timestamp",
            (false, true) => "timetz",
            (false, false) => "time",
        };
        let mut type_name = TypeName::system(name, location);
        type_name.typmods = typmods;
        Ok(type_name)
    }

    /// The precision behind `interval`, which is consumed.
    pub(super) fn interval_with_precision(&mut self, location: u32) -> SqlResult<TypeName> {
        self.expect_char('(')?;
        let precision_location = self.location();
        let precision = self.integer()?;
        self.expect_char(')')?;
        let mut type_name = TypeName::system("interval", location);
        type_name.typmods = vec![
            integer_const(mask::FULL_RANGE, location),
            integer_const(precision, precision_location),
        ];
        Ok(type_name)
    }

    /// The fields behind `interval` or its literal, if there are any.
    pub(super) fn interval_with_fields(&mut self, location: u32) -> SqlResult<TypeName> {
        let mut type_name = TypeName::system("interval", location);
        let fields_location = self.location();
        let first = match self.keyword() {
            Some(Kw::Year) => mask::YEAR,
            Some(Kw::Month) => mask::MONTH,
            Some(Kw::Day) => mask::DAY,
            Some(Kw::Hour) => mask::HOUR,
            Some(Kw::Minute) => mask::MINUTE,
            Some(Kw::Second) => mask::SECOND,
            _ => return Ok(type_name),
        };
        self.skip();
        let mut fields = first;
        let mut seconds = first == mask::SECOND;
        let ranges = matches!(first, mask::YEAR | mask::DAY | mask::HOUR | mask::MINUTE);
        if ranges && self.eat(Kw::To) {
            let order = [mask::DAY, mask::HOUR, mask::MINUTE, mask::SECOND];
            let last = match self.keyword() {
                Some(Kw::Month) if first == mask::YEAR => mask::MONTH,
                Some(Kw::Hour) if first == mask::DAY => mask::HOUR,
                Some(Kw::Minute) if matches!(first, mask::DAY | mask::HOUR) => mask::MINUTE,
                Some(Kw::Second) if first != mask::YEAR => mask::SECOND,
                _ => return Err(self.syntax_error()),
            };
            self.skip();
            seconds = last == mask::SECOND;
            let begin = order.iter().position(|field| *field == first);
            let end = order.iter().position(|field| *field == last);
            fields = match (begin, end) {
                (Some(begin), Some(end)) => order[begin..=end].iter().sum(),
                _ => first | last,
            };
        }
        type_name.typmods.push(integer_const(fields, fields_location));
        if seconds && matches!(self.peek(), TokenKind::Char('(')) {
            self.skip();
            let precision_location = self.location();
            let precision = self.integer()?;
            self.expect_char(')')?;
            type_name.typmods.push(integer_const(precision, precision_location));
        }
        Ok(type_name)
    }
}
