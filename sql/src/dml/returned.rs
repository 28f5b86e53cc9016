//! The rows that a change of data returns: kept until the statement has ended, because none may be
//! seen of a statement that fails. Beyond the query's memory they lie in a temporary file without a
//! name, which is gone with the process whatever happens to it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use aegis_types::{Datum, SqlError, SqlResult, SqlState, TypeRef, type_oid};
use async_trait::async_trait;

use crate::query_engine::{DatumRows, RowBatch, RowStream};
use crate::row::{decode_datum, encode_datum};

/// How many rows a batch read back from the file has at most.
const BATCH_ROWS: usize = 1024;

/// How many bytes of values a batch read back from the file has, unless a single row has more.
const BATCH_BYTES: usize = 1 << 20;

/// Rows in the order in which they were pushed.
#[derive(Debug)]
pub struct ReturnedRows {
    types: Vec<TypeRef>,
    memory_bytes: usize,
    temporary_files: Arc<Path>,
    rows: Vec<Vec<Datum>>,
    held_bytes: usize,
    spilled: Option<Spill>,
    count: u64,
}

#[derive(Debug)]
struct Spill {
    file: BufWriter<File>,
    rows: u64,
    line: Vec<u8>,
}

impl ReturnedRows {
    /// No rows yet, of columns of these types; beyond `memory_bytes` they go to a file that is made
    /// in `temporary_files`.
    #[must_use]
    pub fn new(types: Vec<TypeRef>, memory_bytes: usize, temporary_files: Arc<Path>) -> Self {
        Self {
            types,
            memory_bytes,
            temporary_files,
            rows: Vec::new(),
            held_bytes: 0,
            spilled: None,
            count: 0,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a row: a datum for every column.
    ///
    /// # Errors
    /// 53100 and 58030 where the temporary file cannot be written; 53200 for rows beyond memory that
    /// hold anonymous records, which have no stored form.
    pub fn push(&mut self, row: Vec<Datum>) -> SqlResult<()> {
        self.count += 1;
        if self.spilled.is_none() {
            let bytes =
                row.iter().map(Datum::memory_bytes).sum::<usize>() + size_of::<Vec<Datum>>();
            if self.held_bytes.saturating_add(bytes) <= self.memory_bytes {
                self.held_bytes += bytes;
                self.rows.push(row);
                return Ok(());
            }
            if self.types.iter().any(|ty| ty.oid == type_oid::RECORD) {
                return Err(SqlError::new(SqlState::OutOfMemory, "out of memory")
                    .detail("Rows that hold anonymous records cannot be spilled to disk."));
            }
            let file = tempfile::tempfile_in(&self.temporary_files).map_err(|e| unusable(&e))?;
            self.spilled = Some(Spill { file: BufWriter::new(file), rows: 0, line: Vec::new() });
        }
        match &mut self.spilled {
            Some(spill) => spill.push(&self.types, &row),
            None => Ok(()),
        }
    }

    /// Gives the rows, first to last.
    ///
    /// # Errors
    /// 53100 and 58030 where the temporary file cannot be written or read.
    pub fn into_stream(mut self) -> SqlResult<Box<dyn RowStream>> {
        let held = std::mem::take(&mut self.rows);
        let spilled = self.keep()?.spilled();
        Ok(Box::new(ReturnedStream { held: Some(held), spilled }))
    }

    /// Ends the writing: what is there can be read as often as wanted.
    ///
    /// # Errors
    /// 53100 and 58030 where the temporary file cannot be written.
    pub fn keep(self) -> SqlResult<KeptRows> {
        let spilled = match self.spilled {
            None => None,
            Some(spill) => {
                let file = spill.file.into_inner().map_err(|e| unusable(e.error()))?;
                Some((Arc::new(file), spill.rows))
            }
        };
        Ok(KeptRows { types: self.types.into(), held: self.rows.into(), spilled })
    }
}

/// Rows that are complete: to be read from the first, as often as wanted.
#[derive(Clone, Debug)]
pub struct KeptRows {
    types: Arc<[TypeRef]>,
    held: Arc<[Vec<Datum>]>,
    spilled: Option<(Arc<File>, u64)>,
}

impl KeptRows {
    /// The rows in batches of bounded size.
    pub fn batches(&self) -> impl Iterator<Item = SqlResult<Vec<Vec<Datum>>>> + Send + use<> {
        let held = self.held.clone();
        let mut at = 0;
        let mut spilled = self.spilled();
        std::iter::from_fn(move || {
            if at < held.len() {
                let end = held.len().min(at + BATCH_ROWS);
                let batch = held[at..end].to_vec();
                at = end;
                return Some(Ok(batch));
            }
            let rows = spilled.as_mut()?.next_batch();
            rows.map(|rows| (!rows.is_empty()).then_some(rows)).transpose()
        })
    }

    /// About how many rows there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.held.len() as u64 + self.spilled.as_ref().map_or(0, |(_, rows)| *rows)
    }

    fn spilled(&self) -> Option<SpilledRows> {
        self.spilled.as_ref().map(|(file, rows)| SpilledRows {
            types: self.types.clone(),
            file: BufReader::new(ReadFrom { file: file.clone(), position: 0 }),
            left: *rows,
        })
    }
}

/// A file read from a place of one's own.
struct ReadFrom {
    file: Arc<File>,
    position: u64,
}

impl Read for ReadFrom {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(into, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Spill {
    fn push(&mut self, types: &[TypeRef], row: &[Datum]) -> SqlResult<()> {
        self.line.clear();
        encode_row(types, row, &mut self.line)?;
        self.rows += 1;
        self.file.write_all(&self.line).map_err(|e| unusable(&e))
    }
}

/// Appends a row: for each value its length in bytes less than `u32::MAX`, which stands for NULL,
/// and its stored form.
pub(crate) fn encode_row(types: &[TypeRef], row: &[Datum], out: &mut Vec<u8>) -> SqlResult<()> {
    for (ty, datum) in types.iter().zip(row) {
        let start = out.len();
        out.extend_from_slice(&u32::MAX.to_le_bytes());
        if datum.is_null() {
            continue;
        }
        encode_datum(ty.oid, datum, out);
        let length = u32::try_from(out.len() - start - 4)
            .ok()
            .filter(|length| *length < u32::MAX)
            .ok_or_else(|| {
                SqlError::new(SqlState::ProgramLimitExceeded, "a returned value is too large")
            })?;
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

struct ReturnedStream {
    /// Those in memory come first; `None` once they are given.
    held: Option<Vec<Vec<Datum>>>,
    spilled: Option<SpilledRows>,
}

struct SpilledRows {
    types: Arc<[TypeRef]>,
    file: BufReader<ReadFrom>,
    left: u64,
}

impl SpilledRows {
    fn next_batch(&mut self) -> SqlResult<Vec<Vec<Datum>>> {
        let types = self.types.clone();
        let mut rows = Vec::new();
        let mut batch_bytes = 0;
        let mut stored = Vec::new();
        while self.left > 0 && rows.len() < BATCH_ROWS && batch_bytes < BATCH_BYTES {
            let mut row = Vec::with_capacity(types.len());
            for ty in types.iter() {
                let mut length = [0; 4];
                self.file.read_exact(&mut length).map_err(|e| unusable(&e))?;
                let length = u32::from_le_bytes(length);
                if length == u32::MAX {
                    row.push(Datum::Null);
                    continue;
                }
                stored.resize(length as usize, 0);
                self.file.read_exact(&mut stored).map_err(|e| unusable(&e))?;
                batch_bytes += stored.len();
                row.push(decode_datum(*ty, &stored)?);
            }
            rows.push(row);
            self.left -= 1;
        }
        Ok(rows)
    }
}

#[async_trait]
impl RowStream for ReturnedStream {
    async fn next(&mut self) -> SqlResult<Option<Box<dyn RowBatch>>> {
        if let Some(held) = self.held.take().filter(|held| !held.is_empty()) {
            return Ok(Some(Box::new(DatumRows(held))));
        }
        let Some(spilled) = &mut self.spilled else {
            return Ok(None);
        };
        let rows = spilled.next_batch()?;
        Ok((!rows.is_empty()).then(|| Box::new(DatumRows(rows)) as Box<dyn RowBatch>))
    }
}

/// 53100 for a full disk, 58030 for any other trouble with the temporary file.
pub(crate) fn unusable(error: &std::io::Error) -> SqlError {
    let state = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => SqlState::DiskFull,
        _ => SqlState::IoError,
    };
    SqlError::new(state, format!("could not use a temporary file: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: i32) -> Vec<Datum> {
        vec![
            Datum::Int4(n),
            if n % 3 == 0 { Datum::Null } else { Datum::text(format!("row {n}")) },
            Datum::Numeric("1.50".parse().unwrap()),
        ]
    }

    /// Pushes `count` rows and reads them back.
    async fn through(count: i32, memory_bytes: usize) -> Vec<String> {
        let types = [type_oid::INT4, type_oid::TEXT, type_oid::NUMERIC].map(TypeRef::plain);
        let folder = tempfile::tempdir().unwrap();
        let mut rows = ReturnedRows::new(types.to_vec(), memory_bytes, folder.path().into());
        for n in 0..count {
            rows.push(row(n)).unwrap();
        }
        assert_eq!(rows.count(), u64::try_from(count).unwrap());
        assert_eq!(rows.spilled.is_some(), memory_bytes < 1 << 20);
        let mut stream = rows.into_stream().unwrap();
        let mut read = Vec::new();
        while let Some(batch) = stream.next().await.unwrap() {
            read.extend((0..batch.len()).map(|at| format!("{:?}", batch.row(at))));
        }
        read
    }

    #[tokio::test]
    async fn rows_come_back_in_order_from_memory_and_from_the_file() {
        let expected: Vec<String> = (0..5000).map(|n| format!("{:?}", row(n))).collect();
        assert_eq!(through(5000, 1 << 30).await, expected);
        assert_eq!(through(5000, 10_000).await, expected);
        assert_eq!(through(5000, 0).await, expected);
    }

    #[test]
    fn anonymous_records_do_not_grow_beyond_memory() {
        let types = vec![TypeRef::plain(type_oid::RECORD)];
        let mut rows = ReturnedRows::new(types, 0, std::env::temp_dir().into());
        let error = rows.push(vec![Datum::record([Datum::Int4(1)])]).unwrap_err();
        assert_eq!(error.code(), SqlState::OutOfMemory);
    }
}
