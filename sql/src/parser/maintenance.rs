//! `TRUNCATE`, `LOCK`, `VACUUM`, `ANALYZE`, `CLUSTER`, `REINDEX`, `REFRESH` and `EXPLAIN`.

use aegis_types::SqlResult;

use super::keyword::Keyword as Kw;
use super::stream::TokenStream;
use crate::ast::{
    ClusterStmt, DefElem, ExplainStmt, LockMode, LockStmt, RefreshMatViewStmt, ReindexStmt,
    ReindexTarget, Statement, TruncateStmt, VacuumRelation, VacuumStmt,
};

impl TokenStream<'_> {
    /// `TRUNCATE …`.
    pub(super) fn truncate(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Truncate)?;
        self.eat(Kw::Table);
        let relations = self.comma_list(Self::relation_expr)?;
        let mut restart_sequences = false;
        if self.eat(Kw::Restart) {
            self.expect(Kw::Identity)?;
            restart_sequences = true;
        } else if self.eat(Kw::Continue) {
            self.expect(Kw::Identity)?;
        }
        let behavior = self.opt_drop_behavior();
        Ok(Statement::Truncate(TruncateStmt { relations, restart_sequences, behavior }))
    }

    /// `LOCK …`.
    pub(super) fn lock(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Lock)?;
        self.eat(Kw::Table);
        let relations = self.comma_list(Self::relation_expr)?;
        let mut mode = LockMode::AccessExclusive;
        if self.eat(Kw::In) {
            mode = self.lock_mode()?;
            self.expect(Kw::Mode)?;
        }
        let nowait = self.eat(Kw::Nowait);
        Ok(Statement::Lock(LockStmt { relations, mode, nowait }))
    }

    fn lock_mode(&mut self) -> SqlResult<LockMode> {
        let first = self.keyword();
        if !matches!(first, Some(Kw::Access | Kw::Row | Kw::Share | Kw::Exclusive)) {
            return Err(self.syntax_error());
        }
        self.skip();
        let mode = match (first, self.keyword()) {
            (Some(Kw::Exclusive), _) => return Ok(LockMode::Exclusive),
            (Some(Kw::Access), Some(Kw::Share)) => LockMode::AccessShare,
            (Some(Kw::Access), Some(Kw::Exclusive)) => LockMode::AccessExclusive,
            (Some(Kw::Row), Some(Kw::Share)) => LockMode::RowShare,
            (Some(Kw::Row), Some(Kw::Exclusive)) => LockMode::RowExclusive,
            (Some(Kw::Share), Some(Kw::Update)) => {
                self.skip();
                self.expect(Kw::Exclusive)?;
                return Ok(LockMode::ShareUpdateExclusive);
            }
            (Some(Kw::Share), Some(Kw::Row)) => {
                self.skip();
                self.expect(Kw::Exclusive)?;
                return Ok(LockMode::ShareRowExclusive);
            }
            (Some(Kw::Share), _) => return Ok(LockMode::Share),
            _ => return Err(self.syntax_error()),
        };
        self.skip();
        Ok(mode)
    }

    /// Words before a table as options.
    fn word_options(&mut self, words: &[(Kw, &str)]) -> Vec<DefElem> {
        let mut options = Vec::new();
        for (keyword, name) in words {
            let location = self.location();
            if self.eat(*keyword) {
                options.push(DefElem::new(name, None, location));
            }
        }
        options
    }

    /// `VACUUM …`.
    pub(super) fn vacuum(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Vacuum)?;
        let options = if self.at_char('(') {
            self.utility_options()?
        } else {
            self.word_options(&[
                (Kw::Full, "full"),
                (Kw::Freeze, "freeze"),
                (Kw::Verbose, "verbose"),
                (Kw::Analyze, "analyze"),
                (Kw::Analyse, "analyze"),
            ])
        };
        let relations = self.opt_vacuum_relations()?;
        Ok(Statement::Vacuum(VacuumStmt { is_vacuum: true, options, relations }))
    }

    /// `ANALYZE …`.
    pub(super) fn analyze(&mut self) -> SqlResult<Statement> {
        self.skip();
        let options = if self.at_char('(') {
            self.utility_options()?
        } else {
            self.word_options(&[(Kw::Verbose, "verbose")])
        };
        let relations = self.opt_vacuum_relations()?;
        Ok(Statement::Vacuum(VacuumStmt { is_vacuum: false, options, relations }))
    }

    fn opt_vacuum_relations(&mut self) -> SqlResult<Vec<VacuumRelation>> {
        if !self.col_id_ahead(0) {
            return Ok(Vec::new());
        }
        self.comma_list(|stream| {
            let relation = stream.qualified_name()?;
            let columns = stream.opt_column_list()?;
            Ok(VacuumRelation { relation, columns })
        })
    }

    /// `CLUSTER …`.
    pub(super) fn cluster(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Cluster)?;
        let params = if self.at_char('(') {
            self.utility_options()?
        } else {
            self.word_options(&[(Kw::Verbose, "verbose")])
        };
        let mut relation = None;
        let mut index_name = None;
        if self.col_id_ahead(0) {
            let name = self.qualified_name()?;
            if self.eat(Kw::Using) {
                index_name = Some(self.col_id()?);
                relation = Some(name);
            } else if self.eat(Kw::On) {
                // The oldest syntax names the index first.
                index_name = Some(name.name);
                relation = Some(self.qualified_name()?);
            } else {
                relation = Some(name);
            }
        }
        Ok(Statement::Cluster(ClusterStmt { relation, index_name, params }))
    }

    /// `REINDEX …`.
    pub(super) fn reindex(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Reindex)?;
        let mut params = if self.at_char('(') { self.utility_options()? } else { Vec::new() };
        let Some(keyword) = self.keyword() else {
            return Err(self.syntax_error());
        };
        if !matches!(keyword, Kw::Index | Kw::Table | Kw::Schema | Kw::System | Kw::Database) {
            return Err(self.syntax_error());
        }
        self.skip();
        let location = self.location();
        if self.eat(Kw::Concurrently) {
            params.push(DefElem::new("concurrently", None, location));
        }
        let target = match keyword {
            Kw::Index => ReindexTarget::Index(self.qualified_name()?),
            Kw::Table => ReindexTarget::Table(self.qualified_name()?),
            Kw::Schema => ReindexTarget::Schema(self.col_id()?),
            Kw::System => ReindexTarget::System(self.col_id()?),
            _ => ReindexTarget::Database(self.col_id()?),
        };
        Ok(Statement::Reindex(ReindexStmt { target, params }))
    }

    /// `REFRESH MATERIALIZED VIEW …`.
    pub(super) fn refresh_matview(&mut self) -> SqlResult<Statement> {
        self.expect_sequence(&[Kw::Refresh, Kw::Materialized, Kw::View])?;
        let concurrent = self.eat(Kw::Concurrently);
        let relation = self.qualified_name()?;
        let skip_data = self.opt_with_no_data()?;
        Ok(Statement::RefreshMatView(RefreshMatViewStmt { relation, concurrent, skip_data }))
    }

    /// `EXPLAIN …`.
    pub(super) fn explain(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Explain)?;
        let options = if self.at_char('(') && !self.leads_to_select() {
            self.utility_options()?
        } else {
            self.word_options(&[
                (Kw::Analyze, "analyze"),
                (Kw::Analyse, "analyze"),
                (Kw::Verbose, "verbose"),
            ])
        };
        let query = self.explainable_statement()?;
        Ok(Statement::Explain(Box::new(ExplainStmt { query, options })))
    }
}
