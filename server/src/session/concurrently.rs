//! Definitions in several transactions, so that others write meanwhile: `CREATE INDEX CONCURRENTLY`.

use std::sync::Arc;

use aegis_sql::ast::IndexStmt;
use aegis_sql::ddl::IndexBatch;
use aegis_types::{Oid, SqlError, SqlResult};

use super::run::transaction_over;
use super::{Outcome, Session};

/// One transaction of the build.
enum Step<'a> {
    Begin(&'a IndexStmt),
    WaitForWriters(Oid),
    Batch(Oid, &'a [u8]),
    Row(Oid, &'a [u8]),
    Finish(Oid),
}

/// What a step gave.
enum Made {
    Index(Option<Oid>),
    Batch(IndexBatch),
    Nothing,
}

impl Session {
    /// `CREATE INDEX CONCURRENTLY`. An index whose build fails stays, invalid, as in PostgreSQL.
    pub(super) async fn create_index_concurrently(
        &mut self,
        create: &IndexStmt,
    ) -> SqlResult<Outcome> {
        let done = || Outcome::Done("CREATE INDEX".to_owned());
        self.refuse_in_block("CREATE INDEX CONCURRENTLY")?;
        self.refuse_in_read_only("CREATE INDEX")?;
        let Made::Index(index) = self.index_step(Step::Begin(create)).await? else {
            return Err(SqlError::internal("a build began without an index"));
        };
        let Some(index) = index else { return Ok(done()) };
        self.index_step(Step::WaitForWriters(index)).await?;
        let mut busy = Vec::new();
        let mut after = Vec::new();
        while let Made::Batch(batch) = self.index_step(Step::Batch(index, &after)).await? {
            busy.extend(batch.busy);
            match batch.next {
                Some(next) => after = next,
                None => break,
            }
        }
        for key in busy {
            self.index_step(Step::Row(index, &key)).await?;
        }
        self.index_step(Step::Finish(index)).await?;
        Ok(done())
    }

    /// Runs one step in a transaction of its own.
    async fn index_step(&mut self, step: Step<'_>) -> SqlResult<Made> {
        let (shared, context, search_path) = self.begin_work(Arc::new([])).await?;
        let mut guard = shared.lock().await;
        let instance = self.instance.clone();
        let txn = guard.as_mut().ok_or_else(transaction_over)?;
        let mut ddl = self.ddl(txn, &instance, context, search_path);
        let made = match step {
            Step::Begin(create) => ddl.begin_concurrent_index(create).await.map(Made::Index),
            Step::WaitForWriters(index) => {
                ddl.wait_for_writers(index).await.map(|()| Made::Nothing)
            }
            Step::Batch(index, after) => ddl.fill_index_batch(index, after).await.map(Made::Batch),
            Step::Row(index, key) => ddl.fill_index_row(index, key).await.map(|()| Made::Nothing),
            Step::Finish(index) => ddl.finish_concurrent_index(index).await.map(|()| Made::Nothing),
        };
        let notices = std::mem::take(&mut ddl.notices);
        drop(ddl);
        drop(guard);
        self.notices.extend(notices);
        let made = made?;
        self.commit().await?;
        Ok(made)
    }
}
