//! Running a path over a document (PostgreSQL's `jsonpath_exec.c`).
//!
//! Each step takes one value, gives any number of them to the step behind it, and says whether one
//! came through. Where errors are not to be raised they end the path as [`Outcome::Failed`]; within a
//! condition they make it unknown. Recursion is as deep as the path, documents are walked with a stack
//! of our own; the work and the number of results are bounded.

use std::sync::Arc;

use super::item::{Item, View};
use super::layout;
use super::moment::Moment;
use super::{Arithmetic, Comparison, DEPTH_MAX, Kind, LAST_LEVEL, Method, Path, RegexFlags};
use crate::context::EvalContext;
use crate::error::{SqlError, SqlResult};
use crate::json;
use crate::jsonb::{Builder, Jsonb};
use crate::numeric::Numeric;
use crate::sqlstate::SqlState;

/// How many steps a path may take over a document.
const STEPS_MAX: usize = 50_000_000;
/// How many values it may give, those of its conditions among them.
const RESULTS_MAX: usize = 5_000_000;

/// What is asked of a path.
pub(crate) struct Question<'a> {
    /// The document.
    pub(crate) document: &'a Jsonb,
    /// The values of `$name`.
    pub(crate) variables: &'a Jsonb,
    /// Whether errors of the data are raised.
    pub(crate) raises: bool,
    /// Whether the session's time zone may be used.
    pub(crate) uses_zone: bool,
    /// The statement.
    pub(crate) eval: EvalContext<'a>,
    /// Whose letters count in `like_regex`.
    pub(crate) ctype: crate::Ctype,
}

/// What a path found.
pub(crate) enum Found {
    /// These values; at most the first if only one was asked for.
    Values(Vec<Item>),
    /// An error that is not raised.
    Failed,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Some,
    Nothing,
    Failed,
}

/// What a condition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    True,
    False,
    Unknown,
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// Where values go; none where it is only asked whether there is one.
type Sink<'s> = Option<&'s mut Vec<Item>>;

struct Run<'a> {
    path: &'a Path,
    question: &'a Question<'a>,
    root: Item,
    current: Item,
    /// What `.keyvalue()` counts from: a document, and its number.
    base: (Item, i64),
    next_base: i64,
    array_length: Option<usize>,
    raises: bool,
    ignores_structure: bool,
    steps: usize,
    results: usize,
    depth: usize,
}

/// Runs a path: all its values, or whether there is one.
///
/// # Errors
/// 22023, 42704 of variables; those of the data if they are to be raised; 54000, 54001 for too much.
pub(crate) fn run(path: &Path, question: &Question<'_>, all: bool) -> SqlResult<Found> {
    if !matches!(question.variables.root().value(), crate::jsonb::Value::Object(_)) {
        return Err(SqlError::new(
            SqlState::InvalidParameterValue,
            "\"vars\" argument is not an object",
        )
        .detail("Jsonpath parameters should be encoded as key-value pairs of \"vars\" object."));
    }
    let root = Item::whole(question.document);
    let mut run = Run {
        path,
        question,
        current: root.clone(),
        base: (root.clone(), 0),
        root: root.clone(),
        next_base: 2,
        array_length: None,
        raises: question.raises,
        ignores_structure: path.lax,
        steps: 0,
        results: 0,
        depth: 0,
    };
    let mut values = Vec::new();
    // In strict mode there is no answer before every value is known to be no error.
    let sink = if all || !path.lax { Some(&mut values) } else { None };
    let listed = sink.is_some();
    match run.step(path.root, root, sink, path.lax)? {
        // What was found before an error that is not raised counts, where all is asked for.
        Outcome::Failed if !all => Ok(Found::Failed),
        Outcome::Some if !listed => Ok(Found::Values(vec![Item::Null])),
        _ => Ok(Found::Values(values)),
    }
}

fn reborrow<'s>(sink: &'s mut Sink<'_>) -> Sink<'s> {
    sink.as_mut().map(|sink| &mut **sink)
}

fn too_much(what: &str) -> SqlError {
    SqlError::new(SqlState::ProgramLimitExceeded, format!("jsonpath {what}"))
}

