//! Prepared statements by name: those of the protocol and of PREPARE share one namespace.
//!
//! ```text
//! Parse "q" ─────────┐                      ┌── Bind "q"
//!                    ├──► statements["q"] ──┤
//! PREPARE q AS … ────┘                      └── EXECUTE q (…), EXPLAIN EXECUTE, CREATE TABLE AS
//! ```

use std::sync::Arc;

use aegis_sql::ast::{CreateTableAsStmt, ExecuteStmt, PrepareStmt, Statement};
use aegis_sql::evaluate::{Evaluation, Program};
use aegis_types::{Datum, EvalContext, Oid, SqlError, SqlResult, SqlState, type_oid};

use super::{Outcome, Prepared, Session};

/// A statement with its parameters: their types, and their values.
type BoundExecute = (Arc<Statement>, Vec<Option<Oid>>, Vec<Datum>);

impl Session {
    /// The prepared statement with this name; the empty name is the unnamed one.
    #[must_use]
    pub fn statement(&self, name: &str) -> Option<Arc<Prepared>> {
        self.statements.lock().get(name).cloned()
    }

    /// Keeps a prepared statement. The unnamed one replaces its predecessor.
    ///
    /// # Errors
    /// 42P05 if the name is taken.
    pub fn store_statement(&mut self, name: &str, prepared: Arc<Prepared>) -> SqlResult<()> {
        let mut statements = self.statements.lock();
        if !name.is_empty() && statements.contains_key(name) {
            return Err(SqlError::new(
                SqlState::DuplicatePstatement,
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        statements.insert(name.to_owned(), prepared);
        Ok(())
    }

    /// Forgets a prepared statement, if it is there.
    pub fn drop_statement(&mut self, name: &str) {
        self.statements.lock().remove(name);
    }

    /// `PREPARE`
    pub(super) fn prepare_statement(
        &mut self,
        prepare: &PrepareStmt,
        around: &Prepared,
    ) -> SqlResult<Outcome> {
        if prepare.name.is_empty() {
            return Err(SqlError::new(
                SqlState::InvalidPstatementDefinition,
                "invalid statement name: must not be empty",
            ));
        }
        let catalog = self.current_catalog();
        let mut types = Vec::with_capacity(prepare.arg_types.len());
        self.with_analyzer(&catalog, |analyzer| {
            for name in &prepare.arg_types {
                // A parameter of unknown type is one whose type is not given.
                let oid = analyzer.resolve_type_name(name)?.oid;
                types.push(if oid == type_oid::UNKNOWN { Oid::NONE } else { oid });
            }
            Ok(())
        })?;
        let statement = Some(Arc::new(prepare.query.clone()));
        let source = Arc::clone(&around.source);
        let mut prepared = self.analyze_as_prepared(statement, source, Some(&types))?;
        prepared.from_sql = true;
        prepared.place = around.place;
        self.store_statement(&prepare.name, Arc::new(prepared))?;
        Ok(Outcome::Done("PREPARE".to_owned()))
    }

    /// `DEALLOCATE`; without a name, of all.
    pub(super) fn deallocate(&mut self, name: Option<&str>) -> SqlResult<Outcome> {
        let Some(name) = name else {
            self.statements.lock().clear();
            return Ok(Outcome::Done("DEALLOCATE ALL".to_owned()));
        };
        self.statements.lock().remove(name).ok_or_else(|| no_such_statement(name))?;
        Ok(Outcome::Done("DEALLOCATE".to_owned()))
    }

    /// `EXECUTE`: the outcome is that of the prepared statement.
    pub(super) async fn execute_statement(&mut self, execute: &ExecuteStmt) -> SqlResult<Outcome> {
        let (prepared, parameters) = self.execute_arguments(execute)?;
        let Some(statement) = prepared.statement.clone() else {
            return Ok(Outcome::Empty);
        };
        Box::pin(self.run_prepared(&prepared, &statement, parameters)).await
    }

    /// `CREATE TABLE AS EXECUTE`
    pub(super) async fn create_table_as_execute(
        &mut self,
        create: &CreateTableAsStmt,
        execute: &ExecuteStmt,
    ) -> SqlResult<Outcome> {
        let (query, types, parameters) = self.bound_execute(execute)?;
        if !matches!(&*query, Statement::Select(_)) {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                "prepared statement is not a SELECT",
            ));
        }
        let create = CreateTableAsStmt { query: (*query).clone(), ..create.clone() };
        let statement = Statement::CreateTableAs(Box::new(create));
        self.define_with(&statement, types, parameters.into()).await
    }

    /// What an EXECUTE within another statement stands for.
    pub(super) fn bound_execute(&mut self, execute: &ExecuteStmt) -> SqlResult<BoundExecute> {
        let (prepared, parameters) = self.execute_arguments(execute)?;
        let statement =
            prepared.statement.clone().ok_or_else(|| no_such_statement(&execute.name))?;
        let types = prepared.parameter_types.iter().map(|ty| Some(ty.oid)).collect();
        Ok((statement, types, parameters))
    }

    /// The statement that EXECUTE names, and the values of its parameters.
    fn execute_arguments(
        &mut self,
        execute: &ExecuteStmt,
    ) -> SqlResult<(Arc<Prepared>, Vec<Datum>)> {
        let name = &execute.name;
        let prepared = self.statement(name).ok_or_else(|| no_such_statement(name))?;
        let types = &prepared.parameter_types;
        if types.len() != execute.params.len() {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                format!("wrong number of parameters for prepared statement \"{name}\""),
            )
            .detail(format!(
                "Expected {} parameters but got {}.",
                types.len(),
                execute.params.len()
            )));
        }
        let catalog = self.current_catalog();
        let mut programs = Vec::with_capacity(types.len());
        for (at, (argument, ty)) in execute.params.iter().zip(types).enumerate() {
            let expr = self.with_analyzer(&catalog, |analyzer| {
                analyzer.analyze_execute_argument(argument, at + 1, *ty)
            })?;
            programs.push(Program::compile_slots(&expr)?);
        }
        let values = self.with_eval(|eval| {
            let evaluation = Evaluation { eval: *eval, parameters: &[] };
            let values = programs.iter().map(|program| program.evaluate(&[], &evaluation));
            values.collect::<SqlResult<Vec<_>>>()
        })?;
        Ok((prepared, values))
    }

    /// What a value outside of any statement is computed with.
    pub(crate) fn with_eval<T>(&self, run: impl FnOnce(&EvalContext<'_>) -> T) -> T {
        let settings = self.settings.format();
        run(&EvalContext {
            settings: &settings,
            transaction_timestamp: self.transaction_timestamp(),
            statement_timestamp: self.statement_timestamp,
            host: &*self.host,
        })
    }
}

/// 26000
fn no_such_statement(name: &str) -> SqlError {
    SqlError::new(
        SqlState::InvalidSqlStatementName,
        format!("prepared statement \"{name}\" does not exist"),
    )
}
