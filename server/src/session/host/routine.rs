//! Functions that users wrote in SQL: their statements run within the statement that calls them.
//!
//! ```text
//! call ─► body (analyzed once for the types of its arguments) ─► each statement in turn
//!           a query: on the caller's thread        a change of data: in the session's transaction
//! ```
//!
//! A volatile function sees what was committed and changed before each of its statements, any other
//! what its caller sees. A statement that changes data lends the transaction to the functions that it
//! calls; where it cannot, they read what it reads, and do not change data themselves.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aegis_catalog::{CatalogSnapshot, Function, FunctionBody};
use aegis_sql::analyze::{Analyzed, AnalyzerContext, RoutineResult};
use aegis_sql::bound::BoundStatement;
use aegis_sql::dml::Changes;
use aegis_sql::engine::Patience;
use aegis_sql::privilege;
use aegis_sql::query_engine::{Batches, QueryPlan, RowBatch, StatementContext};
use aegis_sql::routine::{AnalyzedBody, analyze_body};
use aegis_sql::settings;
use aegis_storage::{LockWait, Transaction, at_length};
use aegis_types::context::NoHost;
use aegis_types::functions::Values;
use aegis_types::type_oid::RECORD;
use aegis_types::{
    CallContext, Datum, EvalContext, Host, Oid, Record, RecordKind, RecordShape, SqlError,
    SqlResult, SqlState, TypeRef,
};
use parking_lot::Mutex;

use super::{Observed, SessionHost};
use crate::session::block::SharedTransaction;
use crate::session::bound_relations::locks_of;
use crate::session::role::Roles;
use crate::session::run::{table_lock_id, transaction_over};
use crate::session::tracking::{
    Identity, Whose, identities_of_body, is_one_expression, watched_batches,
};
use crate::statement_statistics::Sample;

/// How deep functions may call each other.
const DEPTH_MAX: usize = 200;
/// How much stack a call wants to find, and how much it gets otherwise.
const STACK_WANTED: usize = 512 << 10;
const STACK_GIVEN: usize = 4 << 20;
/// How many bodies a session keeps.
const BODIES_MAX: usize = 1_000;

/// What a statement lends the functions that it calls.
#[derive(Clone)]
pub(in crate::session) struct Running {
    /// What holds for the statement. Its host is the one that this belongs to, not the one in it.
    context: StatementContext,
    transaction: SharedTransaction,
    lock_timeout: Option<Duration>,
    depth: usize,
    /// Whether a function around is not volatile.
    is_pure: bool,
    /// How the statement waits, where it is run anew then.
    patience: Option<Arc<Patience>>,
}

impl Running {
    /// What a statement of the session lends.
    pub(in crate::session) fn new(
        context: &StatementContext,
        transaction: SharedTransaction,
        lock_timeout: Option<Duration>,
    ) -> Self {
        // What functions run is no part of what EXPLAIN shows.
        let context = StatementContext { host: Arc::new(NoHost), measure: None, ..context.clone() };
        let (depth, is_pure, patience) = (0, false, None);
        Self { context, transaction, lock_timeout, depth, is_pure, patience }
    }

    /// The same for a statement that is run anew where it would wait.
    pub(in crate::session) fn with_patience(self, patience: Arc<Patience>) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// How the statement waits.
    pub(super) fn patience(&self) -> Option<&Patience> {
        self.patience.as_deref()
    }

    /// What holds for the statement.
    pub(super) const fn context(&self) -> &StatementContext {
        &self.context
    }

    /// The session's transaction.
    pub(super) fn transaction(&self) -> SharedTransaction {
        self.transaction.clone()
    }

    /// `lock_timeout`
    pub(super) const fn lock_timeout(&self) -> Option<Duration> {
        self.lock_timeout
    }
}

/// The bodies that were called, under the newest catalog.
#[derive(Default)]
pub(in crate::session) struct Routines(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    catalog: Option<Arc<CatalogSnapshot>>,
    bodies: HashMap<BodyKey, Arc<Body>>,
}

