//! What the body of a function in SQL means: its statements, analyzed for the types of one call.

use aegis_catalog::{Function, FunctionBody};
use aegis_types::{SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use crate::analyze::{Analyzed, Analyzer, AnalyzerContext, Routine, RoutineResult};
use crate::ast::{Statement, TransactionStmt};
use crate::parser;

/// A function's body, ready to be run.
#[derive(Clone, Debug)]
pub struct AnalyzedBody {
    /// Its statements.
    pub statements: Vec<Analyzed>,
    /// What the last one gives.
    pub result: RoutineResult,
}

/// The statements of a function's body, as they are written.
///
/// # Errors
/// 42601 and what else parsing raises; 42P13 for a body that is none.
pub fn parse_body(function: &Function) -> SqlResult<Vec<Statement>> {
    let mut statements = Vec::new();
    let texts = match &function.body {
        FunctionBody::Text(text) => std::slice::from_ref(text),
        FunctionBody::Statements(texts) => texts,
        FunctionBody::Symbol(_) => {
            return Err(SqlError::internal("a function of the server has no statements"));
        }
    };
    for text in texts {
        let parsed = parser::parse(text)?.into_iter();
        statements.extend(parsed.map(|raw| raw.statement));
    }
    Ok(statements)
}

/// Analyzes the body of a function for arguments and a result of these types, and the columns of the
/// call's column definition list, if it has one.
///
/// # Errors
/// What analysis raises, with positions in the body's text; 42P13 where the last statement gives something else than
/// the function is to; 0A000 for statements that cannot run here.
pub fn analyze_body(
    context: &AnalyzerContext<'_>,
    function: &Function,
    arguments: &[TypeRef],
    result: TypeRef,
    defined: &[TypeRef],
) -> SqlResult<AnalyzedBody> {
    let stored = matches!(function.body, FunctionBody::Statements(_));
    let routine = Routine {
        name: function.name.clone(),
        parameters: function.inputs().map(|input| input.name.clone()).collect(),
    };
    let actual: Vec<_> = arguments.iter().map(|ty| ty.oid).collect();
    let context = AnalyzerContext {
        parameters: actual.iter().map(|oid| Some(*oid)).collect(),
        infer_parameters: false,
        search_path: if stored { &[] } else { context.search_path },
        ..context.clone()
    };
    let analyzer = || {
        let analyzer = Analyzer::new(context.clone()).of_routine(&routine);
        if stored { analyzer.of_stored_text() } else { analyzer }
    };
    let result = analyzer().routine_result(function, &actual, result, defined);
    let shown = analyzer().shown_type(declared_result(function));
    let statements = parse_body(function)?;
    let Some((last, first)) = statements.split_last() else {
        return match result {
            RoutineResult::Void => Ok(AnalyzedBody { statements: Vec::new(), result }),
            _ => Err(mismatch(&shown)),
        };
    };
    let mut analyzed = Vec::with_capacity(statements.len());
    for statement in first {
        check_allowed(statement)?;
        analyzed.push(analyzer().analyze(statement)?);
    }
    if !matches!(result, RoutineResult::Void) && !may_return(last) {
        return Err(mismatch(&shown));
    }
    check_allowed(last)?;
    analyzed.push(analyzer().analyze_final(last, &result, &shown)?);
    Ok(AnalyzedBody { statements: analyzed, result })
}

/// The type that messages say a function returns.
fn declared_result(function: &Function) -> TypeRef {
    TypeRef::plain(if function.result.is_some() { function.result } else { t::VOID })
}

fn mismatch(shown: &str) -> SqlError {
    SqlError::new(
        SqlState::InvalidFunctionDefinition,
        format!("return type mismatch in function declared to return {shown}"),
    )
    .detail("Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.")
}

const fn may_return(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Select(_) | Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_)
    )
}

fn check_allowed(statement: &Statement) -> SqlResult<()> {
    match statement {
        statement if may_return(statement) => Ok(()),
        Statement::Merge(_) => Ok(()),
        Statement::Transaction(transaction) => {
            let word = match transaction {
                TransactionStmt::Begin(_) => "BEGIN",
                TransactionStmt::Start(_) => "START TRANSACTION",
                TransactionStmt::Commit { .. } => "COMMIT",
                TransactionStmt::Rollback { .. } | TransactionStmt::RollbackTo(_) => "ROLLBACK",
                TransactionStmt::Savepoint(_) => "SAVEPOINT",
                TransactionStmt::Release(_) => "RELEASE",
                TransactionStmt::Prepare(_) => "PREPARE TRANSACTION",
                TransactionStmt::CommitPrepared(_) => "COMMIT PREPARED",
                TransactionStmt::RollbackPrepared(_) => "ROLLBACK PREPARED",
            };
            Err(SqlError::new(
                SqlState::FeatureNotSupported,
                format!("{word} is not allowed in an SQL function"),
            ))
        }
        _ => Err(SqlError::unsupported("a statement that is no query in an SQL function")),
    }
}
