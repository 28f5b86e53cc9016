//! A disk that may lose, tear and refuse what a real one may.
//!
//! ```text
//! write A ─ sync ─ write B ─ write C ─ crash
//!    │                 │         │
//!    kept              kept, lost or torn, each for itself, as the seed has it
//! ```
//!
//! Every file has two images: what a reader sees now, and what is durable. Between them lies a
//! list of writes. [`FaultDisk::crash`] picks from that list with a seeded generator (kept, lost,
//! or torn at a sector of 512 bytes), and likewise a prefix of the changes of names that no
//! `sync_dir` has made durable. Nothing here is random but for the seed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::memory::{names_in, read_from, write_into};
use super::{Disk, File, OpenMode};

const SECTOR_BYTES: usize = 512;

/// What a [`FaultDisk`] is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// From the n-th changing operation on (writes, syncs, names), everything fails as if the
    /// power were gone, until [`FaultDisk::crash`].
    PowerLossAfter(u64),
    /// The n-th sync from now fails with EIO.
    SyncErrorAfter(u64),
    /// The n-th write from now fails with EIO.
    WriteErrorAfter(u64),
    /// Files together may hold this many bytes: ENOSPC beyond.
    Capacity(u64),
    /// No limit to the bytes any more.
    Unlimited,
}

/// A disk in memory with faults.
#[derive(Debug)]
pub struct FaultDisk {
    shared: Arc<Shared>,
    /// The boot that this handle is for; `None` for all.
    boot: Option<u64>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changes: AtomicU64,
}

#[derive(Debug)]
struct State {
    random: u64,
    /// What is seen now.
    names: BTreeMap<PathBuf, u64>,
    /// What would be there after a crash.
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names since, oldest first. What stands together survives together: a rename is
    /// one change.
    pending_names: Vec<Vec<(PathBuf, Option<u64>)>>,
    contents: BTreeMap<u64, Content>,
    next_content: u64,
    power_loss_at: Option<u64>,
    sync_error_in: Option<u64>,
    write_error_in: Option<u64>,
    capacity: Option<u64>,
    off: bool,
    /// Counts crashes: a handle from before one is dead.
    boot: u64,
}

#[derive(Debug, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Debug)]
enum Pending {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
}

impl FaultDisk {
    /// An empty disk whose faults follow from the seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    random: seed ^ 0x9E37_79B9_7F4A_7C15,
                    names: BTreeMap::new(),
                    durable_names: BTreeMap::new(),
                    pending_names: Vec::new(),
                    contents: BTreeMap::new(),
                    next_content: 0,
                    power_loss_at: None,
                    sync_error_in: None,
                    write_error_in: None,
                    capacity: None,
                    off: false,
                    boot: 0,
                }),
                changes: AtomicU64::new(0),
            }),
            boot: None,
        }
    }

    /// The same disk for whoever lives until the next crash: what is left of them afterwards, on
    /// whatever thread, reaches it no more.
    #[must_use]
    pub fn for_one_life(&self) -> Self {
        let boot = self.shared.state.lock().boot;
        Self { shared: self.shared.clone(), boot: Some(boot) }
    }

    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.shared.state.lock();
        if state.off || self.boot.is_some_and(|boot| boot != state.boot) {
            return Err(power_is_off());
        }
        Ok(state)
    }

    /// Arms a fault.
    pub fn inject(&self, fault: Fault) {
        let mut state = self.shared.state.lock();
        match fault {
            Fault::PowerLossAfter(n) => {
                state.power_loss_at = Some(self.shared.changes.load(Ordering::SeqCst) + n);
            }
            Fault::SyncErrorAfter(n) => state.sync_error_in = Some(n),
            Fault::WriteErrorAfter(n) => state.write_error_in = Some(n),
            Fault::Capacity(bytes) => state.capacity = Some(bytes),
            Fault::Unlimited => state.capacity = None,
        }
    }

    /// How many changing operations there were.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.shared.changes.load(Ordering::SeqCst)
    }

    /// Whether the power is gone.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.shared.state.lock().off
    }

    /// Cuts the power, if it is still on, and starts again from what was durable and what the
    /// seed lets survive of the rest. Every open handle is dead from here on.
    pub fn crash(&self) {
        let mut guard = self.shared.state.lock();
        let state = &mut *guard;
        let kept = (next_random(&mut state.random) as usize) % (state.pending_names.len() + 1);
        for change in state.pending_names.drain(..).take(kept) {
            apply_names(&mut state.durable_names, change);
        }
        state.names = state.durable_names.clone();
        for content in state.contents.values_mut() {
            for pending in content.pending.drain(..) {
                survive(&mut state.random, &mut content.durable, pending);
            }
            content.now = content.durable.clone();
        }
        let named: std::collections::BTreeSet<u64> = state.names.values().copied().collect();
        state.contents.retain(|id, _| named.contains(id));
        state.power_loss_at = None;
        state.sync_error_in = None;
        state.write_error_in = None;
        state.off = false;
        state.boot += 1;
    }
}

