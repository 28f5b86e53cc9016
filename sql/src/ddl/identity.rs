//! `ALTER COLUMN … ADD GENERATED AS IDENTITY`, `SET GENERATED` and `DROP IDENTITY`: what `pg_dump`
//! writes of identity columns, since their sequences may have any name.

use std::sync::Arc;

use aegis_catalog::Relation;
use aegis_types::{Oid, SqlError, SqlResult, SqlState, type_oid};

use super::Ddl;
use super::alter_table::missing_column;
use super::create_table::stored_identity;
use super::dependency::Item;
use super::sequence::OwnedSequence;
use crate::ast::{Constraint, ConstraintKind, DropBehavior, IdentityChange, SequenceOption};

impl Ddl<'_> {
    /// `ADD GENERATED … AS IDENTITY (…)`: the sequence first, as PostgreSQL does it.
    pub(super) async fn add_identity(
        &mut self,
        relation: &Arc<Relation>,
        name: &str,
        constraint: &Constraint,
    ) -> SqlResult<()> {
        let ConstraintKind::Identity { when, options } = &constraint.kind else {
            return Err(SqlError::internal("an identity is no identity"));
        };
        let column = relation.column_named(name).ok_or_else(|| missing_column(relation, name))?;
        let ty = column.ty.oid;
        if !matches!(ty, type_oid::INT2 | type_oid::INT4 | type_oid::INT8) {
            return Err(SqlError::new(
                SqlState::InvalidParameterValue,
                "identity column type must be smallint, integer, or bigint",
            ));
        }
        let owner = OwnedSequence { table: relation.oid, column: column.number, internal: true };
        self.create_owned_sequence(&owner, ty, options).await?;
        let refused = |what: &str| {
            Err(SqlError::new(
                SqlState::ObjectNotInPrerequisiteState,
                format!("column \"{name}\" of relation \"{}\" {what}", relation.name),
            ))
        };
        if !column.not_null {
            return refused("must be declared NOT NULL before identity can be added");
        }
        if column.identity.is_some() {
            return refused("is already an identity column");
        }
        if column.default.is_some() {
            return refused("already has a default value");
        }
        let identity = Some(stored_identity(*when));
        self.change_column(relation.oid, column.number, |it| it.identity = identity).map(drop)
    }

    /// `SET GENERATED …`, `SET sequence_option`, `RESTART`
    pub(super) async fn set_identity(
        &mut self,
        relation: &Arc<Relation>,
        name: &str,
        changes: &[IdentityChange],
    ) -> SqlResult<()> {
        let column = relation.column_named(name).ok_or_else(|| missing_column(relation, name))?;
        if column.identity.is_none() {
            return Err(not_identity(relation, name));
        }
        let mut options: Vec<SequenceOption> = Vec::new();
        let mut kind = None;
        for change in changes {
            match change {
                IdentityChange::SetGenerated(_) if kind.is_some() => {
                    return Err(SqlError::new(
                        SqlState::SyntaxError,
                        "conflicting or redundant options",
                    ));
                }
                IdentityChange::SetGenerated(when) => kind = Some(stored_identity(*when)),
                IdentityChange::Option(option) => options.push(option.clone()),
            }
        }
        let number = column.number;
        if !options.is_empty() {
            let sequence = self.relation(self.identity_sequence(relation.oid, number)?)?;
            self.change_sequence(&sequence, &options).await?;
        }
        match kind {
            Some(kind) => {
                self.change_column(relation.oid, number, |it| it.identity = Some(kind)).map(drop)
            }
            None => Ok(()),
        }
    }

    /// `DROP IDENTITY [IF EXISTS]`
    pub(super) async fn drop_identity(
        &mut self,
        relation: &Arc<Relation>,
        name: &str,
        missing_ok: bool,
    ) -> SqlResult<()> {
        let column = relation.column_named(name).ok_or_else(|| missing_column(relation, name))?;
        if column.identity.is_none() {
            let error = not_identity(relation, name);
            if !missing_ok {
                return Err(error);
            }
            let message = format!("{}, skipping", error.fields().message);
            self.notice(SqlState::SuccessfulCompletion, message);
            return Ok(());
        }
        let number = column.number;
        let sequence = self.identity_sequence(relation.oid, number)?;
        self.change_column(relation.oid, number, |it| it.identity = None)?;
        self.drop_items(&[Item::Relation(sequence)], DropBehavior::Restrict).await
    }

    fn identity_sequence(&self, table: Oid, number: i16) -> SqlResult<Oid> {
        let catalog = &self.context.catalog;
        let mut owned = self.owned_sequences(table, Some(number));
        owned
            .find(|oid| {
                let sequence = catalog.relation(*oid).and_then(|found| found.as_sequence());
                sequence.is_some_and(|sequence| sequence.internal)
            })
            .ok_or_else(|| SqlError::internal("an identity column has no sequence"))
    }
}

fn not_identity(relation: &Relation, name: &str) -> SqlError {
    SqlError::new(
        SqlState::ObjectNotInPrerequisiteState,
        format!("column \"{name}\" of relation \"{}\" is not an identity column", relation.name),
    )
}
