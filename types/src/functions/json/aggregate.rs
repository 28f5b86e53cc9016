//! `json_agg`, `jsonb_agg`, `json_object_agg`, `jsonb_object_agg`: the document as far as it is
//! written, closed in a copy whenever the result is asked for.

use super::{convert, invalid_parameter};
use crate::context::CallContext;
use crate::datum::Datum;
use crate::error::{SqlError, SqlResult};
use crate::functions::aggregate::{Accumulator, AggregateFunction};
use crate::json::write_string;
use crate::jsonb::Builder;

/// The aggregates by name and argument types.
pub(in crate::functions) static AGGREGATES: &[(&str, AggregateFunction)] = &[
    ("json_agg(anyelement)", |_| Box::new(JsonAgg::default())),
    ("jsonb_agg(anyelement)", |_| Box::new(JsonbAgg::default())),
    ("json_object_agg(any,any)", |_| Box::new(JsonObjectAgg::default())),
    ("jsonb_object_agg(any,any)", |_| Box::new(JsonbObjectAgg::default())),
];

/// A text without its end; empty before the first row.
#[derive(Default)]
struct JsonAgg(Vec<u8>);

#[derive(Default)]
struct JsonObjectAgg(Vec<u8>);

/// A builder within its outermost container; none before the first row.
#[derive(Default)]
struct JsonbAgg(Option<Builder>);

#[derive(Default)]
struct JsonbObjectAgg(Option<Builder>);

fn closed_text(open: &[u8], end: &str) -> Datum {
    if open.is_empty() {
        return Datum::Null;
    }
    super::into_text([open, end.as_bytes()].concat())
}

fn closed_jsonb(open: Option<&Builder>) -> SqlResult<Datum> {
    let Some(builder) = open else { return Ok(Datum::Null) };
    let mut builder = builder.clone();
    builder.end()?;
    builder.finish().map(Datum::Jsonb)
}

fn null_name() -> SqlError {
    invalid_parameter("field name must not be null")
}

impl Accumulator for JsonAgg {
    fn update(&mut self, context: &CallContext<'_>, arguments: &[Datum]) -> SqlResult<()> {
        let value = &arguments[0];
        if self.0.is_empty() {
            self.0.push(b'[');
        } else {
            self.0.extend_from_slice(b", ");
            if convert::is_structured(value) {
                self.0.extend_from_slice(b"\n ");
            }
        }
        let of = convert::argument_type(context, 0, value);
        convert::write(&context.eval, of, value, false, &mut self.0);
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        Ok(closed_text(&self.0, "]"))
    }

    fn size(&self) -> usize {
        self.0.capacity()
    }
}

impl Accumulator for JsonObjectAgg {
    fn update(&mut self, context: &CallContext<'_>, arguments: &[Datum]) -> SqlResult<()> {
        let [key, value] = arguments else { return Err(null_name()) };
        if key.is_null() {
            return Err(null_name());
        }
        let name = convert::key(&context.eval, convert::argument_type(context, 0, key), key)?;
        self.0.extend_from_slice(if self.0.is_empty() { b"{ " } else { b", " });
        write_string(&name, &mut self.0);
        self.0.extend_from_slice(b" : ");
        let of = convert::argument_type(context, 1, value);
        convert::write(&context.eval, of, value, false, &mut self.0);
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        Ok(closed_text(&self.0, " }"))
    }

    fn size(&self) -> usize {
        self.0.capacity()
    }
}

impl Accumulator for JsonbAgg {
    fn update(&mut self, context: &CallContext<'_>, arguments: &[Datum]) -> SqlResult<()> {
        let builder = match &mut self.0 {
            Some(builder) => builder,
            empty => {
                let builder = empty.insert(Builder::new());
                builder.begin_array()?;
                builder
            }
        };
        let of = convert::argument_type(context, 0, &arguments[0]);
        convert::build(&context.eval, of, &arguments[0], builder)
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        closed_jsonb(self.0.as_ref())
    }

    fn size(&self) -> usize {
        self.0.as_ref().map_or(0, Builder::size)
    }
}

impl Accumulator for JsonbObjectAgg {
    fn update(&mut self, context: &CallContext<'_>, arguments: &[Datum]) -> SqlResult<()> {
        let [key, value] = arguments else { return Err(null_name()) };
        if key.is_null() {
            return Err(null_name());
        }
        let name = convert::key(&context.eval, convert::argument_type(context, 0, key), key)?;
        let builder = match &mut self.0 {
            Some(builder) => builder,
            empty => {
                let builder = empty.insert(Builder::new());
                builder.begin_object()?;
                builder
            }
        };
        builder.key(&name)?;
        convert::build(&context.eval, convert::argument_type(context, 1, value), value, builder)
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        closed_jsonb(self.0.as_ref())
    }

    fn size(&self) -> usize {
        self.0.as_ref().map_or(0, Builder::size)
    }
}