/// A function, the types of its arguments and of its result, the columns that a column definition list
/// gives it, and the schemas that names are looked up in.
type BodyKey = (Oid, Vec<Oid>, Oid, Vec<TypeRef>, Vec<Oid>);

/// A body, with the plans of its queries as they are made.
struct Body {
    function: Arc<Function>,
    analyzed: AnalyzedBody,
    plans: Vec<OnceLock<Arc<dyn QueryPlan>>>,
    /// What its statements are known by, once they are counted.
    identities: OnceLock<Vec<Option<Arc<Identity>>>>,
}

/// One call.
struct Activation {
    body: Arc<Body>,
    host: Arc<SessionHost>,
    running: Running,
    arguments: Arc<[Datum]>,
    /// Whether each statement sees what is new.
    is_volatile: bool,
}

impl SessionHost {
    /// The host of one of the session's statements.
    pub(in crate::session) fn of_statement(&self, running: Running) -> Arc<Self> {
        Arc::new(self.within(self.seen(), running))
    }

    /// The first row of a function's result.
    pub(super) fn value_of_routine(
        &self,
        function: Oid,
        call: &CallContext<'_>,
        arguments: &[Datum],
    ) -> SqlResult<Datum> {
        let mut rows = self.rows_of_routine(function, call, arguments)?;
        rows.next().unwrap_or(Ok(Datum::Null))
    }

    /// The rows of a function's result.
    pub(super) fn rows_of_routine(
        &self,
        function: Oid,
        call: &CallContext<'_>,
        arguments: &[Datum],
    ) -> SqlResult<Values> {
        let running = self.running.as_ref().ok_or_else(|| {
            SqlError::internal(format!("function {function} was called outside of a statement"))
        })?;
        if running.depth >= DEPTH_MAX {
            return Err(SqlError::new(SqlState::StatementTooComplex, "stack depth limit exceeded")
                .hint(
                    "Increase the configuration parameter \"max_stack_depth\" (currently 2048kB), \
                 after ensuring the platform's stack depth limit is adequate.",
                ));
        }
        stacker::maybe_grow(STACK_WANTED, STACK_GIVEN, || {
            self.activate(running, function, call, arguments)?.run()
        })
    }

