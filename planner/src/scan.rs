//! Reading a table: rows of a range of its tree, by its key or by an index, as columns.
//!
//! Only the wanted columns of a row are read, from its stored bytes straight into Arrow.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_sql::bound::{ROW_KEY, TABLE_OID, XMIN};
use aegis_sql::row::RowLayout;
use aegis_storage::{Block, Direction, Key, KeyRange, ReadView, RowRef, Scan, Trees};
use aegis_types::{Datum, Oid, SqlError, SqlResult, TypeRef, key, type_oid};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::StreamExt;

use crate::along::Along;
use crate::arrow_types::{ColumnBuilder, new_batch, schema};
use crate::explain::{Described, Names};
use crate::node::{BATCH_ROWS, Node};
use crate::run::{Run, external};
use crate::scalar::Scalar;

/// A scan of a table.
#[derive(Clone)]
pub(crate) struct ScanPlan {
    pub(crate) relation: Arc<Relation>,
    /// Its place in the range table.
    pub(crate) entry: usize,
    pub(crate) alias: String,
    pub(crate) layout: Arc<RowLayout>,
    pub(crate) tree: Trees,
    /// The columns given: numbers, 0 for the whole row, system columns.
    pub(crate) columns: Vec<i16>,
    pub(crate) access: Access,
    /// About how many rows it gives, and what reading them costs, in rows read in a scan.
    pub(crate) rows: f64,
    pub(crate) read: f64,
    /// What its columns are called, for EXPLAIN.
    pub(crate) names: Arc<Names>,
}

/// Which rows are read.
#[derive(Clone)]
pub(crate) enum Access {
    All,
    /// The row with this key.
    RowKey(Arc<Scalar>),
    /// A range of the row key or of an index.
    Range(RangePlan),
}

/// A range of keys: equal in the first columns, between bounds in the next.
#[derive(Clone)]
pub(crate) struct RangePlan {
    pub(crate) name: String,
    /// The index's trees; `None` for the row key.
    pub(crate) index: Option<Trees>,
    /// All columns of the key.
    pub(crate) keys: Vec<KeyColumn>,
    /// `None` stands for `IS NULL`.
    pub(crate) equal: Vec<Option<Arc<Scalar>>>,
    /// An array of values for the column after the equal ones: a range for each.
    pub(crate) any: Option<Arc<Scalar>>,
    /// Value, and whether it belongs to the range.
    pub(crate) lower: Option<(Arc<Scalar>, bool)>,
    pub(crate) upper: Option<(Arc<Scalar>, bool)>,
    /// Whether the column after the equal ones may not be NULL.
    pub(crate) not_null: bool,
    /// The bounds are of this column, by its place in the row, which never falls along the key.
    pub(crate) along: Option<usize>,
    pub(crate) direction: Direction,
    /// What the range says, for EXPLAIN.
    pub(crate) conditions: Vec<Described>,
}

/// A column of a key.
#[derive(Clone, Copy)]
pub(crate) struct KeyColumn {
    pub(crate) ty: Oid,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// A value where a column's values are looked for.
enum Fitted {
    Value(Datum),
    /// Less than any value of the column's type.
    Below,
    /// Greater than any.
    Above,
}

impl KeyColumn {
    /// A value as one of the column's type: an integer may have been written in another width.
    fn fitted(self, value: Datum) -> Fitted {
        let number = match (self.ty, &value) {
            (type_oid::INT2, Datum::Int4(number)) => i64::from(*number),
            (type_oid::INT2 | type_oid::INT4, Datum::Int8(number)) => *number,
            (type_oid::INT4 | type_oid::INT8, Datum::Int2(number)) => i64::from(*number),
            (type_oid::INT8, Datum::Int4(number)) => i64::from(*number),
            _ => return Fitted::Value(value),
        };
        let fitted = match self.ty {
            type_oid::INT2 => i16::try_from(number).map(Datum::Int2).ok(),
            type_oid::INT4 => i32::try_from(number).map(Datum::Int4).ok(),
            _ => Some(Datum::Int8(number)),
        };
        match fitted {
            Some(value) => Fitted::Value(value),
            None if number < 0 => Fitted::Below,
            None => Fitted::Above,
        }
    }