impl Run<'_> {
    /// An error of the data: raised, or the end of the path.
    fn fail(&self, state: SqlState, message: impl Into<String>) -> SqlResult<Outcome> {
        if self.raises { Err(SqlError::new(state, message)) } else { Ok(Outcome::Failed) }
    }

    /// Likewise, where lax paths find nothing.
    fn structure(&self, state: SqlState, message: &str) -> SqlResult<Outcome> {
        if self.ignores_structure { Ok(Outcome::Nothing) } else { self.fail(state, message) }
    }

    /// The step at a place of the path over a value. `unwraps`: an array stands for its elements.
    fn step(&mut self, at: usize, item: Item, sink: Sink<'_>, unwraps: bool) -> SqlResult<Outcome> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(too_much("takes too many steps"));
        }
        if self.depth > DEPTH_MAX * 2 {
            return Err(json::too_deep());
        }
        self.depth += 1;
        let outcome = self.step_here(at, item, sink, unwraps);
        self.depth -= 1;
        outcome
    }

    fn step_here(
        &mut self,
        at: usize,
        item: Item,
        sink: Sink<'_>,
        unwraps: bool,
    ) -> SqlResult<Outcome> {
        let path = self.path;
        match &path.nodes[at].kind {
            Kind::And(..)
            | Kind::Or(..)
            | Kind::Not(_)
            | Kind::IsUnknown(_)
            | Kind::Exists(_)
            | Kind::Compare(..)
            | Kind::StartsWith(..)
            | Kind::LikeRegex { .. } => {
                let truth = self.truth(at, &item)?;
                self.follow(
                    at,
                    match truth {
                        Truth::Unknown => Item::Null,
                        truth => Item::Bool(truth == Truth::True),
                    },
                    sink,
                )
            }
            Kind::Key(key) => self.key(at, key, item, sink, unwraps),
            Kind::Root => {
                let root = self.root.clone();
                self.based(root.clone(), 0, |run| run.follow(at, root, sink))
            }
            Kind::Current => {
                let current = self.current.clone();
                self.follow(at, current, sink)
            }
            Kind::AnyElement => {
                if item.array_length().is_some() {
                    self.children(path.nodes[at].next, &item, sink, path.lax)
                } else if path.lax {
                    self.follow(at, item, sink)
                } else {
                    self.structure(
                        SqlState::SqlJsonArrayNotFound,
                        "jsonpath wildcard array accessor can only be applied to an array",
                    )
                }
            }
            Kind::AnyKey => match item.view() {
                View::Object => self.children(path.nodes[at].next, &item, sink, path.lax),
                View::Array if unwraps => self.children(Some(at), &item, sink, false),
                _ => self.structure(
                    SqlState::SqlJsonObjectNotFound,
                    "jsonpath wildcard member accessor can only be applied to an object",
                ),
            },
            Kind::Index(subscripts) => self.index(at, subscripts, &item, sink),
            Kind::Last => {
                let length = self.array_length.unwrap_or(0);
                let last = i128::try_from(length).unwrap_or(0) - 1;
                self.follow(at, Item::Number(Numeric::from_i128(last)), sink)
            }
            Kind::Any { first, last } => self.any_level(at, (*first, *last), item, sink),
            Kind::Arithmetic(operator, left, right) => {
                self.arithmetic(at, *operator, (*left, *right), &item, sink)
            }
            Kind::Sign { negative, arg } => self.sign(at, *negative, *arg, &item, sink),
            Kind::Filter(condition) => {
                if unwraps && item.array_length().is_some() {
                    return self.children(Some(at), &item, sink, false);
                }
                match self.truth_of(*condition, &item)? {
                    Truth::True => self.follow(at, item, sink),
                    _ => Ok(Outcome::Nothing),
                }
            }
            Kind::Null => self.follow(at, Item::Null, sink),
            Kind::Bool(value) => self.follow(at, Item::Bool(*value), sink),
            Kind::Number(number) => self.follow(at, Item::Number(number.clone()), sink),
            Kind::String(text) => self.follow(at, Item::Text(text.clone()), sink),
            Kind::Variable(name) => {
                let variables = Item::whole(self.question.variables);
                let value = variables.field(name).ok_or_else(|| {
                    SqlError::new(
                        SqlState::UndefinedObject,
                        format!("could not find jsonpath variable \"{name}\""),
                    )
                })?;
                self.based(variables, 1, |run| run.follow(at, value, sink))
            }
            Kind::Method(method) => self.method(at, *method, item, sink, unwraps),
            Kind::Datetime(template) => {
                if unwraps && item.array_length().is_some() {
                    return self.children(Some(at), &item, sink, false);
                }
                self.datetime(at, template.as_deref(), &item, sink)
            }
        }
    }

    /// Hands a value to the step behind, or to whoever asked.
    fn follow(&mut self, at: usize, item: Item, sink: Sink<'_>) -> SqlResult<Outcome> {
        self.hand_on(self.path.nodes[at].next, item, sink)
    }

    fn hand_on(&mut self, next: Option<usize>, item: Item, sink: Sink<'_>) -> SqlResult<Outcome> {
        if let Some(next) = next {
            return self.step(next, item, sink, self.path.lax);
        }
        if let Some(sink) = sink {
            self.results += 1;
            if self.results > RESULTS_MAX {
                return Err(too_much("finds too many values"));
            }
            sink.push(item);
        }
        Ok(Outcome::Some)
    }

    /// Works with another document to count from.
    fn based(
        &mut self,
        base: Item,
        number: i64,
        work: impl FnOnce(&mut Self) -> SqlResult<Outcome>,
    ) -> SqlResult<Outcome> {
        let before = std::mem::replace(&mut self.base, (base, number));
        let outcome = work(self);
        self.base = before;
        outcome
    }

    /// Hands on the elements or the values of a container.
    fn children(
        &mut self,
        next: Option<usize>,
        item: &Item,
        mut sink: Sink<'_>,
        unwraps: bool,
    ) -> SqlResult<Outcome> {
        let mut found = Outcome::Nothing;
        for at in 0..item.child_count().unwrap_or(0) {
            let Some(child) = item.child(at) else { continue };
            let outcome = match next {
                Some(next) => self.step(next, child, reborrow(&mut sink), unwraps)?,
                None => self.hand_on(None, child, reborrow(&mut sink))?,
            };
            match outcome {
                Outcome::Failed => return Ok(Outcome::Failed),
                Outcome::Some => {
                    found = Outcome::Some;
                    if sink.is_none() {
                        break;
                    }
                }
                Outcome::Nothing => {}
            }
        }
        Ok(found)
    }

    fn key(
        &mut self,
        at: usize,
        key: &str,
        item: Item,
        sink: Sink<'_>,
        unwraps: bool,
    ) -> SqlResult<Outcome> {
        match item.view() {
            View::Object => match item.field(key) {
                Some(value) => self.follow(at, value, sink),
                None if self.ignores_structure => Ok(Outcome::Nothing),
                None => self.fail(
                    SqlState::SqlJsonMemberNotFound,
                    format!("JSON object does not contain key \"{key}\""),
                ),
            },
            View::Array if unwraps => self.children(Some(at), &item, sink, false),
            _ => self.structure(
                SqlState::SqlJsonMemberNotFound,
                "jsonpath member accessor can only be applied to an object",
            ),
        }
    }

    fn index(
        &mut self,
        at: usize,
        subscripts: &[(usize, Option<usize>)],
        item: &Item,
        mut sink: Sink<'_>,
    ) -> SqlResult<Outcome> {
        let length = item.array_length();
        if length.is_none() && !self.path.lax {
            return self.structure(
                SqlState::SqlJsonArrayNotFound,
                "jsonpath array accessor can only be applied to an array",
            );
        }
        let size = length.unwrap_or(1);
        let around = self.array_length.replace(size);
        let mut found = Outcome::Nothing;
        'subscripts: for (from, to) in subscripts {
            let Some(first) = self.subscript(*from, item)? else {
                found = Outcome::Failed;
                break;
            };
            let last = match to {
                None => first,
                Some(to) => match self.subscript(*to, item)? {
                    Some(last) => last,
                    None => {
                        found = Outcome::Failed;
                        break;
                    }
                },
            };
            let end = i64::try_from(size).unwrap_or(i64::MAX);
            let (first, last) = (i64::from(first), i64::from(last));
            if !self.ignores_structure && (first < 0 || first > last || last >= end) {
                found = self.fail(
                    SqlState::InvalidSqlJsonSubscript,
                    "jsonpath array subscript is out of bounds",
                )?;
                break;
            }
            for index in first.max(0)..=last.min(end - 1) {
                let element = match length {
                    None => Some(item.clone()),
                    Some(_) => usize::try_from(index).ok().and_then(|index| item.element(index)),
                };
                let Some(element) = element else { continue };
                match self.follow(at, element, reborrow(&mut sink))? {
                    Outcome::Nothing => {}
                    outcome => {
                        found = outcome;
                        if outcome == Outcome::Failed || sink.is_none() {
                            break 'subscripts;
                        }
                    }
                }
            }
        }
        self.array_length = around;
        Ok(found)
    }

    /// The number that a subscript is; none for an error that is not raised.
    fn subscript(&mut self, at: usize, item: &Item) -> SqlResult<Option<i32>> {
        let mut values = Vec::new();
        if self.step(at, item.clone(), Some(&mut values), self.path.lax)? == Outcome::Failed {
            return Ok(None);
        }
        let number = match values.as_slice() {
            [value] => value.number()?,
            _ => None,
        };
        let message = match number {
            None => "jsonpath array subscript is not a single numeric value",
            Some(number) => match number.trunc(0)?.to_i32() {
                Ok(index) => return Ok(Some(index)),
                Err(_) => "jsonpath array subscript is out of integer range",
            },
        };
        self.fail(SqlState::InvalidSqlJsonSubscript, message)?;
        Ok(None)
    }

    /// `.**{first to last}`
    fn any_level(
        &mut self,
        at: usize,
        (first, last): (u32, u32),
        item: Item,
        mut sink: Sink<'_>,
    ) -> SqlResult<Outcome> {
        let next = self.path.nodes[at].next;
        let mut found = Outcome::Nothing;
        if first == 0 {
            let before = std::mem::replace(&mut self.ignores_structure, true);
            found = self.follow(at, item.clone(), reborrow(&mut sink))?;
            self.ignores_structure = before;
            if found == Outcome::Failed || (found == Outcome::Some && sink.is_none()) {
                return Ok(found);
            }
        }
        // Containers that are open: which, and which of their children is next.
        let mut open: Vec<(Item, usize)> = Vec::new();
        if item.child_count().is_some() && last > 0 {
            open.push((item, 0));
        }
        while let Some((container, place)) = open.last_mut() {
            let Some(child) = container.child(*place) else {
                open.pop();
                continue;
            };
            *place += 1;
            let level = u32::try_from(open.len()).unwrap_or(LAST_LEVEL);
            let is_container = child.child_count().is_some();
            let leaves = first == LAST_LEVEL && last == LAST_LEVEL && !is_container;
            if level >= first || leaves {
                let before = std::mem::replace(&mut self.ignores_structure, true);
                let outcome = self.hand_on(next, child.clone(), reborrow(&mut sink))?;
                self.ignores_structure = before;
                match outcome {
                    Outcome::Failed => return Ok(Outcome::Failed),
                    Outcome::Some => {
                        found = Outcome::Some;
                        if sink.is_none() {
                            return Ok(found);
                        }
                    }
                    Outcome::Nothing => {}
                }
            }
            if level < last && is_container {
                open.push((child, 0));
            }
        }
        Ok(found)
    }

    /// The values of an operand, arrays standing for their elements in lax mode; none for an error
    /// that is not raised.
    fn operand(&mut self, at: usize, item: &Item, unwraps: bool) -> SqlResult<Option<Vec<Item>>> {
        let mut values = Vec::new();
        if self.step(at, item.clone(), Some(&mut values), self.path.lax)? == Outcome::Failed {
            return Ok(None);
        }
        if !(unwraps && self.path.lax) {
            return Ok(Some(values));
        }
        let mut elements = Vec::new();
        for value in values {
            match value.array_length() {
                Some(_) => {
                    self.children(None, &value, Some(&mut elements), false)?;
                }
                None => elements.push(value),
            }
        }
        Ok(Some(elements))
    }

    /// Likewise, without raising anything.
    fn quiet_operand(
        &mut self,
        at: usize,
        item: &Item,
        unwraps: bool,
    ) -> SqlResult<Option<Vec<Item>>> {
        let before = std::mem::replace(&mut self.raises, false);
        let values = self.operand(at, item, unwraps);
        self.raises = before;
        values
    }

    fn arithmetic(
        &mut self,
        at: usize,
        operator: Arithmetic,
        (left, right): (usize, usize),
        item: &Item,
        sink: Sink<'_>,
    ) -> SqlResult<Outcome> {
        let Some(lefts) = self.operand(left, item, true)? else { return Ok(Outcome::Failed) };
        let Some(rights) = self.operand(right, item, true)? else { return Ok(Outcome::Failed) };
        let mut numbers = Vec::with_capacity(2);
        for (side, values) in [("left", &lefts), ("right", &rights)] {
            let number = match values.as_slice() {
                [value] => value.number()?,
                _ => None,
            };
            let Some(number) = number else {
                return self.fail(
                    SqlState::SingletonSqlJsonItemRequired,
                    format!(
                        "{side} operand of jsonpath operator {} is not a single numeric value",
                        operator.symbol()
                    ),
                );
            };
            numbers.push(number);
        }
        let (one, two) = (&numbers[0], &numbers[1]);
        let result = match operator {
            Arithmetic::Add => one.add(two),
            Arithmetic::Subtract => one.sub(two),
            Arithmetic::Multiply => one.mul(two),
            Arithmetic::Divide => one.div(two),
            Arithmetic::Modulo => one.rem(two),
        };
        match result {
            Ok(result) => self.follow(at, Item::Number(result), sink),
            Err(error) if self.raises => Err(error),
            Err(_) => Ok(Outcome::Failed),
        }
    }

    fn sign(
        &mut self,
        at: usize,
        negative: bool,
        arg: usize,
        item: &Item,
        mut sink: Sink<'_>,
    ) -> SqlResult<Outcome> {
        let Some(values) = self.operand(arg, item, true)? else { return Ok(Outcome::Failed) };
        let is_last = self.path.nodes[at].next.is_none();
        let mut found = Outcome::Nothing;
        for value in values {
            let Some(number) = value.number()? else {
                if sink.is_none() && is_last {
                    continue;
                }
                return self.fail(
                    SqlState::SqlJsonNumberNotFound,
                    format!(
                        "operand of unary jsonpath operator {} is not a numeric value",
                        if negative { "-" } else { "+" }
                    ),
                );
            };
            let number = if negative { number.neg() } else { number };
            match self.follow(at, Item::Number(number), reborrow(&mut sink))? {
                Outcome::Failed => return Ok(Outcome::Failed),
                Outcome::Some => {
                    found = Outcome::Some;
                    if sink.is_none() {
                        break;
                    }
                }
                Outcome::Nothing => {}
            }
        }
        Ok(found)
    }

    fn method(
        &mut self,
        at: usize,
        method: Method,
        item: Item,
        sink: Sink<'_>,
        unwraps: bool,
    ) -> SqlResult<Outcome> {
        let applied = |what: &str| {
            format!("jsonpath item method .{}() can only be applied to {what}", method.name())
        };
        match method {
            Method::Type => {
                let name = match item.view() {
                    View::Moment(moment) => moment.type_name(),
                    View::Null => "null",
                    View::Bool(_) => "boolean",
                    View::Number => "number",
                    View::String(_) => "string",
                    View::Array => "array",
                    View::Object => "object",
                };
                return self.follow(at, Item::Text(name.into()), sink);
            }
            Method::Size => {
                let size = match item.array_length() {
                    Some(length) => length,
                    None if self.path.lax => 1,
                    None => {
                        return self
                            .structure(SqlState::SqlJsonArrayNotFound, &applied("an array"));
                    }
                };
                let size = Numeric::from_i128(i128::try_from(size).unwrap_or(0));
                return self.follow(at, Item::Number(size), sink);
            }
            _ => {}
        }
        if unwraps && item.array_length().is_some() {
            return self.children(Some(at), &item, sink, false);
        }
        match method {
            Method::Double => self.double(at, item, sink),
            Method::KeyValue => self.key_value(at, &item, sink),
            _ => {
                let Some(number) = item.number()? else {
                    let message = applied("a numeric value");
                    return self.fail(SqlState::NonNumericSqlJsonItem, message);
                };
                let number = match method {
                    Method::Abs => number.abs(),
                    Method::Floor => number.floor()?,
                    _ => number.ceil()?,
                };
                self.follow(at, Item::Number(number), sink)
            }
        }
    }

    fn double(&mut self, at: usize, item: Item, sink: Sink<'_>) -> SqlResult<Outcome> {
        let wrong = |run: &Self, message: &str| run.fail(SqlState::NonNumericSqlJsonItem, message);
        if let Some(number) = item.number()? {
            return match number.to_f64() {
                Ok(value) if value.is_finite() => self.follow(at, item, sink),
                _ => wrong(
                    self,
                    "numeric argument of jsonpath item method .double() is out of range for type \
                     double precision",
                ),
            };
        }
        let View::String(text) = item.view() else {
            return wrong(
                self,
                "jsonpath item method .double() can only be applied to a string or numeric value",
            );
        };
        match crate::float::parse_float8(text) {
            Ok(value) if value.is_finite() => {
                self.follow(at, Item::Number(Numeric::from_f64(value)), sink)
            }
            _ => wrong(
                self,
                "string argument of jsonpath item method .double() is not a valid representation \
                 of a double precision number",
            ),
        }
    }

    fn datetime(
        &mut self,
        at: usize,
        template: Option<&str>,
        item: &Item,
        sink: Sink<'_>,
    ) -> SqlResult<Outcome> {
        let View::String(text) = item.view() else {
            return self.fail(
                SqlState::InvalidArgumentForSqlJsonDatetimeFunction,
                "jsonpath item method .datetime() can only be applied to a string",
            );
        };
        match Moment::read(text, template) {
            Ok(moment) => self.follow(at, Item::Moment(moment), sink),
            Err(error) if self.raises => Err(error),
            Err(_) => Ok(Outcome::Failed),
        }
    }

    fn key_value(&mut self, at: usize, item: &Item, mut sink: Sink<'_>) -> SqlResult<Outcome> {
        if !matches!(item.view(), View::Object) {
            return self.fail(
                SqlState::SqlJsonObjectNotFound,
                "jsonpath item method .keyvalue() can only be applied to an object",
            );
        }
        let (base, number) = self.base.clone();
        let offset = match (&base, item, base.node(), item.node()) {
            (Item::Part(one, _), Item::Part(other, _), Some(base), Some(part))
                if one.is_same(other) =>
            {
                layout::offset(one, base, part)
            }
            _ => 0,
        };
        let id = i128::from(number) * 10_000_000_000 + i128::try_from(offset).unwrap_or(0);
        let mut found = Outcome::Nothing;
        for place in 0..item.child_count().unwrap_or(0) {
            let (Some(key), Some(value)) = (item.key(place), item.child(place)) else { continue };
            let mut builder = Builder::new();
            builder.begin_object()?;
            builder.key("key")?;
            builder.string(key)?;
            builder.key("value")?;
            value.build(&mut builder)?;
            builder.key("id")?;
            Item::Number(Numeric::from_i128(id)).build(&mut builder)?;
            builder.end()?;
            let object = Item::whole(&builder.finish()?);
            let new = self.next_base;
            self.next_base += 1;
            let outcome =
                self.based(object.clone(), new, |run| run.follow(at, object, reborrow(&mut sink)))?;
            match outcome {
                Outcome::Failed => return Ok(Outcome::Failed),
                Outcome::Some => {
                    found = Outcome::Some;
                    if sink.is_none() {
                        break;
                    }
                }
                Outcome::Nothing => {}
            }
        }
        Ok(found)
    }

    /// A condition over a value that `@` is.
    fn truth_of(&mut self, at: usize, item: &Item) -> SqlResult<Truth> {
        let before = std::mem::replace(&mut self.current, item.clone());
        let truth = self.truth(at, item);
        self.current = before;
        truth
    }

    fn truth(&mut self, at: usize, item: &Item) -> SqlResult<Truth> {
        if self.depth > DEPTH_MAX * 2 {
            return Err(json::too_deep());
        }
        self.depth += 1;
        let truth = self.truth_here(at, item);
        self.depth -= 1;
        truth
    }

    fn truth_here(&mut self, at: usize, item: &Item) -> SqlResult<Truth> {
        let path = self.path;
        match &path.nodes[at].kind {
            Kind::And(left, right) => match self.truth(*left, item)? {
                Truth::False => Ok(Truth::False),
                first => Ok(match self.truth(*right, item)? {
                    Truth::True => first,
                    second => second,
                }),
            },
            Kind::Or(left, right) => match self.truth(*left, item)? {
                Truth::True => Ok(Truth::True),
                first => Ok(match self.truth(*right, item)? {
                    Truth::False => first,
                    second => second,
                }),
            },
            Kind::Not(arg) => Ok(match self.truth(*arg, item)? {
                Truth::True => Truth::False,
                Truth::False => Truth::True,
                Truth::Unknown => Truth::Unknown,
            }),
            Kind::IsUnknown(arg) => Ok((self.truth(*arg, item)? == Truth::Unknown).into()),
            Kind::Compare(comparison, left, right) => {
                let comparison = *comparison;
                self.predicate(item, *left, Some((*right, true)), |run, one, other| {
                    run.compare(comparison, one, other.unwrap_or(one))
                })
            }
            Kind::StartsWith(left, right) => {
                self.predicate(item, *left, Some((*right, false)), |_, whole, initial| {
                    Ok(match (whole.view(), initial.unwrap_or(whole).view()) {
                        (View::String(whole), View::String(initial)) => {
                            whole.starts_with(initial).into()
                        }
                        _ => Truth::Unknown,
                    })
                })
            }
            Kind::LikeRegex { arg, pattern, flags } => {
                let (pattern, flags): (Arc<str>, RegexFlags) = (pattern.clone(), *flags);
                self.predicate(item, *arg, None, |run, text, _| match text.view() {
                    View::String(text) => {
                        let ctype = run.question.ctype;
                        crate::functions::like_regex(Some(text), &pattern, flags, ctype)
                            .map(Truth::from)
                    }
                    _ => Ok(Truth::Unknown),
                })
            }
            Kind::Exists(arg) => {
                let before = std::mem::replace(&mut self.raises, false);
                let mut values = Vec::new();
                let sink = if path.lax { None } else { Some(&mut values) };
                let outcome = self.step(*arg, item.clone(), sink, path.lax);
                self.raises = before;
                Ok(match outcome? {
                    Outcome::Failed => Truth::Unknown,
                    outcome if path.lax => (outcome == Outcome::Some).into(),
                    _ => (!values.is_empty()).into(),
                })
            }
            _ => Err(SqlError::internal("a value of jsonpath stands for a condition")),
        }
    }

    /// A test of every pair of values: true if it is for one. In strict mode all of them are looked
    /// at, and an unknown one decides.
    fn predicate(
        &mut self,
        item: &Item,
        left: usize,
        right: Option<(usize, bool)>,
        test: impl Fn(&Self, &Item, Option<&Item>) -> SqlResult<Truth>,
    ) -> SqlResult<Truth> {
        let Some(lefts) = self.quiet_operand(left, item, true)? else {
            return Ok(Truth::Unknown);
        };
        let rights = match right {
            None => vec![None],
            Some((right, unwraps)) => match self.quiet_operand(right, item, unwraps)? {
                None => return Ok(Truth::Unknown),
                Some(values) => values.into_iter().map(Some).collect(),
            },
        };
        let (mut found, mut unknown) = (false, false);
        for one in &lefts {
            for other in &rights {
                self.steps += 1;
                if self.steps > STEPS_MAX {
                    return Err(too_much("takes too many steps"));
                }
                match test(self, one, other.as_ref())? {
                    Truth::Unknown if !self.path.lax => return Ok(Truth::Unknown),
                    Truth::Unknown => unknown = true,
                    Truth::True if self.path.lax => return Ok(Truth::True),
                    Truth::True => found = true,
                    Truth::False => {}
                }
            }
        }
        Ok(if found {
            Truth::True
        } else if unknown {
            Truth::Unknown
        } else {
            Truth::False
        })
    }

    fn compare(&self, comparison: Comparison, one: &Item, other: &Item) -> SqlResult<Truth> {
        let order = match (one.view(), other.view()) {
            (View::Null, View::Null) => std::cmp::Ordering::Equal,
            (View::Null, _) | (_, View::Null) => {
                return Ok((comparison == Comparison::NotEqual).into());
            }
            (View::Bool(one), View::Bool(other)) => one.cmp(&other),
            (View::String(one), View::String(other)) => one.as_bytes().cmp(other.as_bytes()),
            (View::Number, View::Number) => one.number()?.cmp(&other.number()?),
            (View::Moment(one), View::Moment(other)) => {
                let eval = &self.question.eval;
                match one.compare(other, self.question.uses_zone, eval)? {
                    Some(order) => order,
                    None => return Ok(Truth::Unknown),
                }
            }
            _ => return Ok(Truth::Unknown),
        };
        Ok(Truth::from(match comparison {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterEqual => order.is_ge(),
        }))
    }
}
