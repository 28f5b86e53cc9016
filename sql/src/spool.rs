//! Rows kept to be read again from any place: what a cursor scrolls over, and what a cursor that
//! outlives its transaction is made of. A part lies in memory; beyond it blocks of rows lie in a
//! temporary file without a name, and only where each block begins is held.
//!
//! ```text
//! push ──► open block ──full──► memory, as long as there is room
//!                               └─────► file: [length value]… a row after another
//! block_at(row) ──► the block that holds it, decoded; the last one read is kept
//! ```

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use aegis_types::{Datum, SqlError, SqlResult, SqlState, TypeRef, type_oid};

use crate::dml::returned::{encode_row, unusable};
use crate::row::decode_datum;

/// How many rows a block has at most.
const BLOCK_ROWS: usize = 512;

/// How many bytes of values a block has, unless a single row has more.
const BLOCK_BYTES: usize = 128 << 10;

/// Rows of a block.
pub type SpoolRows = Arc<Vec<Vec<Datum>>>;

/// Rows in the order in which they were pushed, readable from any of them on.
#[derive(Debug)]
pub struct Spool {
    types: Vec<TypeRef>,
    memory_bytes: usize,
    temporary_files: Arc<Path>,
    blocks: Vec<Block>,
    /// The block that is being filled.
    open: Vec<Vec<Datum>>,
    open_bytes: usize,
    held_bytes: usize,
    file: Option<File>,
    file_bytes: u64,
    count: u64,
    /// The block of the file that was read last.
    cached: Option<(usize, SpoolRows)>,
}

#[derive(Debug)]
struct Block {
    first: u64,
    rows: BlockRows,
}

#[derive(Debug)]
enum BlockRows {
    Held(SpoolRows),
    Filed { offset: u64, bytes: usize, rows: usize },
}

impl Spool {
    /// No rows yet, of columns of these types; beyond `memory_bytes` they go to a file that is made
    /// in `temporary_files`.
    #[must_use]
    pub fn new(types: Vec<TypeRef>, memory_bytes: usize, temporary_files: Arc<Path>) -> Self {
        Self {
            types,
            memory_bytes,
            temporary_files,
            blocks: Vec::new(),
            open: Vec::new(),
            open_bytes: 0,
            held_bytes: 0,
            file: None,
            file_bytes: 0,
            count: 0,
            cached: None,
        }
    }

    /// How many rows there are.
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
        self.open_bytes +=
            row.iter().map(Datum::memory_bytes).sum::<usize>() + size_of::<Vec<Datum>>();
        self.open.push(row);
        self.count += 1;
        if self.open.len() >= BLOCK_ROWS || self.open_bytes >= BLOCK_BYTES {
            self.close_block()?;
        }
        Ok(())
    }

    fn close_block(&mut self) -> SqlResult<()> {
        let rows = std::mem::take(&mut self.open);
        let bytes = std::mem::take(&mut self.open_bytes);
        let first = self.count - rows.len() as u64;
        let fits = self.held_bytes.saturating_add(bytes) <= self.memory_bytes;
        let rows = if fits && self.file.is_none() {
            self.held_bytes += bytes;
            BlockRows::Held(Arc::new(rows))
        } else {
            self.write_block(&rows)?
        };
        self.blocks.push(Block { first, rows });
        Ok(())
    }

    fn write_block(&mut self, rows: &[Vec<Datum>]) -> SqlResult<BlockRows> {
        if self.types.iter().any(|ty| ty.oid == type_oid::RECORD) {
            return Err(SqlError::new(SqlState::OutOfMemory, "out of memory")
                .detail("Rows that hold anonymous records cannot be spilled to disk."));
        }
        let mut stored = Vec::new();
        for row in rows {
            encode_row(&self.types, row, &mut stored)?;
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = tempfile::tempfile_in(&self.temporary_files);
                none.insert(file.map_err(|e| unusable(&e))?)
            }
        };
        file.seek(SeekFrom::Start(self.file_bytes)).map_err(|e| unusable(&e))?;
        file.write_all(&stored).map_err(|e| unusable(&e))?;
        let offset = self.file_bytes;
        self.file_bytes += stored.len() as u64;
        Ok(BlockRows::Filed { offset, bytes: stored.len(), rows: rows.len() })
    }

    /// The rows around one of them, counted from 0: the number of the first, and the rows. `None`
    /// behind the last row.
    ///
    /// # Errors
    /// 53100 and 58030 where the temporary file cannot be read.
    pub fn block_at(&mut self, row: u64) -> SqlResult<Option<(u64, SpoolRows)>> {
        if row >= self.count {
            return Ok(None);
        }
        let first_open = self.count - self.open.len() as u64;
        if row >= first_open {
            return Ok(Some((first_open, Arc::new(self.open.clone()))));
        }
        let at = self.blocks.partition_point(|block| block.first <= row) - 1;
        let block = &self.blocks[at];
        let first = block.first;
        let (offset, bytes, count) = match &block.rows {
            BlockRows::Held(rows) => return Ok(Some((first, rows.clone()))),
            BlockRows::Filed { offset, bytes, rows } => (*offset, *bytes, *rows),
        };
        if let Some((cached, rows)) = &self.cached
            && *cached == at
        {
            return Ok(Some((first, rows.clone())));
        }
        let file =
            self.file.as_mut().ok_or_else(|| SqlError::internal("a spool has lost its file"))?;
        let mut stored = vec![0; bytes];
        file.seek(SeekFrom::Start(offset)).map_err(|e| unusable(&e))?;
        file.read_exact(&mut stored).map_err(|e| unusable(&e))?;
        let rows = Arc::new(decode_rows(&self.types, &stored, count)?);
        self.cached = Some((at, Arc::clone(&rows)));
        Ok(Some((first, rows)))
    }
}

fn decode_rows(types: &[TypeRef], mut stored: &[u8], count: usize) -> SqlResult<Vec<Vec<Datum>>> {
    let short = || SqlError::internal("a block of a spool is too short");
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let mut row = Vec::with_capacity(types.len());
        for ty in types {
            let (length, rest) = stored.split_first_chunk::<4>().ok_or_else(short)?;
            stored = rest;
            let length = u32::from_le_bytes(*length);
            if length == u32::MAX {
                row.push(Datum::Null);
                continue;
            }
            let (value, rest) = stored.split_at_checked(length as usize).ok_or_else(short)?;
            stored = rest;
            row.push(decode_datum(*ty, value)?);
        }
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_from_any_place_from_memory_and_from_the_file() {
        let types = [type_oid::INT4, type_oid::TEXT].map(TypeRef::plain).to_vec();
        let row = |n: i32| {
            vec![
                Datum::Int4(n),
                if n % 3 == 0 { Datum::Null } else { Datum::text(format!("row {n}")) },
            ]
        };
        for memory_bytes in [0, 100_000, 1 << 30] {
            let folder = tempfile::tempdir().unwrap();
            let mut spool = Spool::new(types.clone(), memory_bytes, folder.path().into());
            for n in 0..5000 {
                spool.push(row(n)).unwrap();
            }
            assert_eq!(spool.file.is_some(), memory_bytes < 1 << 30);
            for n in (0..5000).rev().chain([0, 4999, 513, 511, 512]) {
                let (first, rows) = spool.block_at(u64::try_from(n).unwrap()).unwrap().unwrap();
                let found = &rows[usize::try_from(n).unwrap() - usize::try_from(first).unwrap()];
                assert_eq!(format!("{found:?}"), format!("{:?}", row(n)));
            }
            assert!(spool.block_at(5000).unwrap().is_none());
        }
    }
}
