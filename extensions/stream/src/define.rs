//! `CREATE STREAM`, `ALTER STREAM`, `DROP STREAM`.

use std::sync::Arc;

use aegis_catalog::{Descriptor, Managed, Relation, RelationBody};
use aegis_sql::ast::{
    DropBehavior, EngineAction, EngineClause, EngineStmt, RangeVar, Statement, TailStmt,
};
use aegis_sql::ddl::Ddl;
use aegis_sql::dml::{Changes, TableAccess};
use aegis_sql::parser::{GrammarExtension, Keyword as Kw, TokenKind, TokenStream, parse};
use aegis_storage::{Block, Direction, KeyRange};
use aegis_types::functions::{quote_ident, quote_literal};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use crate::ENGINE;
use crate::known::{Known, channel, is_stream, no_stream};
use crate::retention;
use crate::settings::merged;

/// What the engine adds to the grammar.
pub(crate) struct Grammar;

const PARTITIONS: &str = "partitions";
/// What begins the tables whose changes a stream captures.
const FROM: &str = "from";

fn word(token: &TokenKind) -> Option<&str> {
    match token {
        TokenKind::Ident(word) => Some(word),
        TokenKind::Keyword(keyword) => Some(keyword.word()),
        _ => None,
    }
}

impl GrammarExtension for Grammar {
    fn leading(&self) -> &[&str] {
        &["create", "alter", "drop"]
    }

    fn parse(&self, tokens: &mut TokenStream<'_>) -> SqlResult<Option<Statement>> {
        if word(tokens.peek_ahead(1)) != Some("stream") {
            return Ok(None);
        }
        let action = tokens.keyword();
        tokens.skip();
        tokens.skip();
        match action {
            Some(Kw::Create) => create(tokens).map(Some),
            Some(Kw::Alter) => alter(tokens).map(Some),
            _ => drop(tokens).map(Some),
        }
    }

    fn tail(&self, tokens: &mut TokenStream<'_>) -> SqlResult<Option<TailStmt>> {
        if word(tokens.peek()) != Some("subscribe") {
            return Ok(None);
        }
        tokens.skip();
        subscription(tokens).map(Some)
    }
}

/// `SUBSCRIBE TO stream [FROM EARLIEST | LATEST | offset | 'time'] [WHERE condition]`
fn subscription(tokens: &mut TokenStream<'_>) -> SqlResult<TailStmt> {
    tokens.expect(Kw::To)?;
    let name = tokens.qualified_name()?;
    let mut start = "latest".to_owned();
    if tokens.eat(Kw::From) {
        start = match tokens.peek() {
            TokenKind::Ident(word) if matches!(&**word, "earliest" | "latest") => {
                let word = word.to_string();
                tokens.skip();
                word
            }
            TokenKind::String(_) => tokens.string()?,
            _ => tokens.integer()?.to_string(),
        };
    }
    let mut condition = "true".to_owned();
    if tokens.eat(Kw::Where) {
        let from = tokens.location() as usize;
        tokens.expr()?;
        let text = tokens.text().get(from..tokens.previous_end() as usize).unwrap_or_default();
        condition = format!("coalesce(({text}), false)");
    }
    let (written, start) = (written(&name), quote_literal(&start));
    let relation = quote_literal(&written);
    Ok(TailStmt {
        starts: query(&format!(
            "SELECT partition, next_offset \
             FROM pg_catalog.stream_offsets({relation}::pg_catalog.regclass, {start})"
        ))?,
        rows: query(&format!(
            "SELECT *, {condition} FROM {written} \
             WHERE partition = $1 AND \"offset\" >= $2 \
             ORDER BY partition, \"offset\" LIMIT 1000"
        ))?,
        channel: channel(&name.name),
    })
}

fn query(text: &str) -> SqlResult<Statement> {
    let mut statements = parse(text).map_err(SqlError::without_position)?;
    statements.pop().map(|raw| raw.statement).ok_or_else(|| SqlError::internal("no query"))
}

