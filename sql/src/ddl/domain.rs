//! Domains: `CREATE DOMAIN`, `ALTER DOMAIN`. What a domain demands is checked where a value becomes
//! one ([`aegis_types::Host::check_domain`]); here, that the rows which are there keep to it.

use std::sync::Arc;

use aegis_catalog::{Descriptor, DomainBody, DomainCheck, Relation, TypeBody, UserType};
use aegis_storage::TableLockMode;
use aegis_types::builtin::builtins;
use aegis_types::{Datum, Oid, SqlError, SqlResult, SqlState, TypeRef};

use super::Ddl;
use super::expression::compile_over_row;
use super::name::NameParts;
use crate::ast::{
    AlterDomainAction, AlterDomainStmt, Constraint, ConstraintKind, CreateDomainStmt, Expr,
};
use crate::evaluate::Program;

impl Ddl<'_> {
    /// `CREATE DOMAIN`
    pub(super) async fn create_domain(
        &mut self,
        create: &CreateDomainStmt,
    ) -> SqlResult<&'static str> {
        let (schema, name) = self.new_type_name(&create.name).await?;
        let base = self.analyzer().resolve_type_name(&create.type_name)?;
        let kind = builtins().type_row(base.oid).map_or(b'b', |row| row.kind);
        if kind == b'p' {
            return Err(SqlError::new(
                SqlState::DatatypeMismatch,
                format!("\"{}\" is not a valid base type for a domain", self.shown_type(base.oid)),
            )
            .at(create.type_name.location));
        }
        let mut body = DomainBody {
            base,
            collation: self.column_collation(create.collation.as_ref(), base)?,
            not_null: false,
            default: None,
            checks: Vec::new(),
        };
        let mut said_null = None;
        let mut has_default = false;
        for constraint in &create.constraints {
            match &constraint.kind {
                ConstraintKind::Default(default) => {
                    if std::mem::replace(&mut has_default, true) {
                        return Err(SqlError::new(
                            SqlState::SyntaxError,
                            "multiple default expressions",
                        )
                        .at(constraint.location));
                    }
                    body.default = self.domain_default(default, base, &name)?;
                }
                ConstraintKind::Null | ConstraintKind::NotNull => {
                    let not_null = matches!(constraint.kind, ConstraintKind::NotNull);
                    if said_null.is_some_and(|before| before != not_null) {
                        return Err(SqlError::new(
                            SqlState::SyntaxError,
                            "conflicting NULL/NOT NULL constraints",
                        )
                        .at(constraint.location));
                    }
                    said_null = Some(not_null);
                    body.not_null = not_null;
                }
                _ => {
                    let check = self.domain_check(constraint, &name, &body)?;
                    body.checks.push(check);
                }
            }
        }
        let (oid, array) = (self.counters.next_oid()?, self.counters.next_oid()?);
        self.put_new_type(oid, array, schema, name, TypeBody::Domain(Arc::new(body)))?;
        Ok("CREATE DOMAIN")
    }

    fn domain_default(
        &self,
        default: &Expr,
        base: TypeRef,
        name: &str,
    ) -> SqlResult<Option<String>> {
        let nothing = Arc::new(self.no_relation());
        Ok(self.default(default, &nothing, base, name)?.map(|(text, _)| text))
    }

    /// A relation without columns, for expressions that name none.
    fn no_relation(&self) -> Relation {
        Relation {
            oid: Oid::NONE,
            database: self.context.database,
            schema: Oid::NONE,
            name: String::new(),
            owner: Oid::NONE,
            row_type: Oid::NONE,
            row_array_type: Oid::NONE,
            columns: Vec::new(),
            options: Vec::new(),
            ..Relation::default()
        }
    }

    /// A CHECK constraint as it is kept.
    fn domain_check(
        &self,
        constraint: &Constraint,
        domain: &str,
        body: &DomainBody,
    ) -> SqlResult<DomainCheck> {
        let expression = match &constraint.kind {
            ConstraintKind::Check(expression) => expression,
            other => return Err(impossible(other, constraint.location)),
        };
        let name = match &constraint.name {
            Some(name) if body.checks.iter().any(|check| check.name == *name) => {
                return Err(SqlError::new(
                    SqlState::DuplicateObject,
                    format!("constraint \"{name}\" for domain \"{domain}\" already exists"),
                ));
            }
            Some(name) => name.clone(),
            None => NameParts { table: domain, columns: "", label: "check" }
                .first_free(|name| body.checks.iter().any(|check| check.name == name)),
        };
        let bound = self.analyzer().analyze_domain_check(expression, body.base)?;
        Ok(DomainCheck {
            oid: self.counters.next_oid()?,
            name,
            expression: self.expression_text(&bound, &self.no_relation())?,
            validated: !constraint.not_valid,
        })
    }

    /// The domain that a statement names, locked.
    async fn open_domain(
        &mut self,
        names: &[String],
    ) -> SqlResult<(Arc<UserType>, Arc<DomainBody>)> {
        let oid = self.named_type(names)?;
        if self.context.catalog.user_type(oid).is_some() {
            self.lock_type(oid).await?;
        }
        match self.context.catalog.user_type(oid).map(|ty| (ty, &ty.body)) {
            Some((ty, TypeBody::Domain(body))) => {
                self.check_owns_type(ty)?;
                Ok((ty.clone(), body.clone()))
            }
            _ => Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("{} is not a domain", self.shown_type(oid)),
            )),
        }
    }

    /// `ALTER DOMAIN`
    pub(super) async fn alter_domain(
        &mut self,
        alter: &AlterDomainStmt,
    ) -> SqlResult<&'static str> {
        let (ty, body) = self.open_domain(&alter.name).await?;
        let mut changed = (*body).clone();
        match &alter.action {
            AlterDomainAction::Default(None) => changed.default = None,
            AlterDomainAction::Default(Some(default)) => {
                changed.default = self.domain_default(default, body.base, &ty.name)?;
            }
            AlterDomainAction::DropNotNull => changed.not_null = false,
            AlterDomainAction::SetNotNull => {
                if !body.not_null {
                    self.check_columns(&ty, None).await?;
                }
                changed.not_null = true;
            }
            AlterDomainAction::AddConstraint(constraint) => {
                let check = self.domain_check(constraint, &ty.name, &body)?;
                if check.validated {
                    let program = self.check_program(&check.expression, body.base)?;
                    self.check_columns(&ty, Some(&program)).await?;
                }
                changed.checks.push(check);
            }
            AlterDomainAction::DropConstraint { name, missing_ok, .. } => {
                if !changed.checks.iter().any(|check| check.name == *name) {
                    let error = missing_constraint(name, &ty.name);
                    if *missing_ok {
                        let message = format!("{}, skipping", error.fields().message);
                        self.notice(SqlState::SuccessfulCompletion, message);
                        return Ok("ALTER DOMAIN");
                    }
                    return Err(error);
                }
                changed.checks.retain(|check| check.name != *name);
            }
            AlterDomainAction::ValidateConstraint(name) => {
                let check = changed.checks.iter_mut().find(|check| check.name == *name);
                let check = check.ok_or_else(|| missing_constraint(name, &ty.name))?;
                if !check.validated {
                    check.validated = true;
                    let text = check.expression.clone();
                    let program = self.check_program(&text, body.base)?;
                    self.check_columns(&ty, Some(&program)).await?;
                }
            }
        }
        let body = TypeBody::Domain(Arc::new(changed));
        self.put(Descriptor::Type(Arc::new(UserType { body, ..(*ty).clone() })))?;
        Ok("ALTER DOMAIN")
    }

    /// `ALTER DOMAIN … RENAME CONSTRAINT`
    pub(super) async fn rename_domain_constraint(
        &mut self,
        names: &[String],
        old: &str,
        new: &str,
    ) -> SqlResult<&'static str> {
        let (ty, body) = self.open_domain(names).await?;
        let mut changed = (*body).clone();
        let taken = changed.checks.iter().any(|check| check.name == new);
        let check = changed.checks.iter_mut().find(|check| check.name == old);
        let check = check.ok_or_else(|| missing_constraint(old, &ty.name))?;
        if taken {
            return Err(SqlError::new(
                SqlState::DuplicateObject,
                format!("constraint \"{new}\" for domain \"{}\" already exists", ty.name),
            ));
        }
        new.clone_into(&mut check.name);
        let body = TypeBody::Domain(Arc::new(changed));
        self.put(Descriptor::Type(Arc::new(UserType { body, ..(*ty).clone() })))?;
        Ok("ALTER DOMAIN")
    }

    /// A condition over a row of one value.
    fn check_program(&self, text: &str, base: TypeRef) -> SqlResult<Program> {
        let parsed = crate::parser::parse_expr(text)?;
        let path = [aegis_catalog::snapshot::PG_CATALOG];
        let bound = self.analyzer_under(&path).analyze_domain_check(&parsed, base)?;
        compile_over_row(&bound)
    }

    /// Looks at every stored value of a domain, and of those over it: whether it is NULL, or
    /// breaks a condition.
    async fn check_columns(&mut self, ty: &UserType, check: Option<&Program>) -> SqlResult<()> {
        let domains = self.domains_over(ty.oid);
        let mut tables: Vec<Oid> = Vec::new();
        for relation in self.context.catalog.relations_of(self.context.database) {
            let of_domain = |oid: Oid| domains.contains(&oid);
            if relation.as_table().is_some()
                && relation.live_columns().any(|column| of_domain(column.ty.oid))
            {
                tables.push(relation.oid);
            }
        }
        tables.sort_unstable();
        for table in tables {
            self.lock(table, TableLockMode::Share).await?;
            let Some(relation) = self.context.catalog.relation(table).cloned() else { continue };
            for column in relation.live_columns().filter(|c| domains.contains(&c.ty.oid)) {
                let at = usize::try_from(column.number - 1).unwrap_or_default();
                let evaluation = self.context.evaluation();
                let mut broken = false;
                self.each_row(&relation, |_, row| {
                    let value = row.get(at).cloned().unwrap_or(Datum::Null);
                    broken |= match check {
                        None => value.is_null(),
                        Some(check) => {
                            matches!(check.evaluate(&[value], &evaluation)?, Datum::Bool(false))
                        }
                    };
                    Ok(!broken)
                })?;
                if broken {
                    let (code, what) = match check {
                        None => (SqlState::NotNullViolation, "null values"),
                        Some(_) => {
                            (SqlState::CheckViolation, "values that violate the new constraint")
                        }
                    };
                    return Err(SqlError::new(
                        code,
                        format!(
                            "column \"{}\" of table \"{}\" contains {what}",
                            column.name, relation.name
                        ),
                    )
                    .table(self.schema_name(relation.schema), relation.name.clone())
                    .column(column.name.clone()));
                }
            }
        }
        Ok(())
    }

    /// A domain with those that are over it.
    fn domains_over(&self, oid: Oid) -> Vec<Oid> {
        let mut found = vec![oid];
        let mut at = 0;
        while let Some(below) = found.get(at).copied() {
            for ty in self.context.catalog.user_types_of(self.context.database) {
                if let TypeBody::Domain(body) = &ty.body
                    && body.base.oid == below
                    && !found.contains(&ty.oid)
                {
                    found.push(ty.oid);
                }
            }
            at += 1;
        }
        found
    }
}

fn missing_constraint(name: &str, domain: &str) -> SqlError {
    SqlError::new(
        SqlState::UndefinedObject,
        format!("constraint \"{name}\" of domain \"{domain}\" does not exist"),
    )
}

/// 42601 for constraints that a domain cannot have.
fn impossible(kind: &ConstraintKind, location: u32) -> SqlError {
    let what = match kind {
        ConstraintKind::Unique(_) => "unique",
        ConstraintKind::Primary(_) => "primary key",
        ConstraintKind::Exclusion(_) => "exclusion",
        ConstraintKind::Foreign(_) => "foreign key",
        ConstraintKind::Identity { .. } | ConstraintKind::Generated(_) => {
            return SqlError::new(
                SqlState::SyntaxError,
                "specifying GENERATED constraint is not supported for domains",
            )
            .at(location);
        }
        ConstraintKind::Null
        | ConstraintKind::NotNull
        | ConstraintKind::Default(_)
        | ConstraintKind::Check(_) => {
            return SqlError::new(
                SqlState::FeatureNotSupported,
                "constraint is not supported for domains",
            )
            .at(location);
        }
    };
    SqlError::new(SqlState::SyntaxError, format!("{what} constraints not possible for domains"))
        .at(location)
}
