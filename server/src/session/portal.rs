//! Portals: statements with their parameters, ready to run or part of the way through. Bind makes
//! them, and so does DECLARE: both live under one namespace, so that a cursor can be executed and a
//! portal fetched from.
//!
//! ```text
//!  Bind ──► Ready ── Execute, FETCH ──► Open ⟲ Execute, FETCH, MOVE
//!             │                          ▲ │
//!  DECLARE ───┼──────────────────────────┘ │
//!             ├── no rows ──► Done         │  both: 55000 when executed again
//!             └── error ──► Failed ◄───────┘
//! ```
//!
//! A portal goes with its transaction, or with the savepoint that it was made behind; a cursor WITH
//! HOLD is read to its end when the transaction commits, and stays until it is closed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aegis_sql::query_engine::CancelFlag;
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState};

use super::cursor::SharedCursor;
use super::{Outcome, Prepared, Session};

/// A format code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// 0
    Text,
    /// 1
    Binary,
}

impl Format {
    /// The format of a code.
    ///
    /// # Errors
    /// 22023 for other codes than 0 and 1.
    pub(crate) fn from_code(code: i16) -> SqlResult<Self> {
        match code {
            0 => Ok(Self::Text),
            1 => Ok(Self::Binary),
            _ => Err(SqlError::new(
                SqlState::InvalidParameterValue,
                format!("unsupported format code: {code}"),
            )),
        }
    }
}

/// The formats in which a portal's columns are sent.
#[derive(Clone, Debug)]
pub(crate) enum Formats {
    /// All the same; text unless Bind or DECLARE BINARY says otherwise.
    All(Format),
    /// One a column.
    Each(Vec<Format>),
}

impl Formats {
    /// All columns as text.
    pub(crate) const TEXT: Self = Self::All(Format::Text);

    /// The format of one column.
    #[must_use]
    pub(crate) fn of(&self, column: usize) -> Format {
        match self {
            Self::All(format) => *format,
            // Bind checked that there are as many as columns.
            Self::Each(formats) => formats.get(column).copied().unwrap_or(Format::Text),
        }
    }
}

/// A portal.
pub(crate) struct Portal {
    /// Its statement.
    pub prepared: Arc<Prepared>,
    /// How its columns are sent.
    pub formats: Formats,
    /// How far it has come.
    pub state: PortalState,
    /// What DECLARE said; `None` for the protocol's own.
    pub(super) declared: Option<Declared>,
    /// When it was made.
    pub(super) creation_time: i64,
    /// How many savepoints were set when it was made.
    pub(super) level: usize,
    /// Its transaction is over.
    pub(super) held: bool,
    /// What its query reads, while it does.
    pub(super) relations: Vec<Oid>,
}

/// The options of a declared cursor that matter after its beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Declared {
    pub(super) hold: bool,
    pub(super) binary: bool,
    pub(super) scrollable: bool,
}

/// How far a portal has come.
pub(crate) enum PortalState {
    /// Not run yet.
    Ready(Vec<Datum>),
    /// Running, suspended or at its end.
    Open(OpenPortal),
    /// Run, and returned no rows.
    Done,
    /// Run into an error, or caught in a transaction that did.
    Failed,
}

/// A portal with rows.
pub(crate) struct OpenPortal {
    /// Its rows.
    pub cursor: SharedCursor,
    /// The flag that its statement looks at.
    pub flag: CancelFlag,
    /// What ends each portion of its rows.
    pub tag: PortalTag,
    /// The end of its statement has been noted.
    pub ended: bool,
}

/// The tag of a command that returns rows.
#[derive(Clone, Debug)]
pub(crate) enum PortalTag {
    /// This word and the number of rows that the last Execute sent.
    Counted(&'static str),
    /// As it stands.
    Whole(String),
}

impl Portal {
    /// A portal of the protocol.
    #[must_use]
    pub(crate) fn ready(
        prepared: Arc<Prepared>,
        formats: Formats,
        parameters: Vec<Datum>,
        creation_time: i64,
    ) -> Self {
        Self {
            prepared,
            formats,
            state: PortalState::Ready(parameters),
            declared: None,
            creation_time,
            level: 0,
            held: false,
            relations: Vec::new(),
        }
    }