fn statement(tag: &'static str, action: EngineAction) -> EngineStmt {
    EngineStmt {
        engine: ENGINE,
        tag,
        action,
        forgiving: false,
        names: Vec::new(),
        options: Vec::new(),
        clauses: Vec::new(),
        behavior: DropBehavior::Restrict,
    }
}

fn create(tokens: &mut TokenStream<'_>) -> SqlResult<Statement> {
    let mut create = statement("CREATE STREAM", EngineAction::Create);
    create.forgiving = tokens.if_not_exists()?;
    create.names.push(tokens.qualified_name()?);
    if word(tokens.peek()) == Some(PARTITIONS) {
        tokens.skip();
        let count = tokens.integer()?;
        create.clauses.push(EngineClause::Number(PARTITIONS, i64::from(count)));
    }
    if tokens.eat(Kw::From) {
        tokens.expect(Kw::Table)?;
        create.clauses.push(EngineClause::Relations(FROM, tokens.qualified_name_list()?));
    }
    if tokens.eat(Kw::With) {
        create.options = tokens.reloptions()?;
    }
    Ok(Statement::Engine(Box::new(create)))
}

fn alter(tokens: &mut TokenStream<'_>) -> SqlResult<Statement> {
    let forgiving = tokens.if_exists();
    let name = tokens.qualified_name()?;
    let action = match tokens.keyword() {
        Some(Kw::Set) if !tokens.char_ahead(1, '(') => return alter_as_table(tokens, &name),
        Some(Kw::Set) => EngineAction::Set,
        Some(Kw::Reset) => EngineAction::Reset,
        Some(Kw::Rename | Kw::Owner) => return alter_as_table(tokens, &name),
        _ if word(tokens.peek()) == Some("rotate") => {
            tokens.skip();
            let mut rotate = statement("ALTER STREAM", EngineAction::Rotate);
            (rotate.forgiving, rotate.names) = (forgiving, vec![name]);
            return Ok(Statement::Engine(Box::new(rotate)));
        }
        _ => return Err(tokens.syntax_error()),
    };
    tokens.skip();
    let mut alter = statement("ALTER STREAM", action);
    (alter.forgiving, alter.names) = (forgiving, vec![name]);
    alter.options = tokens.reloptions()?;
    Ok(Statement::Engine(Box::new(alter)))
}

/// What is said of a stream as of any table: its name, its schema, its owner.
fn alter_as_table(tokens: &mut TokenStream<'_>, name: &RangeVar) -> SqlResult<Statement> {
    let mut text = format!("ALTER TABLE {}", written(name));
    let from = tokens.location() as usize;
    while !tokens.at_end() && !tokens.at_char(';') {
        tokens.skip();
    }
    let rest = tokens.text().get(from..tokens.previous_end() as usize).unwrap_or_default();
    text.push(' ');
    text.push_str(rest);
    let mut statements = parse(&text).map_err(SqlError::without_position)?;
    match statements.pop() {
        Some(one) if statements.is_empty() => Ok(one.statement),
        _ => Err(tokens.syntax_error()),
    }
}

fn drop(tokens: &mut TokenStream<'_>) -> SqlResult<Statement> {
    let mut drop = statement("DROP STREAM", EngineAction::Drop);
    drop.forgiving = tokens.if_exists();
    drop.names = tokens.qualified_name_list()?;
    drop.behavior = tokens.opt_drop_behavior();
    Ok(Statement::Engine(Box::new(drop)))
}

fn written(name: &RangeVar) -> String {
    let parts = [name.catalog.as_deref(), name.schema.as_deref(), Some(name.name.as_str())];
    parts.into_iter().flatten().map(quote_ident).collect::<Vec<_>>().join(".")
}

/// Runs a statement of the engine.
pub(crate) async fn define(
    known: &Known,
    ddl: &mut Ddl<'_>,
    statement: &EngineStmt,
) -> SqlResult<()> {
    match statement.action {
        EngineAction::Create => create_stream(known, ddl, statement).await,
        EngineAction::Set | EngineAction::Reset => alter_stream(ddl, statement).await,
        EngineAction::Rotate => retention::rotate(known, ddl, &statement.names[0]).await,
        EngineAction::Drop => drop_streams(ddl, statement).await,
    }
}