    fn activate(
        &self,
        running: &Running,
        oid: Oid,
        call: &CallContext<'_>,
        arguments: &[Datum],
    ) -> SqlResult<Activation> {
        let seen = self.seen();
        let function = running
            .context
            .catalog
            .user_function(oid)
            .cloned()
            .ok_or_else(|| SqlError::internal(format!("no function {oid}")))?;
        let is_volatile = function.volatility == b'v';
        let observed = observed_by(&seen, &function, self.identity.database)?;
        let mut running = running.clone();
        if !function.settings.is_empty() {
            running.context.settings = observed.settings.format();
        }
        let observed = Arc::new(observed);
        running.depth += 1;
        running.is_pure |= !is_volatile;
        running.patience = None;
        let host = Arc::new(self.within(observed, running.clone()));
        // Behind the arguments there may be a column definition list.
        let inputs = function.inputs().count();
        let types: Vec<TypeRef> = call.argument_types.iter().take(inputs).copied().collect();
        let defined = arguments.get(inputs).map_or_else(Vec::new, defined_columns);
        let arguments = arguments.get(..inputs).unwrap_or(arguments);
        let body = host.body_of(&running, &function, &types, call.result_type, &defined)?;
        if running.is_pure
            && let Some(word) = body.analyzed.statements.iter().find_map(changing_word)
        {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                format!("{word} is not allowed in a non-volatile function"),
            )
            .context(format!("SQL function \"{}\" during startup", function.name)));
        }
        Ok(Activation { body, host, running, arguments: arguments.into(), is_volatile })
    }

    fn body_of(
        &self,
        running: &Running,
        function: &Arc<Function>,
        arguments: &[TypeRef],
        result: TypeRef,
        defined: &[TypeRef],
    ) -> SqlResult<Arc<Body>> {
        let catalog = &running.context.catalog;
        let seen = self.seen();
        let types = arguments.iter().map(|ty| ty.oid).collect();
        let key = (function.oid, types, result.oid, defined.to_vec(), seen.search_path.clone());
        let keeps = running.context.shortcuts.statement_cache;
        if keeps {
            let mut kept = self.routines.0.lock();
            let is_current = kept.catalog.as_ref().is_some_and(|it| Arc::ptr_eq(it, catalog));
            if !is_current || kept.bodies.len() >= BODIES_MAX {
                *kept = Kept { catalog: Some(catalog.clone()), bodies: HashMap::new() };
            }
            if let Some(body) = kept.bodies.get(&key) {
                return Ok(body.clone());
            }
        }
        let system = self.system_relations();
        let context = AnalyzerContext {
            catalog,
            database: self.identity.database,
            search_path: &seen.search_path,
            system_relations: &*system,
            eval: EvalContext { host: self, ..running.context.eval() },
            parameters: Vec::new(),
            infer_parameters: false,
        };
        let analyzed = analyze_body(&context, function, arguments, result, defined);
        let analyzed = analyzed.map_err(|error| {
            let context = format!("SQL function \"{}\" during startup", function.name);
            error.without_position().context(context)
        })?;
        let plans = analyzed.statements.iter().map(|_| OnceLock::new()).collect();
        let identities = OnceLock::new();
        let body = Arc::new(Body { function: function.clone(), analyzed, plans, identities });
        if keeps {
            self.routines.0.lock().bodies.insert(key, body.clone());
        }
        Ok(body)
    }
}

/// What a function sees of the session: its own settings, and the role of its owner if it says so.
fn observed_by(seen: &Observed, function: &Function, database: Oid) -> SqlResult<Observed> {
    let mut observed = seen.clone();
    if function.security_definer {
        observed.roles = Roles { current: function.owner, ..observed.roles };
    }
    for (name, value) in &function.settings {
        observed.settings.set(name, Some(value), false)?;
        if name == "search_path" {
            let names = settings::path_names(value);
            let found = names.iter().filter_map(|name| seen.catalog.schema_named(database, name));
            observed.search_path = found.collect();
        }
    }
    Ok(observed)
}

impl Activation {
    /// Runs every statement; the rows of the last one are computed as they are asked for, unless it
    /// changes data.
    fn run(self) -> SqlResult<Values> {
        let statements = &self.body.analyzed.statements;
        let Some(last) = statements.len().checked_sub(1) else {
            return Ok(Box::new(std::iter::empty()));
        };
        for at in 0..last {
            let mut rows = self.statement(at).map_err(|error| self.in_statement(error, at))?;
            rows.try_for_each(|batch| batch.map(drop))
                .map_err(|error| self.in_statement(error, at))?;
        }
        let batches = self.statement(last).map_err(|error| self.in_statement(error, last))?;
        if matches!(self.body.analyzed.result, RoutineResult::Void) {
            let mut batches = batches;
            batches
                .try_for_each(|batch| batch.map(drop))
                .map_err(|error| self.in_statement(error, last))?;
            return Ok(Box::new(std::iter::empty()));
        }
        let shape = self.shape(&statements[last]);
        let defined = match (&self.body.analyzed.result, &shape) {
            (RoutineResult::Defined(columns), None) => Some(columns.clone()),
            _ => None,
        };
        let mut current: Option<(Box<dyn RowBatch>, usize)> = None;
        let mut batches = batches;
        Ok(Box::new(std::iter::from_fn(move || {
            loop {
                if let Some((batch, at)) = &mut current
                    && *at < batch.len()
                {
                    let row = batch.row(*at);
                    *at += 1;
                    let value = result_of(row, shape.as_ref());
                    let checked = match (&defined, &value) {
                        (Some(columns), Datum::Record(record)) => {
                            check_fields(record, columns, &self.host)
                        }
                        _ => Ok(()),
                    };
                    return Some(checked.map(|()| value));
                }
                let next = stacker::maybe_grow(STACK_WANTED, STACK_GIVEN, || batches.next())?;
                match next {
                    Ok(batch) => current = Some((batch, 0)),
                    Err(error) => return Some(Err(self.in_statement(error, last))),
                }
            }
        })))
    }