    fn encode(self, value: &Datum, out: &mut Vec<u8>) -> SqlResult<()> {
        key::encode(self.ty, value, self.descending, self.nulls_first, out)
    }
}

impl RangePlan {
    /// The ranges in one execution, in the order they are read.
    pub(crate) fn ranges(
        &self,
        value_of: &mut dyn FnMut(&Arc<Scalar>) -> SqlResult<Datum>,
    ) -> SqlResult<VecDeque<KeyRange>> {
        let Some(any) = &self.any else {
            let range = self.range(value_of)?;
            return Ok(range.into_iter().collect());
        };
        let mut prefix = Vec::new();
        for (scalar, column) in self.equal.iter().zip(&self.keys) {
            let value = match scalar {
                Some(scalar) => value_of(scalar)?,
                None => Datum::Null,
            };
            if value.is_null() && scalar.is_some() {
                return Ok(VecDeque::new());
            }
            let Fitted::Value(value) = column.fitted(value) else { return Ok(VecDeque::new()) };
            column.encode(&value, &mut prefix)?;
        }
        let column = self.keys[self.equal.len()];
        let Datum::Array(array) = value_of(any)? else { return Ok(VecDeque::new()) };
        let mut keys = BTreeSet::new();
        for value in array.elements.iter().filter(|value| !value.is_null()) {
            let mut key = prefix.clone();
            column.encode(value, &mut key)?;
            keys.insert(key);
        }
        Ok(keys.iter().map(|key| KeyRange::prefix(key)).collect())
    }

    /// The row key that the range consists of, if it is one: `Some(None)` where a value is NULL.
    pub(crate) fn one_key(
        &self,
        value_of: &mut dyn FnMut(&Arc<Scalar>) -> SqlResult<Datum>,
    ) -> SqlResult<Option<Option<Vec<u8>>>> {
        let whole = self.index.is_none() && self.equal.len() == self.keys.len();
        if !whole || self.any.is_some() || self.equal.iter().any(Option::is_none) {
            return Ok(None);
        }
        let mut key = Vec::new();
        for (scalar, column) in self.equal.iter().flatten().zip(&self.keys) {
            let value = value_of(scalar)?;
            if value.is_null() {
                return Ok(Some(None));
            }
            let Fitted::Value(value) = column.fitted(value) else { return Ok(Some(None)) };
            column.encode(&value, &mut key)?;
        }
        Ok(Some(Some(key)))
    }

    /// The range for these values; `None` if nothing can lie in it.
    pub(crate) fn range(
        &self,
        value_of: &mut dyn FnMut(&Arc<Scalar>) -> SqlResult<Datum>,
    ) -> SqlResult<Option<KeyRange>> {
        let mut prefix = Vec::new();
        for (scalar, column) in self.equal.iter().zip(&self.keys) {
            let value = match scalar {
                Some(scalar) => value_of(scalar)?,
                None => Datum::Null,
            };
            if value.is_null() && scalar.is_some() {
                return Ok(None);
            }
            let Fitted::Value(value) = column.fitted(value) else { return Ok(None) };
            column.encode(&value, &mut prefix)?;
        }
        let mut range = KeyRange::prefix(&prefix);
        let Some(column) = self.keys.get(self.equal.len()) else { return Ok(Some(range)) };
        let (mut low, mut high) = (&self.lower, &self.upper);
        if low.is_none() && high.is_none() && !self.not_null {
            return Ok(Some(range));
        }
        if column.descending {
            std::mem::swap(&mut low, &mut high);
        }
        // Values, not NULLs: comparisons are never true of NULL. Their marker is 2.
        let mut values = prefix.clone();
        values.push(2);
        range = KeyRange::prefix(&values);
        for (bound, is_lower) in [(low, true), (high, false)] {
            let Some((scalar, inclusive)) = bound else { continue };
            let value = value_of(scalar)?;
            if value.is_null() {
                return Ok(None);
            }
            // `is_lower` is of the key, which may descend.
            let is_floor = is_lower != column.descending;
            let value = match column.fitted(value) {
                Fitted::Value(value) => value,
                Fitted::Below if is_floor => continue,
                Fitted::Above if !is_floor => continue,
                Fitted::Below | Fitted::Above => return Ok(None),
            };
            let mut bytes = prefix.clone();
            column.encode(&value, &mut bytes)?;
            let around = KeyRange::prefix(&bytes);
            match (is_lower, inclusive) {
                (true, true) => range.lower = around.lower,
                (true, false) => range.lower = after(around.upper),
                (false, true) => range.upper = around.upper,
                (false, false) => range.upper = Bound::Excluded(Key::new(&bytes)),
            }
        }
        Ok(if range.is_empty() { None } else { Some(range) })
    }