async fn create_stream(known: &Known, ddl: &mut Ddl<'_>, create: &EngineStmt) -> SqlResult<()> {
    let name = &create.names[0];
    let mut options = merged(&[], &create.options, &ddl.context.eval())?;
    for clause in &create.clauses {
        if let EngineClause::Number(word, number) = clause {
            options.retain(|option| !option.starts_with("partitions="));
            options.push(format!("{word}={number}"));
        }
    }
    // Once more, with what the clauses say.
    let mut relation = Relation { options, ..Relation::default() };
    let settings = crate::settings::Settings::of(&relation, &ddl.context.eval())?;
    let payload = match settings.payload {
        aegis_types::type_oid::TEXT => "text",
        aegis_types::type_oid::BYTEA => "bytea",
        _ => "jsonb",
    };
    let existing = ddl.find(name)?;
    if let (Some(_), true) = (&existing, create.forgiving) {
        ddl.tell(
            SqlState::DuplicateTable,
            format!("relation \"{}\" already exists, skipping", name.name),
        );
        return Ok(());
    }
    let written = written(name);
    let text = format!(
        "CREATE TABLE {written} (partition integer, \"offset\" bigint, key text, \
         payload {payload}, headers jsonb, published_at timestamptz NOT NULL, id uuid NOT NULL, \
         expires_at timestamptz, PRIMARY KEY (partition, \"offset\"));
         CREATE INDEX ON {written} (key) WHERE key IS NOT NULL"
    );
    for raw in parse(&text)? {
        ddl.run(&raw.statement).await?;
    }
    let missing = || SqlError::internal("a stream was not made");
    let made = ddl.find(name)?.ok_or_else(missing)?;
    relation = Relation { options: relation.options, ..(*made).clone() };
    if let RelationBody::Table(body) = &mut relation.body {
        let expires = i16::try_from(crate::known::column::EXPIRES_AT + 1).ok();
        let counters = Some(body.tree);
        // Whoever publishes later commits later, in each partition.
        let along = i16::try_from(crate::known::column::PUBLISHED_AT + 1).ok();
        body.managed = Some(Managed { engine: ENGINE.to_owned(), expires, counters, along });
    }
    let stream = relation.oid;
    ddl.put(Descriptor::Relation(Arc::new(relation)))?;
    for clause in &create.clauses {
        if let EngineClause::Relations(FROM, tables) = clause {
            if settings.payload != aegis_types::type_oid::JSONB {
                return Err(SqlError::new(
                    SqlState::InvalidParameterValue,
                    "a stream of changes has payloads of type jsonb",
                ));
            }
            for table in tables {
                capture_table(known, ddl, stream, table).await?;
            }
        }
    }
    Ok(())
}

/// From here on a stream is told of what happens to a table.
async fn capture_table(
    known: &Known,
    ddl: &mut Ddl<'_>,
    stream: Oid,
    name: &RangeVar,
) -> SqlResult<()> {
    let Some(table) = ddl.alterable(name, false).await? else { return Ok(()) };
    let body =
        table.as_table().filter(|body| body.managed.is_none() && body.materialized.is_none());
    if body.is_none() {
        return Err(SqlError::new(
            SqlState::WrongObjectType,
            format!("\"{}\" is not a table", table.name),
        ));
    }
    let mut captured = (*table).clone();
    if let RelationBody::Table(body) = &mut captured.body {
        if body.captured_by.iter().any(|(_, object)| *object == stream) {
            return Err(SqlError::new(
                SqlState::DuplicateObject,
                format!("table \"{}\" is named more than once", table.name),
            ));
        }
        body.captured_by.push((ENGINE.to_owned(), stream));
    }
    let captured = Arc::new(captured);
    ddl.put(Descriptor::Relation(captured.clone()))?;
    let context = ddl.context.clone();
    let stream = known.stream(&context, stream)?;
    if !stream.settings.snapshot {
        return Ok(());
    }
    // Nobody else writes: what is there now is what the later changes are changes of.
    let access = TableAccess::new(&captured, &context)?;
    let view = ddl.txn.newest_view()?;
    let mut scan = view.scan(access.tree, KeyRange::all(), Direction::Forward)?;
    let mut block = Block::default();
    let (engine, row_ids, timeout) = (ddl.engine, ddl.row_ids, ddl.lock_timeout);
    let mut changes = Changes::new(ddl.txn, &context, engine, row_ids, timeout);
    while scan.next_block(&mut block)? {
        context.cancel.check()?;
        for stored in block.iter() {
            let row = access.layout.decode(stored.value)?;
            crate::capture::snapshot(&mut changes, &stream, &access, &row).await?;
        }
    }
    Ok(())
}

