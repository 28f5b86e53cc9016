//! The conditions of domains: compiled once for each state of a domain, and run over values.

use std::collections::BTreeMap;
use std::sync::Arc;

use aegis_catalog::snapshot::PG_CATALOG;
use aegis_catalog::{TypeBody, UserType};
use aegis_sql::analyze::{Analyzer, AnalyzerContext};
use aegis_sql::evaluate::{Evaluation, Program};
use aegis_sql::parser;
use aegis_types::{Datum, EvalContext, Oid, SqlError, SqlResult, SqlState};
use parking_lot::Mutex;

use super::SessionHost;

/// The conditions of the domains that were asked for.
#[derive(Default)]
pub(super) struct DomainPrograms(Mutex<BTreeMap<Oid, Arc<DomainProgram>>>);

/// What a domain and those below it demand.
struct DomainProgram {
    /// The descriptors that it was made of, outermost first.
    chain: Vec<Arc<UserType>>,
    not_null: bool,
    /// By name, those of the innermost domain first.
    checks: Vec<(String, Program)>,
}

impl SessionHost {
    /// Checks a value against a domain.
    pub(super) fn check_domain_value(
        &self,
        domain: Oid,
        value: &Datum,
        context: &EvalContext<'_>,
    ) -> SqlResult<()> {
        let program = self.domain_program(domain, context)?;
        let Some(outermost) = program.chain.first() else { return Ok(()) };
        let shown = || self.seen().names(self.identity.database).format_type(domain, None);
        let schema = || {
            let seen = self.seen();
            seen.catalog.schema_name(outermost.schema).unwrap_or_default().to_owned()
        };
        if program.not_null && value.is_null() {
            let mut error = SqlError::new(
                SqlState::NotNullViolation,
                format!("domain {} does not allow null values", shown()),
            );
            error = error.schema(schema()).data_type(outermost.name.clone());
            return Err(error);
        }
        let evaluation = Evaluation { eval: *context, parameters: &[] };
        for (name, check) in &program.checks {
            let row = std::slice::from_ref(value);
            if matches!(check.evaluate(row, &evaluation)?, Datum::Bool(false)) {
                return Err(SqlError::new(
                    SqlState::CheckViolation,
                    format!("value for domain {} violates check constraint \"{name}\"", shown()),
                )
                .schema(schema())
                .data_type(outermost.name.clone())
                .constraint(name.clone()));
            }
        }
        Ok(())
    }

    fn domain_program(
        &self,
        domain: Oid,
        context: &EvalContext<'_>,
    ) -> SqlResult<Arc<DomainProgram>> {
        let seen = self.seen();
        let mut chain = Vec::new();
        let mut oid = domain;
        while let Some(ty) = seen.catalog.user_type(oid)
            && let TypeBody::Domain(body) = &ty.body
        {
            chain.push(ty.clone());
            oid = body.base.oid;
        }
        if let Some(known) = self.domains.0.lock().get(&domain)
            && known.chain.len() == chain.len()
            && known.chain.iter().zip(&chain).all(|(old, new)| Arc::ptr_eq(old, new))
        {
            return Ok(known.clone());
        }
        let system_relations = self.system_relations();
        let mut program = DomainProgram { chain, not_null: false, checks: Vec::new() };
        for ty in program.chain.iter().rev() {
            let TypeBody::Domain(body) = &ty.body else { continue };
            program.not_null |= body.not_null;
            let mut checks: Vec<_> = body.checks.iter().collect();
            checks.sort_by(|one, other| one.name.cmp(&other.name));
            for check in checks {
                let analyzer = Analyzer::new(AnalyzerContext {
                    catalog: &seen.catalog,
                    database: self.identity.database,
                    search_path: &[PG_CATALOG],
                    system_relations: &*system_relations,
                    eval: *context,
                    parameters: Vec::new(),
                    infer_parameters: false,
                });
                let parsed = parser::parse_expr(&check.expression)?;
                let bound = analyzer.analyze_domain_check(&parsed, body.base)?;
                program.checks.push((check.name.clone(), Program::compile_slots(&bound)?));
            }
        }
        let program = Arc::new(program);
        self.domains.0.lock().insert(domain, program.clone());
        Ok(program)
    }
}
