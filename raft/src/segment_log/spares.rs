//! Segment files that wait for their turn: made of zeros ahead of need, or recycled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Segment;
use crate::disk::{Disk, DiskFile};
use crate::error::LogError;

/// More spares than this are given back to the file system.
const SPARES_MAX: usize = 4;
/// Zeros are written in pieces of this.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A file that is allocated in full and named `spare-…`.
pub(crate) struct Spare {
    pub(crate) name: String,
    pub(crate) file: Arc<dyn DiskFile>,
}

/// The stock of spare segments, all of the usual length. Shared between the log and the thread
/// that fills the stock.
pub(crate) struct Spares {
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    stock: Mutex<Vec<Spare>>,
    /// Held while a file is made, so that a nearly full disk is not asked for two at once.
    making: Mutex<()>,
    next_number: AtomicU64,
}

impl Spares {
    /// An empty stock over `disk`.
    pub(super) fn new(disk: Arc<dyn Disk>, segment_bytes: u64) -> Self {
        Self {
            disk,
            segment_bytes,
            stock: Mutex::new(Vec::new()),
            making: Mutex::new(()),
            next_number: AtomicU64::new(1),
        }
    }

    /// Takes over a spare file found at start, or removes it if it is of no use.
    pub(super) fn adopt(&self, name: &str) -> Result<(), LogError> {
        if let Some(number) = number_of(name) {
            let next = number.saturating_add(1);
            self.next_number.fetch_max(next, Ordering::Relaxed);
        }
        let file = self.disk.open(name).map_err(io("open", name))?;
        let length = file.length().map_err(io("measure", name))?;
        let mut stock = self.stock.lock();
        if length == self.segment_bytes && stock.len() < SPARES_MAX {
            stock.push(Spare { name: name.to_owned(), file });
            return Ok(());
        }
        self.disk.remove(name).map_err(io("remove", name))
    }

    /// Bytes of log that the stock has room for, a little rounded down.
    pub(crate) fn room_bytes(&self) -> u64 {
        let usable = self.segment_bytes.saturating_sub(super::PAGE_BYTES);
        self.stock.lock().len() as u64 * usable
    }

    /// Makes one spare if there is none. Takes as long as writing a segment.
    pub(crate) fn prepare(&self) -> Result<(), LogError> {
        let _making = self.making.lock();
        if !self.stock.lock().is_empty() {
            return Ok(());
        }
        let spare = self.create(self.segment_bytes)?;
        self.stock.lock().push(spare);
        Ok(())
    }

    /// A file of `capacity` bytes: from the stock if it is of the usual length, else made now.
    pub(super) fn take(&self, capacity: u64) -> Result<Spare, LogError> {
        let from_stock = || {
            let mut stock = self.stock.lock();
            if capacity == self.segment_bytes { stock.pop() } else { None }
        };
        if let Some(spare) = from_stock() {
            return Ok(spare);
        }
        let _making = self.making.lock();
        match from_stock() {
            Some(spare) => Ok(spare),
            None => self.create(capacity),
        }
    }

    /// Turns a segment that is no longer needed into a spare, or removes it.
    pub(super) fn recycle(&self, segment: &Segment) -> Result<(), LogError> {
        let mut stock = self.stock.lock();
        if segment.capacity == self.segment_bytes && stock.len() < SPARES_MAX {
            let name = self.next_name();
            self.disk.rename(&segment.name, &name).map_err(io("rename", &segment.name))?;
            stock.push(Spare { name, file: Arc::clone(&segment.file) });
        } else {
            self.disk.remove(&segment.name).map_err(io("remove", &segment.name))?;
        }
        // One by one: whatever order a crash leaves, the segments that remain have no gap.
        self.disk.sync_names().map_err(io("sync the name of", &segment.name))
    }

    /// Makes a file of zeros, durably allocated. Leaves nothing behind if the disk is full.
    fn create(&self, capacity: u64) -> Result<Spare, LogError> {
        let name = self.next_name();
        let file = self.disk.create(&name).map_err(io("create", &name))?;
        let filled = fill_with_zeros(file.as_ref(), capacity);
        if let Err(source) = filled {
            // The first error is the one to report.
            let _ = self.disk.remove(&name);
            return Err(io("allocate", &name)(source));
        }
        Ok(Spare { name, file })
    }

    fn next_name(&self) -> String {
        format!("spare-{:016x}", self.next_number.fetch_add(1, Ordering::Relaxed))
    }
}

/// Whether this is the name of a spare.
pub(super) fn is_spare(name: &str) -> bool {
    number_of(name).is_some()
}

fn number_of(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix("spare-")?, 16).ok()
}

fn fill_with_zeros(file: &dyn DiskFile, capacity: u64) -> std::io::Result<()> {
    let mut offset = 0;
    while offset < capacity {
        let piece = (capacity - offset).min(ZEROS.len() as u64);
        file.write_at(&ZEROS[..piece as usize], offset)?;
        offset += piece;
    }
    file.sync_data()
}

fn io(action: &'static str, file: &str) -> impl FnOnce(std::io::Error) -> LogError {
    let file = file.to_owned();
    move |source| LogError::Io { action, file, source }
}