    /// The kind of record that the columns of the last statement make; none where its one column is
    /// the result.
    fn shape(&self, statement: &Analyzed) -> Option<RecordKind> {
        let columns = &statement.columns;
        let of = |wanted: Oid| matches!(&columns[..], [one] if one.ty.oid == wanted);
        match &self.body.analyzed.result {
            RoutineResult::Void | RoutineResult::Scalar(_) => return None,
            RoutineResult::AnyRecord if of(RECORD) => return None,
            // One column that is a record, and not the one column that is wanted.
            RoutineResult::Defined(wanted)
                if wanted.iter().map(|it| it.oid).ne(columns.iter().map(|it| it.ty.oid)) =>
            {
                return None;
            }
            RoutineResult::Record { ty: Some(ty), .. } if of(ty.oid) => return None,
            RoutineResult::Record { ty: Some(ty), .. } => {
                return Some(RecordKind::Composite(ty.oid));
            }
            RoutineResult::Record { ty: None, .. }
            | RoutineResult::Defined(_)
            | RoutineResult::AnyRecord => {}
        }
        let outputs = self.body.function.parameters.iter().filter(|it| it.is_output());
        let mut names: Vec<Arc<str>> = outputs.map(|it| it.name.as_str().into()).collect();
        if names.is_empty() {
            names = columns.iter().map(|column| column.name.as_str().into()).collect();
        }
        let types = columns.iter().map(|column| column.ty).collect();
        Some(RecordKind::Anonymous(Arc::new(RecordShape { names, types })))
    }

    fn in_statement(&self, error: SqlError, at: usize) -> SqlError {
        let own = format!("SQL function \"{}\" statement {}", self.body.function.name, at + 1);
        let context = match &error.fields().context {
            Some(inner) => format!("{inner}\n{own}"),
            None => own,
        };
        error.without_position().context(context)
    }

    fn statement(&self, at: usize) -> SqlResult<Batches> {
        let seen = self.host.seen();
        let identity = if seen.tracking.nested { self.identity(at) } else { None };
        let mut cost = None;
        let Some(identity) = identity else { return self.run_statement(at, &mut cost) };
        let began = Instant::now();
        let batches = self.run_statement(at, &mut cost)?;
        let whose = Whose {
            role: seen.roles.current,
            database: self.host.identity.database,
            top_level: false,
        };
        let instance = self.host.identity.instance.clone();
        Ok(watched_batches(batches, identity, instance, whose, (began, cost)))
    }

    /// What a statement of the body is known by; none if it is not counted.
    fn identity(&self, at: usize) -> Option<Arc<Identity>> {
        let identities = self.body.identities.get_or_init(|| {
            let FunctionBody::Text(text) = &self.body.function.body else { return Vec::new() };
            let statements = &self.body.analyzed.statements;
            if !self.body.function.returns_set && is_one_expression(statements) {
                return Vec::new();
            }
            identities_of_body(text, statements)
        });
        identities.get(at)?.clone()
    }