fn apply_names(names: &mut BTreeMap<PathBuf, u64>, change: Vec<(PathBuf, Option<u64>)>) {
    for (path, content) in change {
        match content {
            Some(content) => names.insert(path, content),
            None => names.remove(&path),
        };
    }
}

/// Lets a write that no sync covered reach the durable image whole, in part or not at all.
fn survive(random: &mut u64, durable: &mut Vec<u8>, pending: Pending) {
    let chance = next_random(random) % 4;
    match pending {
        Pending::SetLen(len) => {
            if chance != 0 {
                durable.resize(len as usize, 0);
            }
        }
        Pending::Write { offset, bytes } => {
            let written = match chance {
                0 => 0,
                1 => {
                    let sectors = bytes.len() / SECTOR_BYTES + 1;
                    (next_random(random) as usize % sectors) * SECTOR_BYTES
                }
                _ => bytes.len(),
            };
            if written > 0 {
                write_into(durable, &bytes[..written], offset)
                    .expect("the same write fitted the image that readers saw");
            }
        }
    }
}

/// splitmix64.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

impl Shared {
    /// Counts a changing operation, and cuts the power when its time has come.
    fn change(&self, state: &mut State) -> io::Result<()> {
        let nth = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        if state.power_loss_at.is_some_and(|at| nth >= at) {
            state.off = true;
        }
        if state.off {
            return Err(power_is_off());
        }
        Ok(())
    }
}

fn due(counter: &mut Option<u64>) -> bool {
    match counter {
        Some(0) => {
            *counter = None;
            true
        }
        Some(n) => {
            *n -= 1;
            false
        }
        None => false,
    }
}

impl State {
    fn check_capacity(&self, id: u64, new_len: usize) -> io::Result<()> {
        let Some(capacity) = self.capacity else {
            return Ok(());
        };
        let old_len = self.contents.get(&id).map_or(0, |content| content.now.len());
        let total: usize = self.contents.values().map(|content| content.now.len()).sum();
        if new_len > old_len && (total - old_len + new_len) as u64 > capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl Disk for FaultDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut guard = self.state()?;
        let state = &mut *guard;
        let content = match (state.names.get(path), mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(content), _) => *content,
            (None, OpenMode::Existing) => return Err(io::ErrorKind::NotFound.into()),
            (None, _) => {
                self.shared.change(state)?;
                let content = state.next_content;
                state.next_content += 1;
                state.contents.insert(content, Content::default());
                state.names.insert(path.to_path_buf(), content);
                state.pending_names.push(vec![(path.to_path_buf(), Some(content))]);
                content
            }
        };
        Ok(Arc::new(FaultFile { shared: self.shared.clone(), content, boot: state.boot }))
    }

    fn create_dir_all(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state()?;
        Ok(names_in(state.names.keys(), dir))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state()?;
        self.shared.change(&mut state)?;
        let content = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_path_buf(), content);
        let change = vec![(from.to_path_buf(), None), (to.to_path_buf(), Some(content))];
        state.pending_names.push(change);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state()?;
        self.shared.change(&mut state)?;
        state.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        state.pending_names.push(vec![(path.to_path_buf(), None)]);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut guard = self.state()?;
        let state = &mut *guard;
        self.shared.change(state)?;
        if due(&mut state.sync_error_in) {
            return Err(io::Error::other("injected EIO on sync"));
        }
        let pending = std::mem::take(&mut state.pending_names);
        for change in pending {
            if change.iter().any(|(path, _)| path.parent() == Some(dir)) {
                apply_names(&mut state.durable_names, change);
            } else {
                state.pending_names.push(change);
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct FaultFile {
    shared: Arc<Shared>,
    content: u64,
    boot: u64,
}

impl FaultFile {
    fn with<T>(
        &self,
        changes: bool,
        act: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.shared.state.lock();
        if state.off || state.boot != self.boot {
            return Err(power_is_off());
        }
        if changes {
            self.shared.change(&mut state)?;
        }
        act(&mut state)
    }

    fn content<'a>(&self, state: &'a mut State) -> &'a mut Content {
        state
            .contents
            .get_mut(&self.content)
            .expect("contents leave at a crash alone, and a handle from before one is refused")
    }
}

