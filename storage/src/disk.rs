//! Everything that storage asks of a disk, so that a test can lose, tear and refuse what a real
//! one may lose, tear and refuse.
//!
//! Three disks stand behind [`Disk`]: [`RealDisk`], [`MemoryDisk`] and [`FaultDisk`]. One
//! conformance suite holds for all of them. Paths are relative to the data directory.

mod conformance;
mod fault;
mod memory;

use std::fmt::Debug;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Result, StorageError};

pub use fault::{Fault, FaultDisk};
pub use memory::MemoryDisk;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// It must be there: `NotFound` otherwise.
    Existing,
    /// It must not be there: `AlreadyExists` otherwise.
    CreateNew,
    /// Either.
    OpenOrCreate,
}

/// A directory tree. Names become durable by [`Disk::sync_dir`] alone, bytes by
/// [`File::sync_data`] alone.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Opens a file for reading and writing.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;
    /// Makes a directory and those above it, if they are not there.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// The names of the files in a directory, ascending.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Gives a file another name, in place of whatever had that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a name. Whoever has the file open can still read it.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// An open file. Positions are explicit, so that threads share a handle.
pub trait File: Debug + Send + Sync + 'static {
    /// How long it is, in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether it is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Fills `buffer` from `offset`; `UnexpectedEof` beyond the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`, lengthening the file as needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts the file, or lengthens it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes bytes and length durable. After an error nothing is known about either.
    fn sync_data(&self) -> io::Result<()>;
}

/// The file system of the operating system, below one directory, which no other process may have
/// open: nothing of it is touched before the lock is held, and the lock goes with the disk.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
    _lock: fs::File,
}

/// The file that carries the lock, and the number of the process that holds it. It is never listed.
const LOCK_FILE: &str = "aegis.pid";

impl RealDisk {
    /// Opens a directory, making it if it is not there; paths are relative to it.
    ///
    /// # Errors
    /// [`StorageError::InUse`] while another server has it open; 58030.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        fs::create_dir_all(&root)?;
        if let Some(parent) = fs::canonicalize(&root)?.parent() {
            fs::File::open(parent)?.sync_all()?;
        }
        let path = root.join(LOCK_FILE);
        let mut lock =
            fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                // Whoever holds it may not have written its number yet.
                let process_id = fs::read_to_string(&path).ok();
                let process_id = process_id.and_then(|text| text.trim().parse().ok());
                return Err(StorageError::InUse { directory: root, process_id });
            }
            Err(fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        lock.set_len(0)?;
        lock.write_all(format!("{}\n", std::process::id()).as_bytes())?;
        Ok(Self { root, _lock: lock })
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true);
        match mode {
            OpenMode::Existing => &mut options,
            OpenMode::CreateNew => options.create_new(true),
            OpenMode::OpenOrCreate => options.create(true).truncate(false),
        };
        Ok(Arc::new(RealFile(options.open(self.root.join(path))?)))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(self.root.join(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root.join(dir))? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
                && name != LOCK_FILE
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.root.join(from), self.root.join(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.root.join(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(self.root.join(dir))?.sync_all()
    }
}

#[derive(Debug)]
struct RealFile(fs::File);

impl File for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