    /// Starts a statement; of one that changes data, `cost` is what it did.
    fn run_statement(&self, at: usize, cost: &mut Option<Sample>) -> SqlResult<Batches> {
        let statement = &self.body.analyzed.statements[at].statement;
        let catalog = &self.running.context.catalog;
        let role = self.host.seen().roles.current;
        privilege::check(catalog, self.host.identity.database, role, statement)?;
        match statement {
            BoundStatement::Query(query)
                if query.row_marks.is_empty() && !query.has_changes_in_with() =>
            {
                if self.host.seen().read_only
                    && let Some(word) = query.locking_word()
                {
                    return Err(crate::session::run::in_read_only(word));
                }
                let context = self.context(statement)?;
                let plan = match self.body.plans[at].get() {
                    Some(plan) => plan.clone(),
                    None => {
                        let engine = &self.host.identity.instance.engine;
                        let plan = engine.plan(query, &context)?;
                        self.body.plans[at].get_or_init(|| plan).clone()
                    }
                };
                plan.execute_here(&context)
            }
            changing => self.change(changing, cost),
        }
    }

    /// What holds for the next statement.
    fn context(&self, statement: &BoundStatement) -> SqlResult<StatementContext> {
        let locks = locks_of(statement);
        let lock_and_look = async |transaction: Option<&mut Transaction>| {
            let Some(transaction) = transaction else { return Ok(None) };
            let wait = LockWait::Wait { timeout: self.running.lock_timeout };
            for (relation, mode) in locks.values() {
                let object = table_lock_id(relation.database, relation.oid);
                let lock = transaction.lock_table(object, *mode, wait);
                self.running.context.cancel.wait(lock).await?;
            }
            if self.is_volatile && !self.running.is_pure {
                return Ok(Some(transaction.statement_snapshot()?));
            }
            Ok(None)
        };
        // What reads no table needs neither.
        let newer = match locks.is_empty() {
            true => None,
            false => self.transaction(lock_and_look)?,
        };
        let view = newer.unwrap_or_else(|| self.running.context.view.clone());
        let mut context = self.running.context.over(view);
        context.parameters = self.arguments.clone();
        context.system_relations = self.host.system_relations();
        let mut running = self.running.clone();
        running.context = context.clone();
        context.host = Arc::new(self.host.within(self.host.seen(), running));
        Ok(context)
    }

    /// Does something in the transaction of the session; without one where the statement around
    /// holds it.
    fn transaction<T>(
        &self,
        work: impl AsyncFnOnce(Option<&mut Transaction>) -> SqlResult<T>,
    ) -> SqlResult<T> {
        let instance = &self.host.identity.instance;
        at_length(|| {
            instance.runtime.block_on(async {
                let Ok(mut guard) = self.running.transaction.try_lock() else {
                    return work(None).await;
                };
                work(Some(guard.as_mut().ok_or_else(transaction_over)?)).await
            })
        })
    }

    /// Waits for something on this thread.
    fn waited<T>(&self, work: impl AsyncFnOnce() -> SqlResult<T>) -> SqlResult<T> {
        let runtime = &self.host.identity.instance.runtime;
        at_length(|| runtime.block_on(work()))
    }

    /// INSERT, UPDATE, DELETE, and queries that lock rows.
    fn change(&self, statement: &BoundStatement, cost: &mut Option<Sample>) -> SqlResult<Batches> {
        if self.host.seen().read_only {
            let locking = statement.source().and_then(|query| query.locking_word());
            let word = match statement {
                BoundStatement::Query(_) => locking.unwrap_or_else(|| word_of(statement)),
                _ => word_of(statement),
            };
            return Err(crate::session::run::in_read_only(word));
        }
        let context = self.context(statement)?;
        let instance = self.host.identity.instance.clone();
        let lock_timeout = self.running.lock_timeout;
        let before = self.transaction(async |transaction: Option<&mut Transaction>| {
            let transaction = transaction.ok_or_else(|| {
                SqlError::unsupported(
                    "a change of data in a function that is called by a change of data",
                )
            })?;
            Ok(transaction.written())
        })?;
        let changed = self.waited(async || {
            let engine = &*instance.engine;
            // What it evaluates may write itself meanwhile.
            let (shared, row_ids) = (&self.running.transaction, &*instance.row_ids);
            let mut changes =
                Changes::sharing(shared, &context, engine, row_ids, lock_timeout).await?;
            let changed = changes.run(statement).await?;
            changes.txn.next_command()?;
            let after = changes.txn.written();
            *cost = Some(Sample {
                rows: changed.rows,
                records: after.0 - before.0,
                bytes: after.1 - before.1,
                ..Sample::default()
            });
            Ok(changed)
        })?;
        let mut rows = changed.returned.into_stream()?;
        let runtime = self.host.identity.instance.runtime.clone();
        Ok(Box::new(std::iter::from_fn(move || {
            at_length(|| runtime.block_on(rows.next())).transpose()
        })))
    }
}

