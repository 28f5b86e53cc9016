//! The log's files in a folder of the disk that storage uses: one data directory, one lock, and in a
//! simulation one power supply.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aegis_storage::OpenMode;

use super::{Disk, DiskFile};

/// One folder of an [`aegis_storage::Disk`].
#[derive(Debug)]
pub struct Folder {
    disk: Arc<dyn aegis_storage::Disk>,
    path: PathBuf,
}

impl Folder {
    /// Opens the folder at `path`, making it if it is not there.
    ///
    /// # Errors
    /// What the disk raises.
    pub fn open(disk: Arc<dyn aegis_storage::Disk>, path: &Path) -> io::Result<Self> {
        disk.create_dir_all(path)?;
        if let Some(parent) = path.parent() {
            disk.sync_dir(parent)?;
        }
        Ok(Self { disk, path: path.to_owned() })
    }
}

impl Disk for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list(&self.path)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(&self.path.join(name), OpenMode::OpenOrCreate)?;
        file.set_len(0)?;
        Ok(Arc::new(FolderFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(&self.path.join(name), OpenMode::Existing)?;
        Ok(Arc::new(FolderFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(&self.path.join(from), &self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(&self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.disk.sync_dir(&self.path)
    }
}

struct FolderFile(Arc<dyn aegis_storage::File>);

impl DiskFile for FolderFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.0.len()?.saturating_sub(offset);
        let length = usize::try_from(rest).unwrap_or(usize::MAX).min(buffer.len());
        self.0.read_at(&mut buffer[..length], offset)?;
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn length(&self) -> io::Result<u64> {
        self.0.len()
    }
}