impl File for FaultFile {
    fn len(&self) -> io::Result<u64> {
        self.with(false, |state| Ok(self.content(state).now.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(false, |state| read_from(&self.content(state).now, buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(true, |state| {
            if due(&mut state.write_error_in) {
                return Err(io::Error::other("injected EIO on write"));
            }
            let end = usize::try_from(offset)
                .ok()
                .and_then(|offset| offset.checked_add(bytes.len()))
                .ok_or(io::ErrorKind::InvalidInput)?;
            state.check_capacity(self.content, end)?;
            let content = self.content(state);
            write_into(&mut content.now, bytes, offset)?;
            content.pending.push(Pending::Write { offset, bytes: bytes.to_vec() });
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(true, |state| {
            let new_len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
            state.check_capacity(self.content, new_len)?;
            let content = self.content(state);
            content.now.resize(new_len, 0);
            content.pending.push(Pending::SetLen(len));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(true, |state| {
            if due(&mut state.sync_error_in) {
                return Err(io::Error::other("injected EIO on sync"));
            }
            let content = self.content(state);
            for pending in content.pending.drain(..) {
                match pending {
                    Pending::SetLen(len) => content.durable.resize(len as usize, 0),
                    Pending::Write { offset, bytes } => {
                        write_into(&mut content.durable, &bytes, offset)?;
                    }
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_survives_a_crash_and_the_rest_may_not() {
        let mut lost = 0;
        for seed in 0..50 {
            let disk = FaultDisk::new(seed);
            let file = disk.open(Path::new("f"), OpenMode::CreateNew).unwrap();
            file.write_at(b"synced", 0).unwrap();
            file.sync_data().unwrap();
            disk.sync_dir(Path::new("")).unwrap();
            file.write_at(b" not", 6).unwrap();
            disk.crash();
            assert!(file.len().is_err(), "a handle from before a crash is dead");
            let file = disk.open(Path::new("f"), OpenMode::Existing).unwrap();
            let mut bytes = vec![0; file.len().unwrap() as usize];
            file.read_at(&mut bytes, 0).unwrap();
            assert!(bytes.starts_with(b"synced"), "seed {seed}");
            lost += u32::from(bytes.len() == 6);
        }
        assert!(lost > 5 && lost < 45, "{lost} of 50 lost");
    }

    #[test]
    fn a_name_without_sync_dir_may_vanish() {
        let survived = (0..50)
            .filter(|seed| {
                let disk = FaultDisk::new(*seed);
                disk.open(Path::new("f"), OpenMode::CreateNew).unwrap();
                disk.crash();
                disk.open(Path::new("f"), OpenMode::Existing).is_ok()
            })
            .count();
        assert!(survived > 5 && survived < 45, "{survived} of 50 survived");
    }

    #[test]
    fn a_full_disk_refuses_growth_and_keeps_reading() {
        let disk = FaultDisk::new(1);
        let file = disk.open(Path::new("f"), OpenMode::CreateNew).unwrap();
        file.write_at(&[1; 100], 0).unwrap();
        disk.inject(Fault::Capacity(100));
        let error = file.write_at(&[1; 1], 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        file.write_at(&[2; 100], 0).unwrap();
        disk.inject(Fault::Unlimited);
        file.write_at(&[1; 1], 100).unwrap();
    }
}
