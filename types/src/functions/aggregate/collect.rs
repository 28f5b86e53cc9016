//! Aggregates that keep all they see: string_agg and array_agg.

use super::Accumulator;
use crate::context::CallContext;
use crate::datum::{Array, Datum, Dimension};
use crate::error::{SqlError, SqlResult};
use crate::io;
use crate::sqlstate::SqlState;
use crate::text::{VALUE_LENGTH_MAX, from_utf8, too_long};
use crate::type_oid as t;

/// `string_agg` of text and of bytea: each value behind its row's delimiter, the first's left out.
#[derive(Default)]
pub(super) struct Joined {
    started: bool,
    bytes: Vec<u8>,
}

fn bytes(value: &Datum) -> &[u8] {
    match value {
        Datum::Text(text) => text.as_bytes(),
        Datum::Bytea(bytes) => bytes,
        _ => &[],
    }
}

impl Accumulator for Joined {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        if a[0].is_null() {
            return Ok(());
        }
        if self.started {
            self.bytes.extend_from_slice(bytes(&a[1]));
        }
        self.started = true;
        self.bytes.extend_from_slice(bytes(&a[0]));
        if self.bytes.len() > VALUE_LENGTH_MAX {
            return Err(too_long());
        }
        Ok(())
    }

    fn finish(&self, context: &CallContext<'_>) -> SqlResult<Datum> {
        if !self.started {
            return Ok(Datum::Null);
        }
        if context.result_type.oid == t::BYTEA {
            return Ok(Datum::Bytea(self.bytes.as_slice().into()));
        }
        from_utf8(&self.bytes).map(Datum::text)
    }

    fn size(&self) -> usize {
        self.bytes.capacity()
    }
}

/// `array_agg` of anything but arrays, NULLs included.
#[derive(Default)]
pub(super) struct Elements(Vec<Datum>);

impl Accumulator for Elements {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        self.0.push(a[0].clone());
        Ok(())
    }

    fn finish(&self, context: &CallContext<'_>) -> SqlResult<Datum> {
        if self.0.is_empty() {
            return Ok(Datum::Null);
        }
        let element = context
            .argument_types
            .first()
            .map(|type_ref| type_ref.oid)
            .or_else(|| io::element_type(context.result_type.oid))
            .unwrap_or(t::UNKNOWN);
        Ok(Datum::Array(Array::one_dimensional(element, self.0.clone()).into()))
    }

    fn size(&self) -> usize {
        self.0.capacity() * size_of::<Datum>()
    }
}

/// `array_agg` of arrays, which all have the same shape: one more dimension.
#[derive(Default)]
pub(super) struct Slices(Option<Array>);

impl Accumulator for Slices {
    fn update(&mut self, _: &CallContext<'_>, a: &[Datum]) -> SqlResult<()> {
        let Datum::Array(slice) = &a[0] else {
            return Err(SqlError::new(
                SqlState::NullValueNotAllowed,
                "cannot accumulate null arrays",
            ));
        };
        let refuse = |message: &str| Err(SqlError::new(SqlState::ArraySubscriptError, message));
        let Some(all) = &mut self.0 else {
            if slice.dimensions.is_empty() {
                return refuse("cannot accumulate empty arrays");
            }
            let mut first = Array::clone(slice);
            first.dimensions.insert(0, Dimension { length: 1, lower: 1 });
            if first.dimensions.len() > io::array::DIMENSIONS_MAX {
                return Err(io::array::too_many_dimensions(first.dimensions.len()));
            }
            self.0 = Some(first);
            return Ok(());
        };
        if all.dimensions[1..] != slice.dimensions[..] {
            return refuse("cannot accumulate arrays of different dimensionality");
        }
        all.dimensions[0].length = all.dimensions[0].length.saturating_add(1);
        io::array::element_count(&all.dimensions)?;
        all.elements.extend_from_slice(&slice.elements);
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> SqlResult<Datum> {
        Ok(self.0.as_ref().map_or(Datum::Null, |array| Datum::Array(array.clone().into())))
    }

    fn size(&self) -> usize {
        self.0.as_ref().map_or(0, |array| array.elements.capacity() * size_of::<Datum>())
    }
}
