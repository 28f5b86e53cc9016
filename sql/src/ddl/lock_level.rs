//! How strongly `ALTER TABLE` locks its table: what changes nothing that readers or writers go by
//! lets them go on. The levels are PostgreSQL's (`AlterTableGetLockLevel`), for the statement the
//! strongest of its commands. Whoever writes a relation's catalog entry holds at least SHARE UPDATE
//! EXCLUSIVE, so that two never write it at a time.

use aegis_storage::TableLockMode;

use crate::ast::{AlterTableCmd, AlterTableStmt, ConstraintKind, DefElem, ObjectType};

/// The mode in which an `ALTER TABLE` locks what it names.
pub(super) fn lock_level(alter: &AlterTableStmt) -> TableLockMode {
    if !matches!(alter.object_type, ObjectType::Table | ObjectType::MatView) {
        return TableLockMode::AccessExclusive;
    }
    let levels = alter.commands.iter().map(level_of);
    levels.max().unwrap_or(TableLockMode::AccessExclusive)
}

fn level_of(command: &AlterTableCmd) -> TableLockMode {
    match command {
        // Old rows are read while writers check their own.
        AlterTableCmd::ValidateConstraint(_)
        | AlterTableCmd::SetStatistics { .. }
        | AlterTableCmd::ClusterOn(_)
        | AlterTableCmd::DropCluster => TableLockMode::ShareUpdateExclusive,
        AlterTableCmd::SetOptions(options) | AlterTableCmd::ResetOptions(options) => {
            level_of_options(options)
        }
        // Writers must know the key, readers need not.
        AlterTableCmd::AddConstraint(constraint)
            if matches!(constraint.kind, ConstraintKind::Foreign(_)) =>
        {
            TableLockMode::ShareRowExclusive
        }
        AlterTableCmd::EnableTrigger { .. } => TableLockMode::ShareRowExclusive,
        _ => TableLockMode::AccessExclusive,
    }
}

/// One option changes what logical decoding reads; the others are of maintenance.
fn level_of_options(options: &[DefElem]) -> TableLockMode {
    if options.iter().any(|option| option.name == "user_catalog_table") {
        TableLockMode::AccessExclusive
    } else {
        TableLockMode::ShareUpdateExclusive
    }
}