/// What a statement that changes data, or locks rows, is called.
const fn word_of(statement: &BoundStatement) -> &'static str {
    match statement {
        BoundStatement::Insert(_) => "INSERT",
        BoundStatement::Update(_) => "UPDATE",
        BoundStatement::Delete(_) => "DELETE",
        _ => "SELECT FOR UPDATE",
    }
}

/// The same, of one that does.
fn changing_word(statement: &Analyzed) -> Option<&'static str> {
    match &statement.statement {
        BoundStatement::Query(query) => {
            let changes = query.has_changes_in_with();
            changes.then(|| word_of(&statement.statement)).or_else(|| query.locking_word())
        }
        changing => Some(word_of(changing)),
    }
}

/// The types in a column definition list, as a call has it: name, type and modifier of each.
fn defined_columns(list: &Datum) -> Vec<TypeRef> {
    let Datum::Array(list) = list else { return Vec::new() };
    let number = |datum: &Datum| match datum {
        Datum::Text(text) => text.parse::<i64>().unwrap_or_default(),
        _ => 0,
    };
    let column = |part: &[Datum]| {
        let (oid, typmod) = (number(part.get(1)?), number(part.get(2)?));
        Some(TypeRef::with_typmod(Oid(u32::try_from(oid).ok()?), i32::try_from(typmod).ok()?))
    };
    list.elements.chunks(3).filter_map(column).collect()
}

/// 42804 for a record that has other fields than a column definition list.
fn check_fields(record: &Record, wanted: &[TypeRef], host: &SessionHost) -> SqlResult<()> {
    let given: Vec<TypeRef> = match record.kind() {
        RecordKind::Untyped => return Ok(()),
        RecordKind::Anonymous(shape) => shape.types.clone(),
        RecordKind::Composite(oid) => match host.record_fields(TypeRef::plain(*oid)) {
            Some(fields) => fields.iter().map(|(_, ty)| *ty).collect(),
            None => return Ok(()),
        },
    };
    let refused = |detail: String| {
        let message = "function return row and query-specified return row do not match";
        Err(SqlError::new(SqlState::DatatypeMismatch, message).detail(detail))
    };
    if given.len() != wanted.len() {
        let plural = if given.len() == 1 { "" } else { "s" };
        return refused(format!(
            "Returned row contains {} attribute{plural}, but query expects {}.",
            given.len(),
            wanted.len()
        ));
    }
    let seen = host.seen();
    let name = |ty: &TypeRef| seen.names(host.identity.database).format_type(ty.oid, None);
    for (at, (given, wanted)) in given.iter().zip(wanted).enumerate() {
        if given.oid != wanted.oid {
            return refused(format!(
                "Returned type {} at ordinal position {}, but query expects {}.",
                name(given),
                at + 1,
                name(wanted)
            ));
        }
    }
    Ok(())
}

/// A row of the last statement as the function's result.
fn result_of(row: Vec<Datum>, shape: Option<&RecordKind>) -> Datum {
    match shape {
        None => row.into_iter().next().unwrap_or(Datum::Null),
        Some(kind) => Datum::Record(Arc::new(Record::new(row, kind.clone()))),
    }
}
