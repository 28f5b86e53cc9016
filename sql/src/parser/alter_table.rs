//! The subcommands of `ALTER TABLE` and its like.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::keyword::Keyword as Kw;
use super::stream::TokenStream;
use crate::ast::{
    AlterTableCmd as Cmd, Constraint, IdentityChange, ObjectType, ReplicaIdentity, TriggerEnable,
    TriggerSelector, TypeName,
};

impl TokenStream<'_> {
    /// Subcommands, separated by commas.
    pub(super) fn alter_table_commands(&mut self, object_type: ObjectType) -> SqlResult<Vec<Cmd>> {
        let is_table = object_type == ObjectType::Table;
        if (is_table || object_type == ObjectType::Index) && self.at_any(&[Kw::Attach, Kw::Detach])
        {
            return Ok(vec![self.partition_command(object_type)?]);
        }
        self.comma_list(Self::alter_table_command)
    }

    /// `ATTACH PARTITION …`, `DETACH PARTITION …`.
    fn partition_command(&mut self, object_type: ObjectType) -> SqlResult<Cmd> {
        let attach = self.at(Kw::Attach);
        self.skip();
        self.expect(Kw::Partition)?;
        let name = self.qualified_name()?;
        if attach {
            let bound =
                if object_type == ObjectType::Table { Some(self.partition_bound()?) } else { None };
            return Ok(Cmd::AttachPartition(name, bound));
        }
        let concurrent = self.eat(Kw::Concurrently);
        let finalize = !concurrent && self.eat(Kw::Finalize);
        Ok(Cmd::DetachPartition { name, concurrent, finalize })
    }

    fn alter_table_command(&mut self) -> SqlResult<Cmd> {
        let Some(keyword) = self.keyword() else {
            return Err(self.syntax_error());
        };
        match keyword {
            Kw::Add => self.add_command(),
            Kw::Alter => self.alter_command(),
            Kw::Drop => self.drop_command(),
            Kw::Set => self.set_command(),
            Kw::Enable | Kw::Disable => self.enable_command(),
            Kw::Validate => {
                self.skip();
                self.expect(Kw::Constraint)?;
                Ok(Cmd::ValidateConstraint(self.col_id()?))
            }
            Kw::Cluster => {
                self.skip();
                self.expect(Kw::On)?;
                Ok(Cmd::ClusterOn(self.col_id()?))
            }
            Kw::Inherit => {
                self.skip();
                Ok(Cmd::AddInherit(self.qualified_name()?))
            }
            Kw::No => {
                self.skip();
                if self.eat(Kw::Inherit) {
                    return Ok(Cmd::DropInherit(self.qualified_name()?));
                }
                self.expect_sequence(&[Kw::Force, Kw::Row, Kw::Level, Kw::Security])?;
                Ok(Cmd::ForceRowSecurity(false))
            }
            Kw::Force => {
                self.skip();
                self.expect_sequence(&[Kw::Row, Kw::Level, Kw::Security])?;
                Ok(Cmd::ForceRowSecurity(true))
            }
            Kw::Of => {
                self.skip();
                let location = self.location();
                Ok(Cmd::AddOf(TypeName::generic(self.any_name()?, location)))
            }
            Kw::Not => {
                self.skip();
                self.expect(Kw::Of)?;
                Ok(Cmd::DropOf)
            }
            Kw::Owner => {
                self.skip();
                self.expect(Kw::To)?;
                Ok(Cmd::ChangeOwner(self.role_spec()?))
            }
            Kw::Reset => {
                self.skip();
                Ok(Cmd::ResetOptions(self.reloptions()?))
            }
            Kw::Replica => {
                self.skip();
                self.expect(Kw::Identity)?;
                self.replica_identity()
            }
            Kw::Options => Err(SqlError::unsupported("OPTIONS of a table").at(self.location())),
            _ => Err(self.syntax_error()),
        }
    }

    /// `ADD …`.
    fn add_command(&mut self) -> SqlResult<Cmd> {
        self.expect(Kw::Add)?;
        if self.at_table_constraint() {
            return Ok(Cmd::AddConstraint(self.table_constraint()?));
        }
        self.eat(Kw::Column);
        let missing_ok = self.if_not_exists()?;
        let column = self.column_def()?;
        Ok(Cmd::AddColumn { column, missing_ok })
    }

    /// `DROP …`.
    fn drop_command(&mut self) -> SqlResult<Cmd> {
        self.expect(Kw::Drop)?;
        if self.eat(Kw::Constraint) {
            let missing_ok = self.if_exists();
            return Ok(Cmd::DropConstraint {
                name: self.col_id()?,
                missing_ok,
                behavior: self.opt_drop_behavior(),
            });
        }
        self.eat(Kw::Column);
        let missing_ok = self.if_exists();
        Ok(Cmd::DropColumn {
            column: self.col_id()?,
            missing_ok,
            behavior: self.opt_drop_behavior(),
        })
    }

    /// `SET …` of the whole table.
    fn set_command(&mut self) -> SqlResult<Cmd> {
        self.expect(Kw::Set)?;
        if self.at_char('(') {
            return Ok(Cmd::SetOptions(self.reloptions()?));
        }
        let command = match self.keyword() {
            Some(Kw::Logged) => Cmd::SetLogged,
            Some(Kw::Unlogged) => Cmd::SetUnlogged,
            Some(Kw::Without) => {
                self.skip();
                if self.eat(Kw::Cluster) {
                    return Ok(Cmd::DropCluster);
                }
                self.expect(Kw::Oids)?;
                return Ok(Cmd::DropOids);
            }
            Some(Kw::Access) => {
                self.skip();
                self.expect(Kw::Method)?;
                return Ok(Cmd::SetAccessMethod(self.col_id()?));
            }
            Some(Kw::Tablespace) => {
                self.skip();
                return Ok(Cmd::SetTableSpace(self.col_id()?));
            }
            _ => return Err(self.syntax_error()),
        };
        self.skip();
        Ok(command)
    }

    /// `ALTER …` of a column or constraint.
    fn alter_command(&mut self) -> SqlResult<Cmd> {
        self.expect(Kw::Alter)?;
        if self.eat(Kw::Constraint) {
            let name = self.col_id()?;
            let attributes = self.constraint_attributes()?;
            return Ok(Cmd::AlterConstraint {
                name,
                deferrable: attributes.deferrable || attributes.initially_deferred,
                initially_deferred: attributes.initially_deferred,
            });
        }
        self.eat(Kw::Column);
        let location = self.location();
        if let super::lexer::TokenKind::Integer(_) = self.peek() {
            let number = self.integer()?;
            self.expect_sequence(&[Kw::Set, Kw::Statistics])?;
            return Ok(Cmd::SetStatistics {
                column: None,
                number: Some(number),
                target: self.signed_integer()?,
            });
        }
        let column = self.col_id()?;
        match self.keyword() {
            Some(Kw::Set) if self.at_ahead(1, Kw::Data) => {
                self.skip();
                self.skip();
                self.alter_column_type(column, location)
            }
            Some(Kw::Type) => self.alter_column_type(column, location),
            Some(Kw::Set) if self.sets_identity() => self.set_identity(column),
            Some(Kw::Set) => self.alter_column_set(column),
            Some(Kw::Restart) => self.set_identity(column),
            Some(Kw::Reset) => {
                self.skip();
                Ok(Cmd::SetColumnOptions { column, options: self.reloptions()?, reset: true })
            }
            Some(Kw::Drop) => self.alter_column_drop(column),
            Some(Kw::Add) => {
                self.skip();
                let location = self.location();
                self.expect(Kw::Generated)?;
                let when = self.generated_when()?;
                self.expect_sequence(&[Kw::As, Kw::Identity])?;
                let options = self.opt_parenthesized_sequence_options()?;
                Ok(Cmd::AddIdentity {
                    column,
                    constraint: Constraint {
                        name: None,
                        kind: crate::ast::ConstraintKind::Identity { when, options },
                        deferrable: false,
                        initially_deferred: false,
                        not_valid: false,
                        no_inherit: false,
                        location,
                    },
                })
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// Whether `SET` is followed by what belongs to an identity column's sequence.
    fn sets_identity(&self) -> bool {
        matches!(
            self.keyword_ahead(1),
            Some(
                Kw::Generated
                    | Kw::As
                    | Kw::Cache
                    | Kw::Cycle
                    | Kw::Increment
                    | Kw::Maxvalue
                    | Kw::Minvalue
                    | Kw::No
                    | Kw::Owned
                    | Kw::Sequence
                    | Kw::Start
                    | Kw::Restart
            )
        )
    }

    fn set_identity(&mut self, column: String) -> SqlResult<Cmd> {
        let mut changes = Vec::new();
        loop {
            if self.at(Kw::Restart) {
                let option = self.opt_sequence_option()?;
                changes.extend(option.map(IdentityChange::Option));
            } else if self.at(Kw::Set) && self.sets_identity() {
                self.skip();
                if self.eat(Kw::Generated) {
                    changes.push(IdentityChange::SetGenerated(self.generated_when()?));
                } else {
                    let location = self.location();
                    let Some(option) = self.opt_sequence_option()? else {
                        return Err(self.syntax_error());
                    };
                    use crate::ast::SequenceOptionKind as Kind;
                    let refused = match option.kind {
                        Kind::As(_) => Some("as"),
                        Kind::OwnedBy(_) => Some("owned_by"),
                        Kind::Restart(_) => Some("restart"),
                        _ => None,
                    };
                    if let Some(name) = refused {
                        return Err(SqlError::new(
                            SqlState::SyntaxError,
                            format!("sequence option \"{name}\" not supported here"),
                        )
                        .at(location));
                    }
                    changes.push(IdentityChange::Option(option));
                }
            } else {
                return Ok(Cmd::SetIdentity { column, changes });
            }
        }
    }

    fn alter_column_set(&mut self, column: String) -> SqlResult<Cmd> {
        self.expect(Kw::Set)?;
        if self.at_char('(') {
            return Ok(Cmd::SetColumnOptions { column, options: self.reloptions()?, reset: false });
        }
        match self.keyword() {
            Some(Kw::Default) => {
                self.skip();
                Ok(Cmd::ColumnDefault { column, default: Some(self.expr()?) })
            }
            Some(Kw::Not) => {
                self.skip();
                self.expect(Kw::Null)?;
                Ok(Cmd::SetNotNull { column })
            }
            Some(Kw::Statistics) => {
                self.skip();
                Ok(Cmd::SetStatistics {
                    column: Some(column),
                    number: None,
                    target: self.signed_integer()?,
                })
            }
            Some(Kw::Storage) => {
                self.skip();
                Ok(Cmd::SetStorage { column, storage: self.col_id()? })
            }
            Some(Kw::Compression) => {
                self.skip();
                Ok(Cmd::SetCompression { column, method: self.compression()? })
            }
            _ => Err(self.syntax_error()),
        }
    }

    fn alter_column_drop(&mut self, column: String) -> SqlResult<Cmd> {
        self.expect(Kw::Drop)?;
        match self.keyword() {
            Some(Kw::Default) => {
                self.skip();
                Ok(Cmd::ColumnDefault { column, default: None })
            }
            Some(Kw::Not) => {
                self.skip();
                self.expect(Kw::Null)?;
                Ok(Cmd::DropNotNull { column })
            }
            Some(Kw::Expression) => {
                self.skip();
                let missing_ok = self.if_exists();
                Ok(Cmd::DropExpression { column, missing_ok })
            }
            Some(Kw::Identity) => {
                self.skip();
                let missing_ok = self.if_exists();
                Ok(Cmd::DropIdentity { column, missing_ok })
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// `TYPE …` of a column; the words before are consumed.
    fn alter_column_type(&mut self, column: String, location: u32) -> SqlResult<Cmd> {
        self.expect(Kw::Type)?;
        let type_name = self.type_name()?;
        let collation = self.opt_collate()?;
        let using = if self.eat(Kw::Using) { Some(self.expr()?) } else { None };
        Ok(Cmd::AlterColumnType {
            column,
            type_name,
            collation,
            using,
            location,
            behavior: crate::ast::DropBehavior::Restrict,
        })
    }

    /// `ENABLE …` and `DISABLE …`.
    fn enable_command(&mut self) -> SqlResult<Cmd> {
        let disable = self.at(Kw::Disable);
        self.skip();
        if self.eat(Kw::Row) {
            self.expect_sequence(&[Kw::Level, Kw::Security])?;
            return Ok(Cmd::RowSecurity(!disable));
        }
        let enable = if disable {
            TriggerEnable::Disabled
        } else if self.eat(Kw::Always) {
            TriggerEnable::Always
        } else if self.eat(Kw::Replica) {
            TriggerEnable::Replica
        } else {
            TriggerEnable::Origin
        };
        if self.eat(Kw::Rule) {
            return Ok(Cmd::EnableRule { name: self.col_id()?, enable });
        }
        self.expect(Kw::Trigger)?;
        let group = matches!(enable, TriggerEnable::Origin | TriggerEnable::Disabled);
        let which = if group && self.eat(Kw::All) {
            TriggerSelector::All
        } else if group && self.eat(Kw::User) {
            TriggerSelector::User
        } else {
            TriggerSelector::Name(self.col_id()?)
        };
        Ok(Cmd::EnableTrigger { which, enable })
    }

    fn replica_identity(&mut self) -> SqlResult<Cmd> {
        let identity = match self.keyword() {
            Some(Kw::Nothing) => ReplicaIdentity::Nothing,
            Some(Kw::Full) => ReplicaIdentity::Full,
            Some(Kw::Default) => ReplicaIdentity::Default,
            _ => {
                self.expect_sequence(&[Kw::Using, Kw::Index])?;
                return Ok(Cmd::ReplicaIdentity(ReplicaIdentity::Index(self.col_id()?)));
            }
        };
        self.skip();
        Ok(Cmd::ReplicaIdentity(identity))
    }

    /// A subcommand of `ALTER TYPE` on a composite type.
    pub(super) fn alter_type_command(&mut self) -> SqlResult<Cmd> {
        let Some(keyword) = self.keyword() else {
            return Err(self.syntax_error());
        };
        self.skip();
        self.expect(Kw::Attribute)?;
        match keyword {
            Kw::Add => {
                let column = self.table_func_element()?;
                self.opt_drop_behavior();
                Ok(Cmd::AddColumn { column, missing_ok: false })
            }
            Kw::Drop => {
                let missing_ok = self.if_exists();
                Ok(Cmd::DropColumn {
                    column: self.col_id()?,
                    missing_ok,
                    behavior: self.opt_drop_behavior(),
                })
            }
            _ => {
                let location = self.location();
                let column = self.col_id()?;
                self.eat_sequence(&[Kw::Set, Kw::Data]);
                self.expect(Kw::Type)?;
                let type_name = self.type_name()?;
                let collation = self.opt_collate()?;
                Ok(Cmd::AlterColumnType {
                    column,
                    type_name,
                    collation,
                    using: None,
                    location,
                    behavior: self.opt_drop_behavior(),
                })
            }
        }
    }
}
