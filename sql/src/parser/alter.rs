//! `ALTER` of all but tables' insides: renaming, owners, schemas, types, domains, databases.

use aegis_types::{SqlError, SqlResult};

use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::{
    AlterDatabaseSetStmt, AlterDatabaseStmt, AlterDomainAction, AlterDomainStmt, AlterEnumAction,
    AlterEnumStmt, AlterExtensionStmt, AlterObjectSchemaStmt, AlterOwnerStmt, AlterSequenceStmt,
    AlterTableStmt, DefElem, DefValue, DropBehavior, EnumPosition, ObjectName, ObjectType,
    RangeVar, RenameStmt, Statement, TypeName,
};

impl RenameStmt {
    /// The renaming of an object that is no relation.
    fn of_object(rename_type: ObjectType, object: ObjectName, new_name: String) -> Self {
        Self {
            rename_type,
            relation_type: None,
            relation: None,
            object: Some(object),
            subname: None,
            new_name,
            behavior: DropBehavior::Restrict,
            missing_ok: false,
        }
    }
}

impl TokenStream<'_> {
    /// `ALTER …`.
    pub(super) fn alter(&mut self) -> SqlResult<Statement> {
        match (self.keyword_ahead(1), self.keyword_ahead(2)) {
            (Some(Kw::System), _) => {
                self.skip();
                self.skip();
                let set = self.function_setting()?;
                return Ok(Statement::AlterSystem(set));
            }
            (Some(Kw::Default), _) => {
                self.skip();
                self.skip();
                self.expect(Kw::Privileges)?;
                return self.alter_default_privileges();
            }
            (Some(Kw::User), Some(Kw::Mapping)) => return self.unsupported_statement(),
            (Some(word @ (Kw::Role | Kw::User | Kw::Group)), _) => {
                self.skip();
                self.skip();
                return self.alter_role(word);
            }
            (Some(Kw::Cast | Kw::Column | Kw::Constraint | Kw::Transform | Kw::Access), _) => {
                return Err(self.syntax_error_ahead(1));
            }
            (Some(Kw::Extension), _) => return self.alter_extension(),
            (
                Some(
                    Kw::Publication
                    | Kw::Subscription
                    | Kw::Server
                    | Kw::Policy
                    | Kw::Statistics
                    | Kw::Tablespace
                    | Kw::Operator
                    | Kw::Text
                    | Kw::Event
                    | Kw::Large,
                ),
                _,
            )
            | (Some(Kw::Foreign), Some(Kw::Data)) => return self.alter_by_name(),
            _ => {}
        }
        self.expect(Kw::Alter)?;
        let location = self.location();
        let Some(object_type) = self.opt_object_type()? else {
            return Err(self.syntax_error());
        };
        match object_type {
            ObjectType::Table
            | ObjectType::Index
            | ObjectType::View
            | ObjectType::MatView
            | ObjectType::ForeignTable
            | ObjectType::Sequence => self.alter_relation(object_type),
            ObjectType::Database => self.alter_database(),
            ObjectType::Domain => self.alter_domain(),
            ObjectType::Type => self.alter_type(),
            ObjectType::Function
            | ObjectType::Procedure
            | ObjectType::Routine
            | ObjectType::Aggregate => self.alter_routine(object_type),
            ObjectType::Trigger | ObjectType::Rule => self.alter_part(object_type),
            ObjectType::Schema
            | ObjectType::Language
            | ObjectType::Collation
            | ObjectType::Conversion => self.alter_generic(object_type),
            _ => Err(SqlError::unsupported(format!("ALTER {}", object_type.words())).at(location)),
        }
    }

    /// Kinds of which only the name, owner and schema are altered here; whatever else is altered
    /// is recognised only.
    fn alter_by_name(&mut self) -> SqlResult<Statement> {
        // Whether one of the three follows the name is seen by looking for it before the end.
        let mut ahead = 2;
        loop {
            match self.peek_ahead(ahead) {
                TokenKind::End | TokenKind::Char(';') => return self.unsupported_statement(),
                TokenKind::Keyword(Kw::Rename) if self.at_ahead(ahead + 1, Kw::To) => break,
                TokenKind::Keyword(Kw::Owner) if self.at_ahead(ahead + 1, Kw::To) => break,
                TokenKind::Keyword(Kw::Set) if self.at_ahead(ahead + 1, Kw::Schema) => break,
                TokenKind::Keyword(Kw::Rename | Kw::Add | Kw::Drop | Kw::Set | Kw::Reset) => {
                    return self.unsupported_statement();
                }
                _ => ahead += 1,
            }
        }
        self.expect(Kw::Alter)?;
        match self.opt_object_type()? {
            Some(ObjectType::Policy) => self.alter_part(ObjectType::Policy),
            Some(object_type) => self.alter_generic(object_type),
            None => Err(self.syntax_error()),
        }
    }

    /// `name RENAME TO`, `OWNER TO`, `SET SCHEMA`.
    fn alter_generic(&mut self, object_type: ObjectType) -> SqlResult<Statement> {
        let object = self.object_name(object_type)?;
        self.alter_object(object_type, object)
    }

    /// `RENAME TO`, `OWNER TO`, `SET SCHEMA` of an object that is no relation.
    fn alter_object(
        &mut self,
        object_type: ObjectType,
        object: ObjectName,
    ) -> SqlResult<Statement> {
        match self.keyword() {
            Some(Kw::Rename) => {
                self.skip();
                self.expect(Kw::To)?;
                let new_name = self.col_id()?;
                Ok(Statement::Rename(RenameStmt::of_object(object_type, object, new_name)))
            }
            Some(Kw::Owner) => {
                self.skip();
                self.expect(Kw::To)?;
                let new_owner = self.role_spec()?;
                Ok(Statement::AlterOwner(AlterOwnerStmt { object_type, object, new_owner }))
            }
            Some(Kw::Set) => {
                self.skip();
                self.expect(Kw::Schema)?;
                let new_schema = self.col_id()?;
                Ok(Statement::AlterObjectSchema(AlterObjectSchemaStmt {
                    object_type,
                    relation: None,
                    object: Some(object),
                    new_schema,
                    missing_ok: false,
                }))
            }
            Some(Kw::No | Kw::Depends) => {
                let location = self.location();
                self.eat(Kw::No);
                self.expect_sequence(&[Kw::Depends, Kw::On, Kw::Extension])?;
                self.col_id()?;
                Err(SqlError::unsupported("DEPENDS ON EXTENSION").at(location))
            }
            Some(Kw::Refresh) if object_type == ObjectType::Collation => {
                let location = self.location();
                self.skip();
                self.expect(Kw::Version)?;
                Err(SqlError::unsupported("ALTER COLLATION ... REFRESH VERSION").at(location))
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// `name ON relation RENAME TO new`.
    fn alter_part(&mut self, object_type: ObjectType) -> SqlResult<Statement> {
        let missing_ok = object_type == ObjectType::Policy && self.if_exists();
        let name = self.col_id()?;
        self.expect(Kw::On)?;
        let relation = self.qualified_name()?;
        if self.at_any(&[Kw::No, Kw::Depends]) {
            let location = self.location();
            return Err(SqlError::unsupported("DEPENDS ON EXTENSION").at(location));
        }
        self.expect_sequence(&[Kw::Rename, Kw::To])?;
        let new_name = self.col_id()?;
        Ok(Statement::Rename(RenameStmt {
            rename_type: object_type,
            relation_type: None,
            relation: Some(relation),
            object: None,
            subname: Some(name),
            new_name,
            behavior: DropBehavior::Restrict,
            missing_ok,
        }))
    }

    fn alter_routine(&mut self, object_type: ObjectType) -> SqlResult<Statement> {
        let function = if object_type == ObjectType::Aggregate {
            self.aggregate_with_args()?
        } else {
            self.function_with_args()?
        };
        let by_name = self.at_any(&[Kw::Rename, Kw::Owner, Kw::Depends, Kw::No])
            || (self.at(Kw::Set) && self.at_ahead(1, Kw::Schema) && self.col_id_ahead(2));
        if by_name || object_type == ObjectType::Aggregate {
            return self.alter_object(object_type, ObjectName::WithArgs(function));
        }
        self.alter_function_options(object_type, function)
    }

    /// A relation: renamed, moved, or altered inside.
    fn alter_relation(&mut self, object_type: ObjectType) -> SqlResult<Statement> {
        let by_space =
            matches!(object_type, ObjectType::Table | ObjectType::Index | ObjectType::MatView);
        if by_space && self.at_sequence(&[Kw::All, Kw::In, Kw::Tablespace]) {
            return Err(SqlError::unsupported(format!(
                "ALTER {} ALL IN TABLESPACE",
                object_type.words()
            ))
            .at(self.location()));
        }
        let missing_ok = self.if_exists();
        let relation = if matches!(object_type, ObjectType::Table | ObjectType::ForeignTable) {
            self.relation_expr()?
        } else {
            self.qualified_name()?
        };
        if self.at(Kw::Rename) {
            return self.rename_relation(object_type, relation, missing_ok);
        }
        if self.at(Kw::Set) && self.at_ahead(1, Kw::Schema) {
            self.skip();
            self.skip();
            let new_schema = self.col_id()?;
            return Ok(Statement::AlterObjectSchema(AlterObjectSchemaStmt {
                object_type,
                relation: Some(relation),
                object: None,
                new_schema,
                missing_ok,
            }));
        }
        if self.at_any(&[Kw::Depends]) || (self.at(Kw::No) && self.at_ahead(1, Kw::Depends)) {
            return Err(SqlError::unsupported("DEPENDS ON EXTENSION").at(self.location()));
        }
        if object_type == ObjectType::Sequence {
            let options = self.sequence_options()?;
            if !options.is_empty() {
                return Ok(Statement::AlterSequence(AlterSequenceStmt {
                    sequence: relation,
                    options,
                    missing_ok,
                }));
            }
        }
        let commands = self.alter_table_commands(object_type)?;
        Ok(Statement::AlterTable(Box::new(AlterTableStmt {
            relation,
            object_type,
            commands,
            missing_ok,
        })))
    }

    /// `RENAME TO`, `RENAME [COLUMN] a TO b`, `RENAME CONSTRAINT a TO b`.
    fn rename_relation(
        &mut self,
        object_type: ObjectType,
        relation: RangeVar,
        missing_ok: bool,
    ) -> SqlResult<Statement> {
        self.expect(Kw::Rename)?;
        let mut rename_type = object_type;
        let mut subname = None;
        let has_columns = !matches!(object_type, ObjectType::Index | ObjectType::Sequence);
        if !self.at(Kw::To) && has_columns {
            if object_type == ObjectType::Table && self.eat(Kw::Constraint) {
                rename_type = ObjectType::TableConstraint;
            } else {
                self.eat(Kw::Column);
                rename_type = ObjectType::Column;
            }
            subname = Some(self.col_id()?);
        }
        self.expect(Kw::To)?;
        let new_name = self.col_id()?;
        Ok(Statement::Rename(RenameStmt {
            rename_type,
            relation_type: Some(object_type),
            relation: Some(relation),
            object: None,
            subname,
            new_name,
            behavior: DropBehavior::Restrict,
            missing_ok,
        }))
    }

    fn alter_database(&mut self) -> SqlResult<Statement> {
        let name = self.col_id()?;
        match self.keyword() {
            Some(Kw::Rename | Kw::Owner) => {
                return self.alter_object(ObjectType::Database, ObjectName::Name(vec![name]));
            }
            Some(Kw::Refresh) => {
                return Err(SqlError::unsupported("ALTER DATABASE ... REFRESH COLLATION VERSION")
                    .at(self.location()));
            }
            Some(Kw::Set)
                if self.at_ahead(1, Kw::Tablespace)
                    && self.col_id_ahead(2)
                    && !self.at_ahead(2, Kw::To) =>
            {
                let location = self.location();
                self.skip();
                self.skip();
                let value = DefValue::String(self.col_id()?);
                return Ok(Statement::AlterDatabase(AlterDatabaseStmt {
                    name,
                    options: vec![DefElem::new("tablespace", Some(value), location)],
                }));
            }
            Some(Kw::Set | Kw::Reset) => {
                let set = self.function_setting()?;
                return Ok(Statement::AlterDatabaseSet(AlterDatabaseSetStmt { name, set }));
            }
            _ => {}
        }
        let options = self.database_options()?;
        Ok(Statement::AlterDatabase(AlterDatabaseStmt { name, options }))
    }

    fn alter_domain(&mut self) -> SqlResult<Statement> {
        let location = self.location();
        let name = self.any_name()?;
        let domain = || TypeName::generic(name.clone(), location);
        let action = match self.keyword() {
            Some(Kw::Set) if self.at_ahead(1, Kw::Default) => {
                self.skip();
                self.skip();
                AlterDomainAction::Default(Some(self.expr()?))
            }
            Some(Kw::Set) if self.at_ahead(1, Kw::Not) => {
                self.skip();
                self.expect_sequence(&[Kw::Not, Kw::Null])?;
                AlterDomainAction::SetNotNull
            }
            Some(Kw::Drop) => {
                self.skip();
                match self.keyword() {
                    Some(Kw::Default) => {
                        self.skip();
                        AlterDomainAction::Default(None)
                    }
                    Some(Kw::Not) => {
                        self.expect_sequence(&[Kw::Not, Kw::Null])?;
                        AlterDomainAction::DropNotNull
                    }
                    _ => {
                        self.expect(Kw::Constraint)?;
                        let missing_ok = self.if_exists();
                        AlterDomainAction::DropConstraint {
                            name: self.col_id()?,
                            missing_ok,
                            behavior: self.opt_drop_behavior(),
                        }
                    }
                }
            }
            Some(Kw::Add) => {
                self.skip();
                AlterDomainAction::AddConstraint(self.table_constraint()?)
            }
            Some(Kw::Validate) => {
                self.skip();
                self.expect(Kw::Constraint)?;
                AlterDomainAction::ValidateConstraint(self.col_id()?)
            }
            Some(Kw::Rename) if self.at_ahead(1, Kw::Constraint) => {
                self.skip();
                self.skip();
                let constraint = self.col_id()?;
                self.expect(Kw::To)?;
                let new_name = self.col_id()?;
                let object = ObjectName::DomainConstraint(domain(), constraint);
                return Ok(Statement::Rename(RenameStmt::of_object(
                    ObjectType::DomainConstraint,
                    object,
                    new_name,
                )));
            }
            _ => {
                let object = ObjectName::Type(domain());
                return self.alter_object(ObjectType::Domain, object);
            }
        };
        Ok(Statement::AlterDomain(Box::new(AlterDomainStmt { name, action })))
    }

    fn alter_type(&mut self) -> SqlResult<Statement> {
        let location = self.location();
        let name = self.any_name()?;
        match (self.keyword(), self.keyword_ahead(1)) {
            (Some(Kw::Add), Some(Kw::Value)) => {
                self.skip();
                self.skip();
                let skip_if_exists = self.if_not_exists()?;
                let label = self.string()?;
                let position = if self.eat(Kw::Before) {
                    EnumPosition::Before(self.string()?)
                } else if self.eat(Kw::After) {
                    EnumPosition::After(self.string()?)
                } else {
                    EnumPosition::Last
                };
                let action = AlterEnumAction::AddValue { label, position, skip_if_exists };
                Ok(Statement::AlterEnum(AlterEnumStmt { name, action }))
            }
            (Some(Kw::Rename), Some(Kw::Value)) => {
                self.skip();
                self.skip();
                let old = self.string()?;
                self.expect(Kw::To)?;
                let new = self.string()?;
                Ok(Statement::AlterEnum(AlterEnumStmt {
                    name,
                    action: AlterEnumAction::RenameValue { old, new },
                }))
            }
            (Some(Kw::Rename), Some(Kw::Attribute)) => {
                self.skip();
                self.skip();
                let relation = super::name::range_var_from_names(name, location)?;
                let attribute = self.col_id()?;
                self.expect(Kw::To)?;
                let new_name = self.col_id()?;
                let behavior = self.opt_drop_behavior();
                Ok(Statement::Rename(RenameStmt {
                    rename_type: ObjectType::Attribute,
                    relation_type: Some(ObjectType::Type),
                    relation: Some(relation),
                    object: None,
                    subname: Some(attribute),
                    new_name,
                    behavior,
                    missing_ok: false,
                }))
            }
            (Some(Kw::Add | Kw::Drop | Kw::Alter), _) => {
                let relation = super::name::range_var_from_names(name, location)?;
                let commands = self.comma_list(Self::alter_type_command)?;
                Ok(Statement::AlterTable(Box::new(AlterTableStmt {
                    relation,
                    object_type: ObjectType::Type,
                    commands,
                    missing_ok: false,
                })))
            }
            (Some(Kw::Set), _) if self.char_ahead(1, '(') => {
                Err(SqlError::unsupported("ALTER TYPE ... SET").at(self.location()))
            }
            _ => {
                let object = ObjectName::Type(TypeName::generic(name, location));
                self.alter_object(ObjectType::Type, object)
            }
        }
    }

    /// `ALTER EXTENSION name UPDATE [TO version]`; what else it can do is recognised only.
    fn alter_extension(&mut self) -> SqlResult<Statement> {
        if self.at_ahead(3, Kw::Set) {
            self.expect(Kw::Alter)?;
            self.expect(Kw::Extension)?;
            return self.alter_generic(ObjectType::Extension);
        }
        if !self.at_ahead(3, Kw::Update) {
            return self.unsupported_statement();
        }
        self.expect_sequence(&[Kw::Alter, Kw::Extension])?;
        let name = self.col_id()?;
        self.expect(Kw::Update)?;
        let version =
            if self.eat(Kw::To) { Some(self.non_reserved_word_or_string()?) } else { None };
        Ok(Statement::AlterExtension(AlterExtensionStmt { name, version }))
    }
}