    /// The row key that an entry of the index points to.
    pub(crate) fn row_key<'a>(&self, entry: RowRef<'a>) -> SqlResult<&'a [u8]> {
        if !entry.value.is_empty() {
            return Ok(entry.value);
        }
        let mut rest = entry.key;
        for column in &self.keys {
            key::skip(column.ty, column.descending, &mut rest)?;
        }
        Ok(rest)
    }
}

fn after(upper: Bound<Key>) -> Bound<Key> {
    match upper {
        Bound::Excluded(key) => Bound::Included(key),
        other => other,
    }
}

impl ScanPlan {
    /// The ranges that one of its plans reads in a view, in their order.
    pub(crate) fn ranges(
        &self,
        range: &RangePlan,
        view: &ReadView,
        value_of: &mut dyn FnMut(&Arc<Scalar>) -> SqlResult<Datum>,
    ) -> SqlResult<VecDeque<KeyRange>> {
        match range.along {
            None => range.ranges(value_of),
            Some(column) => {
                let along = Along { view, trees: &self.tree, layout: &self.layout, column };
                along.ranges(range, value_of)
            }
        }
    }
}

struct State {
    plan: ScanPlan,
    schema: SchemaRef,
    types: Vec<TypeRef>,
    run: Arc<Run>,
    view: ReadView,
    tree: Trees,
    /// What is still to be read after the scan.
    ranges: VecDeque<KeyRange>,
    direction: Direction,
    scan: Option<Scan>,
    block: Block,
}

impl ScanPlan {
    /// What the inner side of a join by key is counted by.
    pub(crate) fn address(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self) as usize
    }

    pub(crate) fn start(
        &self,
        types: &[TypeRef],
        run: &Arc<Run>,
    ) -> SqlResult<Arc<dyn ExecutionPlan>> {
        let (plan, types_of_output, run) = (self.clone(), types.to_vec(), run.clone());
        Ok(Node::new("Seq Scan", types, Vec::new(), move |_, _| {
            let state = (plan.clone(), types_of_output.clone(), run.clone());
            let opened = futures::stream::once(async move {
                let (plan, types, run) = state;
                let state = State::open(plan, types, run).map_err(external)?;
                Ok::<_, datafusion::common::DataFusionError>(futures::stream::try_unfold(
                    state,
                    |mut state| async move {
                        let batch = state.next().map_err(external)?;
                        Ok(batch.map(|batch| (batch, state)))
                    },
                ))
            });
            Ok(futures::TryStreamExt::try_flatten(opened).boxed())
        }))
    }

    /// Adds the row that an entry of the tree that is read stands for, if it is one.
    pub(crate) fn fill_entry(
        &self,
        builders: &mut [ColumnBuilder],
        entry: RowRef<'_>,
        view: &ReadView,
    ) -> SqlResult<bool> {
        let Access::Range(range @ RangePlan { index: Some(_), .. }) = &self.access else {
            if !self.layout.is_there(entry.value, view.time_us())? {
                return Ok(false);
            }
            self.fill(builders, entry.key, entry.value, entry.seq.0)?;
            return Ok(true);
        };
        let row_key = range.row_key(entry)?;
        let Some(row) = view.get_in(&self.tree, row_key)? else { return Ok(false) };
        if !self.layout.is_there(&row.value, view.time_us())? {
            return Ok(false);
        }
        self.fill(builders, row_key, &row.value, row.seq.0)?;
        Ok(true)
    }

    /// The wanted columns of a row, if it is still there in the view that found it.
    pub(crate) fn datums(
        &self,
        row_key: &[u8],
        value: &[u8],
        seq: u64,
        view: &ReadView,
    ) -> SqlResult<Option<Vec<Datum>>> {
        if !self.layout.is_there(value, view.time_us())? {
            return Ok(None);
        }
        if self.columns.is_empty() {
            return Ok(Some(vec![Datum::Null]));
        }
        let mut row = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            row.push(match *column {
                0 => {
                    let mut row = self.layout.decode(value)?;
                    let mut columns = self.relation.columns.iter();
                    row.retain(|_| columns.next().is_some_and(|column| !column.dropped));
                    Datum::composite(self.relation.row_type, row)
                }
                ROW_KEY => Datum::Bytea(row_key.into()),
                TABLE_OID => Datum::Oid(self.relation.oid),
                // The counter of commits, cut to the width of PostgreSQL's.
                XMIN => Datum::Oid(Oid(seq as u32)),
                number => {
                    let at = usize::try_from(number - 1)
                        .map_err(|_| SqlError::unsupported("this system column"))?;
                    self.layout.decode_column(value, at)?
                }
            });
        }
        Ok(Some(row))
    }

    pub(crate) fn fill(
        &self,
        builders: &mut [ColumnBuilder],
        row_key: &[u8],
        value: &[u8],
        seq: u64,
    ) -> SqlResult<()> {
        if self.columns.is_empty() {
            return builders[0].push(&Datum::Null);
        }
        for (builder, column) in builders.iter_mut().zip(&self.columns) {
            match *column {
                0 => {
                    let mut row = self.layout.decode(value)?;
                    let mut columns = self.relation.columns.iter();
                    row.retain(|_| columns.next().is_some_and(|column| !column.dropped));
                    builder.push(&Datum::composite(self.relation.row_type, row))?;
                }
                ROW_KEY => builder.push(&Datum::Bytea(row_key.into()))?,
                TABLE_OID => builder.push(&Datum::Oid(self.relation.oid))?,
                // The counter of commits, cut to the width of PostgreSQL's.
                XMIN => builder.push(&Datum::Oid(Oid(seq as u32)))?,
                number => {
                    let at = usize::try_from(number - 1)
                        .map_err(|_| SqlError::unsupported("this system column"))?;
                    builder.push_stored(self.layout.raw(value, at)?)?;
                }
            }
        }
        Ok(())
    }
}