async fn alter_stream(ddl: &mut Ddl<'_>, alter: &EngineStmt) -> SqlResult<()> {
    let name = &alter.names[0];
    let Some(found) = ddl.alterable(name, alter.forgiving).await? else { return Ok(()) };
    if !is_stream(&found) {
        return Err(no_stream(&found.name));
    }
    let fixed = |option: &str| {
        matches!(option, "partitions" | "payload").then(|| {
            SqlError::new(
                SqlState::FeatureNotSupported,
                format!("cannot change \"{option}\" of stream \"{}\"", found.name),
            )
            .detail("What is published already depends on it.")
        })
    };
    if let Some(error) = alter.options.iter().find_map(|option| fixed(&option.name)) {
        return Err(error);
    }
    let options = match alter.action {
        EngineAction::Set => merged(&found.options, &alter.options, &ddl.context.eval())?,
        _ => {
            let names: Vec<String> =
                alter.options.iter().map(|option| format!("{}=", option.name)).collect();
            let mut options = found.options.clone();
            options.retain(|option| !names.iter().any(|name| option.starts_with(name)));
            options
        }
    };
    ddl.put(Descriptor::Relation(Arc::new(Relation { options, ..(*found).clone() })))
}

/// The tables that a stream captures are captured no more.
fn release_tables(ddl: &mut Ddl<'_>, stream: Oid) -> SqlResult<()> {
    let catalog = ddl.context.catalog.clone();
    let is_captor = |(_, object): &(String, Oid)| *object == stream;
    for relation in catalog.relations_of(ddl.context.database) {
        let body = relation.as_table();
        if body.is_none_or(|body| !body.captured_by.iter().any(is_captor)) {
            continue;
        }
        let mut released = (**relation).clone();
        if let RelationBody::Table(body) = &mut released.body {
            body.captured_by.retain(|captor| !is_captor(captor));
        }
        ddl.put(Descriptor::Relation(Arc::new(released)))?;
    }
    Ok(())
}

async fn drop_streams(ddl: &mut Ddl<'_>, drop: &EngineStmt) -> SqlResult<()> {
    for name in &drop.names {
        match ddl.find(name)? {
            Some(relation) if !is_stream(&relation) => return Err(no_stream(&relation.name)),
            Some(stream) => {
                release_tables(ddl, stream.oid)?;
                // Whoever waits for its messages is told.
                ddl.context.host.wake(&channel(&stream.name), "")?;
            }
            None if drop.forgiving => {
                let message = format!("stream \"{}\" does not exist, skipping", name.name);
                ddl.tell(SqlState::SuccessfulCompletion, message);
                continue;
            }
            None => {
                return Err(SqlError::new(
                    SqlState::UndefinedTable,
                    format!("stream \"{}\" does not exist", name.name),
                ));
            }
        }
        let cascade = if drop.behavior == DropBehavior::Cascade { " CASCADE" } else { "" };
        for raw in parse(&format!("DROP TABLE {}{cascade}", written(name)))? {
            ddl.run(&raw.statement).await?;
        }
    }
    Ok(())
}
