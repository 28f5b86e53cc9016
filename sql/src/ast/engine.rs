//! Statements of engines: what they have in common, whatever the engine calls its objects.

use super::{DefElem, DropBehavior, RangeVar, Statement};

/// `CREATE`, `ALTER` or `DROP` of an engine's object.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineStmt {
    /// The engine that runs it.
    pub engine: &'static str,
    /// The command tag.
    pub tag: &'static str,
    /// What is to be done.
    pub action: EngineAction,
    /// `IF EXISTS`, `IF NOT EXISTS`.
    pub forgiving: bool,
    /// The objects; one but for `DROP`.
    pub names: Vec<RangeVar>,
    /// Options in parentheses.
    pub options: Vec<DefElem>,
    /// What an engine's own clauses say: a word, and numbers or names behind it.
    pub clauses: Vec<EngineClause>,
    /// `CASCADE`
    pub behavior: DropBehavior,
}

/// What an [`EngineStmt`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineAction {
    /// `CREATE`
    Create,
    /// `ALTER … SET (…)`
    Set,
    /// `ALTER … RESET (…)`
    Reset,
    /// `ALTER … ROTATE`
    Rotate,
    /// `DROP`
    Drop,
}

/// What `COPY (SUBSCRIBE …) TO` follows for ever, in queries that its engine has written.
#[derive(Clone, Debug, PartialEq)]
pub struct TailStmt {
    /// Gives each part of what is followed, and the position where it begins: int4, int8.
    pub starts: Statement,
    /// Gives rows of the part `$1` from the position `$2` on, in order and so many at most: the
    /// position is the second column, and the last column says whether a row is wanted.
    pub rows: Statement,
    /// The channel that is woken when there are more.
    pub channel: String,
}

/// A clause of an engine.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineClause {
    /// A word and a number, such as `PARTITIONS 4`.
    Number(&'static str, i64),
    /// A word and relations, such as `FROM TABLE a, b`.
    Relations(&'static str, Vec<RangeVar>),
}