impl State {
    fn open(plan: ScanPlan, types: Vec<TypeRef>, run: Arc<Run>) -> SqlResult<Self> {
        let view = run.context.view.clone();
        let mut direction = Direction::Forward;
        let (tree, ranges) = match &plan.access {
            Access::All => (plan.tree.clone(), VecDeque::from([KeyRange::all()])),
            Access::RowKey(scalar) => match scalar.alone(&run)? {
                Datum::Bytea(key) => (plan.tree.clone(), VecDeque::from([KeyRange::one(&key)])),
                _ => (plan.tree.clone(), VecDeque::new()),
            },
            Access::Range(range) => {
                direction = range.direction;
                let ranges = plan.ranges(range, &view, &mut |scalar| scalar.alone(&run))?;
                (range.index.clone().unwrap_or_else(|| plan.tree.clone()), ranges)
            }
        };
        let schema = schema(&types);
        let (scan, block) = (None, Block::default());
        Ok(Self { plan, schema, types, run, view, tree, ranges, direction, scan, block })
    }

    fn next(&mut self) -> SqlResult<Option<RecordBatch>> {
        let mut builders: Vec<ColumnBuilder> =
            self.types.iter().map(|ty| ColumnBuilder::new(*ty)).collect();
        let mut rows = 0;
        while rows < BATCH_ROWS {
            self.run.context.cancel.check()?;
            let Some(scan) = &mut self.scan else {
                let Some(range) = self.ranges.pop_front() else { break };
                self.scan = Some(self.view.scan_in(&self.tree, range, self.direction)?);
                continue;
            };
            if !scan.next_block(&mut self.block)? {
                self.scan = None;
                continue;
            }
            for entry in self.block.iter() {
                rows += usize::from(self.plan.fill_entry(&mut builders, entry, &self.view)?);
            }
            if rows > 0 && rows < 64 {
                // A short scan's first rows go up at once, for a LIMIT above.
                break;
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        let columns = builders.iter_mut().map(ColumnBuilder::finish).collect();
        new_batch(&self.schema, columns, rows).map(Some)
    }
}
