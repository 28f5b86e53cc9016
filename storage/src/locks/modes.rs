//! The modes of locks and which exclude each other, as PostgreSQL has them (chapter 13.3).

use std::time::Duration;

use crate::Row;

/// The eight modes of a table lock, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableLockMode {
    /// `SELECT`.
    AccessShare,
    /// `SELECT … FOR UPDATE` and its kin.
    RowShare,
    /// `INSERT`, `UPDATE`, `DELETE`, `MERGE`.
    RowExclusive,
    /// `VACUUM`, `ANALYZE`, `CREATE INDEX CONCURRENTLY`.
    ShareUpdateExclusive,
    /// `CREATE INDEX`.
    Share,
    /// `CREATE TRIGGER`, some forms of `ALTER TABLE`.
    ShareRowExclusive,
    /// `REFRESH MATERIALIZED VIEW CONCURRENTLY`.
    Exclusive,
    /// `DROP TABLE`, `TRUNCATE`, most forms of `ALTER TABLE`, `LOCK TABLE` without a mode.
    AccessExclusive,
}

impl TableLockMode {
    /// Every mode, weakest first.
    pub const ALL: [Self; 8] = [
        Self::AccessShare,
        Self::RowShare,
        Self::RowExclusive,
        Self::ShareUpdateExclusive,
        Self::Share,
        Self::ShareRowExclusive,
        Self::Exclusive,
        Self::AccessExclusive,
    ];

    /// As `pg_locks` shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessShare => "AccessShareLock",
            Self::RowShare => "RowShareLock",
            Self::RowExclusive => "RowExclusiveLock",
            Self::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            Self::Share => "ShareLock",
            Self::ShareRowExclusive => "ShareRowExclusiveLock",
            Self::Exclusive => "ExclusiveLock",
            Self::AccessExclusive => "AccessExclusiveLock",
        }
    }

    /// The modes that exclude it, a bit each in the order of [`TableLockMode::ALL`].
    pub(crate) const fn conflicts(self) -> u8 {
        match self {
            Self::AccessShare => 0b1000_0000,
            Self::RowShare => 0b1100_0000,
            Self::RowExclusive => 0b1111_0000,
            Self::ShareUpdateExclusive => 0b1111_1000,
            Self::Share => 0b1110_1100,
            Self::ShareRowExclusive => 0b1111_1100,
            Self::Exclusive => 0b1111_1110,
            Self::AccessExclusive => 0b1111_1111,
        }
    }

    /// Whether two transactions cannot hold these modes of one table together.
    #[must_use]
    pub const fn conflicts_with(self, other: Self) -> bool {
        self.conflicts() & (1 << other as u8) != 0
    }
}

/// The four modes of a row lock, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowLockMode {
    /// `FOR KEY SHARE`: what a foreign key check takes.
    ForKeyShare,
    /// `FOR SHARE`.
    ForShare,
    /// `FOR NO KEY UPDATE`: an `UPDATE` that leaves the key columns alone.
    ForNoKeyUpdate,
    /// `FOR UPDATE`: a `DELETE`, or an `UPDATE` of key columns.
    ForUpdate,
}

impl RowLockMode {
    /// Every mode, weakest first.
    pub const ALL: [Self; 4] =
        [Self::ForKeyShare, Self::ForShare, Self::ForNoKeyUpdate, Self::ForUpdate];

    /// The modes that exclude it, a bit each in the order of [`RowLockMode::ALL`].
    pub(crate) const fn conflicts(self) -> u8 {
        match self {
            Self::ForKeyShare => 0b1000,
            Self::ForShare => 0b1100,
            Self::ForNoKeyUpdate => 0b1110,
            Self::ForUpdate => 0b1111,
        }
    }

    /// Whether two transactions cannot hold these modes of one row together.
    #[must_use]
    pub const fn conflicts_with(self, other: Self) -> bool {
        self.conflicts() & (1 << other as u8) != 0
    }
}

/// What a table lock does where it is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockWait {
    /// Waits; 55P03 after `timeout` if there is one (`lock_timeout`).
    Wait {
        /// `None` waits for ever.
        timeout: Option<Duration>,
    },
    /// 55P03 at once.
    NoWait,
}

/// What a row lock does where it is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowLockWait {
    /// Waits; 55P03 after `timeout` if there is one (`lock_timeout`).
    Wait {
        /// `None` waits for ever.
        timeout: Option<Duration>,
    },
    /// 55P03 at once.
    NoWait,
    /// Answers [`RowLockOutcome::Skipped`] at once.
    SkipLocked,
}

/// What a row lock found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowLockOutcome {
    /// Locked, and the newest published state of the key is what the snapshot sees (or the
    /// transaction has itself written the key since).
    Unchanged,
    /// Locked, and the newest published state differs from the snapshot's: `Some` row, or deleted.
    /// READ COMMITTED checks the whole `WHERE` again on it; REPEATABLE READ raises 40001.
    Changed(Option<Row>),
    /// Not locked: somebody else holds it and the caller wanted to skip it.
    Skipped,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_are_symmetric() {
        for a in TableLockMode::ALL {
            for b in TableLockMode::ALL {
                assert_eq!(a.conflicts_with(b), b.conflicts_with(a), "{a:?} {b:?}");
            }
        }
        for a in RowLockMode::ALL {
            for b in RowLockMode::ALL {
                assert_eq!(a.conflicts_with(b), b.conflicts_with(a), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn conflicts_are_those_of_table_13_2() {
        use TableLockMode::*;
        assert!(!RowExclusive.conflicts_with(RowExclusive));
        assert!(RowExclusive.conflicts_with(Share));
        assert!(!Share.conflicts_with(Share));
        assert!(ShareUpdateExclusive.conflicts_with(ShareUpdateExclusive));
        assert!(!Exclusive.conflicts_with(AccessShare));
        assert!(AccessExclusive.conflicts_with(AccessShare));
        use RowLockMode::*;
        assert!(!ForKeyShare.conflicts_with(ForNoKeyUpdate));
        assert!(ForShare.conflicts_with(ForNoKeyUpdate));
    }
}
