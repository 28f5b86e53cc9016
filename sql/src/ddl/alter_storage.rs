//! What `ALTER TABLE` says of storage: kept and shown, since rows lie here by their keys whatever it
//! says.

use std::sync::Arc;

use aegis_catalog::{Persistence, Relation, RelationBody, ReplicaIdentity as Stored};
use aegis_storage::TableLockMode;
use aegis_types::builtin::builtins;
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::alter_table::missing_column;
use crate::ast::{AlterTableCmd, ClusterStmt, ReplicaIdentity};

/// The greatest target of statistics.
const STATISTICS_MAX: i32 = 10_000;

impl Ddl<'_> {
    /// One command about storage.
    pub(super) fn alter_storage(
        &mut self,
        relation: &Arc<Relation>,
        command: &AlterTableCmd,
    ) -> SqlResult<()> {
        match command {
            AlterTableCmd::SetStatistics { column: Some(name), target, .. } => {
                self.set_statistics(relation, name, *target)
            }
            AlterTableCmd::SetStorage { column, storage } => {
                self.set_storage(relation, column, storage)
            }
            AlterTableCmd::ClusterOn(name) => {
                let index = self.index_of(relation, name)?;
                self.cluster_on(relation, Some(index))
            }
            AlterTableCmd::DropCluster => self.cluster_on(relation, None),
            AlterTableCmd::ReplicaIdentity(identity) => self.replica_identity(relation, identity),
            AlterTableCmd::SetLogged => self.set_logged(relation, Persistence::Permanent),
            AlterTableCmd::SetUnlogged => self.set_logged(relation, Persistence::Unlogged),
            AlterTableCmd::AddInherit(_) | AlterTableCmd::DropInherit(_) => {
                Err(SqlError::unsupported("INHERIT"))
            }
            _ => Err(SqlError::unsupported("this form of ALTER TABLE")),
        }
    }

    fn set_statistics(&mut self, relation: &Relation, name: &str, target: i32) -> SqlResult<()> {
        let column = relation.column_named(name).ok_or_else(|| missing_column(relation, name))?;
        if target < -1 {
            return Err(SqlError::new(
                SqlState::InvalidParameterValue,
                format!("statistics target {target} is too low"),
            ));
        }
        if target > STATISTICS_MAX {
            let fields = SqlError::new(
                SqlState::InvalidParameterValue,
                format!("lowering statistics target to {STATISTICS_MAX}"),
            );
            self.notices.push(super::Notice { severity: "WARNING", fields });
        }
        let target = (target >= 0).then_some(target.min(STATISTICS_MAX));
        self.change_column(relation.oid, column.number, |column| column.statistics = target)
            .map(drop)
    }

    fn set_storage(&mut self, relation: &Relation, name: &str, storage: &str) -> SqlResult<()> {
        let column = relation.column_named(name).ok_or_else(|| missing_column(relation, name))?;
        let letter = match storage {
            "plain" => b'p',
            "external" => b'e',
            "extended" => b'x',
            "main" => b'm',
            _ => {
                return Err(SqlError::new(
                    SqlState::InvalidParameterValue,
                    format!("invalid storage type \"{storage}\""),
                ));
            }
        };
        let plain = builtins().type_row(column.ty.oid).is_some_and(|row| row.storage == b'p');
        if plain && letter != b'p' {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                format!(
                    "column data type {} can only have storage PLAIN",
                    self.type_name(column.ty.oid)
                ),
            ));
        }
        self.change_column(relation.oid, column.number, |column| column.storage = Some(letter))
            .map(drop)
    }

    fn index_of(&self, relation: &Relation, name: &str) -> SqlResult<Oid> {
        let found = self.context.catalog.relation_named(relation.schema, name);
        let on = found.filter(|index| index.as_index().is_some_and(|b| b.table == relation.oid));
        if let Some(index) = on {
            return Ok(index.oid);
        }
        if found.is_none_or(|found| found.as_index().is_none()) {
            return Err(SqlError::new(
                SqlState::UndefinedObject,
                format!("index \"{name}\" for table \"{}\" does not exist", relation.name),
            ));
        }
        Err(SqlError::new(
            SqlState::WrongObjectType,
            format!("\"{name}\" is not an index for table \"{}\"", relation.name),
        ))
    }

    fn cluster_on(&mut self, relation: &Relation, chosen: Option<Oid>) -> SqlResult<()> {
        if let Some(chosen) = chosen {
            let index = self.relation(chosen)?;
            if index.as_index().is_some_and(|body| body.predicate.is_some()) {
                return Err(SqlError::new(
                    SqlState::FeatureNotSupported,
                    format!("cannot cluster on partial index \"{}\"", index.name),
                ));
            }
        }
        for oid in relation.as_table().map(|table| table.indexes.clone()).unwrap_or_default() {
            let mut index = (*self.relation(oid)?).clone();
            if let RelationBody::Index(body) = &mut index.body {
                body.clustered = chosen == Some(oid);
            }
            self.put_relation(index)?;
        }
        Ok(())
    }

    /// `CLUSTER`: rows lie by their keys already; which index was named is kept.
    pub(super) async fn cluster(&mut self, cluster: &ClusterStmt) -> SqlResult<&'static str> {
        let Some(name) = &cluster.relation else { return Ok("CLUSTER") };
        let relation = self.open(name, TableLockMode::AccessExclusive).await?;
        if relation.as_table().is_none() {
            return Err(super::name::wrong_kind(&relation, "a table or materialized view"));
        }
        match &cluster.index_name {
            Some(index) => {
                let index = self.index_of(&relation, index)?;
                self.cluster_on(&relation, Some(index))?;
            }
            None => {
                let indexes = relation.as_table().map_or(&[][..], |table| &table.indexes);
                let clustered = indexes.iter().any(|oid| {
                    let index = self.context.catalog.relation(*oid).and_then(|i| i.as_index());
                    index.is_some_and(|index| index.clustered)
                });
                if !clustered {
                    return Err(SqlError::new(
                        SqlState::UndefinedObject,
                        format!(
                            "there is no previously clustered index for table \"{}\"",
                            relation.name
                        ),
                    ));
                }
            }
        }
        Ok("CLUSTER")
    }

    fn replica_identity(
        &mut self,
        relation: &Relation,
        identity: &ReplicaIdentity,
    ) -> SqlResult<()> {
        let (kind, chosen) = match identity {
            ReplicaIdentity::Default => (Stored::Default, None),
            ReplicaIdentity::Full => (Stored::Full, None),
            ReplicaIdentity::Nothing => (Stored::Nothing, None),
            ReplicaIdentity::Index(name) => {
                let index = self.index_of(relation, name)?;
                self.check_identity_index(relation, index)?;
                (Stored::Index, Some(index))
            }
        };
        for oid in relation.as_table().map(|table| table.indexes.clone()).unwrap_or_default() {
            let mut index = (*self.relation(oid)?).clone();
            if let RelationBody::Index(body) = &mut index.body {
                body.replica_identity = chosen == Some(oid);
            }
            self.put_relation(index)?;
        }
        let mut changed = (*self.relation(relation.oid)?).clone();
        if let RelationBody::Table(body) = &mut changed.body {
            body.replica_identity = kind;
        }
        self.put_relation(changed).map(drop)
    }

    fn check_identity_index(&self, relation: &Relation, index: Oid) -> SqlResult<()> {
        let index = self.relation(index)?;
        let name = &index.name;
        let body = index.as_index().ok_or_else(|| SqlError::internal("no index"))?;
        let wrong = |code, message: String| Err(SqlError::new(code, message));
        if !body.unique {
            let message = format!("cannot use non-unique index \"{name}\" as replica identity");
            return wrong(SqlState::WrongObjectType, message);
        }
        if body.deferrable {
            let message = format!("cannot use non-immediate index \"{name}\" as replica identity");
            return wrong(SqlState::FeatureNotSupported, message);
        }
        if body.keys.iter().any(|key| key.expression.is_some()) {
            let message = format!("cannot use expression index \"{name}\" as replica identity");
            return wrong(SqlState::FeatureNotSupported, message);
        }
        if body.predicate.is_some() {
            let message = format!("cannot use partial index \"{name}\" as replica identity");
            return wrong(SqlState::FeatureNotSupported, message);
        }
        for key in &body.keys {
            if let Some(column) = relation.column(key.column).filter(|column| !column.not_null) {
                let message = format!(
                    "index \"{name}\" cannot be used as replica identity because column \"{}\" is \
                     nullable",
                    column.name
                );
                return wrong(SqlState::WrongObjectType, message);
            }
        }
        Ok(())
    }

    fn set_logged(&mut self, relation: &Relation, persistence: Persistence) -> SqlResult<()> {
        if relation.persistence == Persistence::Temporary {
            return Err(SqlError::new(
                SqlState::InvalidTableDefinition,
                format!(
                    "cannot change logged status of table \"{}\" because it is temporary",
                    relation.name
                ),
            ));
        }
        let catalog = self.context.catalog.clone();
        let Some(table) = relation.as_table() else { return Ok(()) };
        let refuse = |state: &str, other: &Relation, state_of_other: &str| {
            Err(SqlError::new(
                SqlState::InvalidTableDefinition,
                format!(
                    "could not change table \"{}\" to {state} because it references {state_of_other} \
                     table \"{}\"",
                    relation.name, other.name
                ),
            )
            .table(self.schema_name(relation.schema), &relation.name))
        };
        for constraint in &table.constraints {
            if let aegis_catalog::ConstraintKind::ForeignKey(key) = &constraint.kind
                && let Some(target) = catalog.relation(key.target)
                && target.oid != relation.oid
                && persistence == Persistence::Permanent
                && target.persistence != Persistence::Permanent
            {
                return refuse("logged", target, "unlogged");
            }
        }
        for (other, _) in &table.referenced_by {
            if let Some(other) = catalog.relation(*other)
                && other.oid != relation.oid
                && persistence == Persistence::Unlogged
                && other.persistence == Persistence::Permanent
            {
                return refuse("unlogged", other, "logged");
            }
        }
        let mut all = vec![relation.oid];
        all.extend(&table.indexes);
        all.extend(self.owned_sequences(relation.oid, None));
        for oid in all {
            let mut changed = (*self.relation(oid)?).clone();
            changed.persistence = persistence;
            self.put_relation(changed)?;
        }
        Ok(())
    }
}