    /// Whether its statement has begun and not ended.
    #[must_use]
    pub(crate) const fn is_suspended(&self) -> bool {
        matches!(self.state, PortalState::Open(OpenPortal { ended: false, .. }))
    }
}

/// What `pg_cursors` tells of a portal.
pub(super) struct CursorInfo {
    pub(super) name: String,
    pub(super) statement: String,
    pub(super) is_holdable: bool,
    pub(super) is_binary: bool,
    pub(super) is_scrollable: bool,
    pub(super) creation_time: i64,
}

/// The portals of a session, by name.
#[derive(Default)]
pub(super) struct Portals(BTreeMap<Box<str>, Portal>);

impl Portals {
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Portal> {
        self.0.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Portal> {
        self.0.get_mut(name)
    }

    pub(super) fn insert(&mut self, name: &str, portal: Portal) {
        self.0.insert(name.into(), portal);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Portal> {
        self.0.remove(name)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The transaction is over: only what is held stays.
    pub(super) fn end_transaction(&mut self) {
        self.0.retain(|_, portal| portal.held);
    }

    /// The transaction, or what it did since `level` savepoints were set, has failed.
    pub(super) fn fail(&mut self, level: usize) {
        for portal in self.0.values_mut().filter(|it| !it.held && it.level >= level) {
            portal.state = PortalState::Failed;
        }
    }

    /// ROLLBACK TO a savepoint: what was made behind it is gone.
    pub(super) fn roll_back_to(&mut self, level: usize) {
        self.0.retain(|_, portal| portal.held || portal.level < level);
    }

    /// RELEASE of a savepoint: what was made behind it belongs to the one before it.
    pub(super) fn release(&mut self, level: usize) {
        for portal in self.0.values_mut() {
            portal.level = portal.level.min(level);
        }
    }

    /// The cursors that outlive the transaction and have not done so yet.
    pub(super) fn to_hold(&self) -> Vec<(Box<str>, SharedCursor)> {
        let holdable = |portal: &Portal| portal.declared.is_some_and(|it| it.hold) && !portal.held;
        let open = self.0.iter().filter(|(_, portal)| holdable(portal));
        open.filter_map(|(name, portal)| match &portal.state {
            PortalState::Open(open) => Some((name.clone(), Arc::clone(&open.cursor))),
            _ => None,
        })
        .collect()
    }

    /// What open cursors read.
    pub(super) fn relations(&self) -> BTreeSet<Oid> {
        let reading = self.0.values().filter(|portal| !portal.held);
        reading.flat_map(|portal| portal.relations.iter().copied()).collect()
    }

    pub(super) fn infos(&self) -> Vec<CursorInfo> {
        let portals = self.0.iter();
        let info = portals.map(|(name, portal)| CursorInfo {
            name: name.to_string(),
            statement: portal.prepared.source.to_string(),
            is_holdable: portal.declared.is_some_and(|it| it.hold),
            is_binary: portal.declared.is_some_and(|it| it.binary),
            is_scrollable: portal.declared.is_some_and(|it| it.scrollable),
            creation_time: portal.creation_time,
        });
        info.collect()
    }
}

impl Session {
    /// Whether there is a portal with this name.
    #[must_use]
    pub fn has_portal(&self, name: &str) -> bool {
        self.portals.lock().contains(name)
    }

    /// What a portal runs, and how its columns are sent.
    #[must_use]
    pub(crate) fn described_portal(&self, name: &str) -> Option<(Arc<Prepared>, Formats)> {
        let portals = self.portals.lock();
        portals.get(name).map(|portal| (Arc::clone(&portal.prepared), portal.formats.clone()))
    }

    /// Keeps a portal of the protocol, in place of what has its name.
    pub(crate) fn put_portal(&mut self, name: &str, portal: Portal) {
        self.portals.lock().insert(name, portal);
    }

    /// The same for a new one, which belongs to the newest savepoint.
    pub(crate) fn put_new_portal(&mut self, name: &str, mut portal: Portal) {
        portal.level = self.savepoint_level();
        self.put_portal(name, portal);
    }

    /// Takes a portal out, to run it or to drop it.
    pub(crate) fn take_portal(&mut self, name: &str) -> Option<Portal> {
        self.portals.lock().remove(name)
    }

    /// Drops a portal if there is one; a statement that it was in the middle of ends with it.
    ///
    /// # Errors
    /// 54000 after four thousand million commands.
    pub async fn drop_portal(&mut self, name: &str) -> SqlResult<()> {
        if self.take_portal(name).is_some_and(|portal| portal.is_suspended()) {
            self.end_statement().await?;
        }
        Ok(())
    }

    /// Drops all portals: the client is gone.
    pub fn drop_portals(&mut self) {
        self.portals.lock().clear();
    }

    /// Runs a portal that is ready. What has rows is open then; of everything else the outcome is
    /// given, to be completed by the caller.
    ///
    /// # Errors
    /// Whatever the statement raises.
    pub(crate) async fn start_portal(&mut self, portal: &mut Portal) -> SqlResult<Option<Outcome>> {
        let PortalState::Ready(parameters) = &mut portal.state else {
            return Ok(None);
        };
        let parameters = std::mem::take(parameters);
        portal.state = PortalState::Done;
        let flag = self.cancel_flag();
        let outcome = self.execute(&portal.prepared, parameters).await?;
        let (rows, tag, ended) = match outcome {
            Outcome::Rows { tag, rows, .. } => (rows, PortalTag::Counted(tag), false),
            Outcome::Returned { tag, rows, .. } => {
                // It has run to its end, however few of its rows are fetched.
                self.end_statement().await?;
                (rows, PortalTag::Whole(tag), true)
            }
            other => return Ok(Some(other)),
        };
        let cursor = super::cursor::Cursor::forward_only(rows, flag.clone());
        portal.state = PortalState::Open(OpenPortal { cursor: cursor.shared(), flag, tag, ended });
        Ok(None)
    }
}

/// 34000, of a message of the protocol.
pub(crate) fn no_such_portal(name: &str) -> SqlError {
    SqlError::new(SqlState::InvalidCursorName, format!("portal \"{name}\" does not exist"))
}

/// 55000.
pub(crate) fn cannot_run(name: &str) -> SqlError {
    SqlError::new(
        SqlState::ObjectNotInPrerequisiteState,
        format!("portal \"{name}\" cannot be run"),
    )
}
