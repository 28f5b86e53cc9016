//! Statements about an object of any kind: `DROP`, `COMMENT ON`, and how each kind is named.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::keyword::Keyword as Kw;
use super::stream::TokenStream;
use crate::ast::{
    CommentStmt, DefElem, DropBehavior, DropDatabaseStmt, DropOwnedStmt, DropRoleStmt, DropStmt,
    ObjectName, ObjectType, ObjectWithArgs, ReassignOwnedStmt, Statement, TypeName,
};

impl TokenStream<'_> {
    /// The words that name a kind of object, if they are at hand; then they are consumed.
    pub(super) fn opt_object_type(&mut self) -> SqlResult<Option<ObjectType>> {
        let two = self.keyword_ahead(1);
        let (object_type, words) = match (self.keyword(), two) {
            (Some(Kw::Access), Some(Kw::Method)) => (ObjectType::AccessMethod, 2),
            (Some(Kw::Aggregate), _) => (ObjectType::Aggregate, 1),
            (Some(Kw::Cast), _) => (ObjectType::Cast, 1),
            (Some(Kw::Column), _) => (ObjectType::Column, 1),
            (Some(Kw::Collation), _) => (ObjectType::Collation, 1),
            (Some(Kw::Constraint), _) => (ObjectType::TableConstraint, 1),
            (Some(Kw::Conversion), _) => (ObjectType::Conversion, 1),
            (Some(Kw::Database), _) => (ObjectType::Database, 1),
            (Some(Kw::Domain), _) => (ObjectType::Domain, 1),
            (Some(Kw::Event), Some(Kw::Trigger)) => (ObjectType::EventTrigger, 2),
            (Some(Kw::Extension), _) => (ObjectType::Extension, 1),
            (Some(Kw::Foreign), Some(Kw::Data)) if self.at_ahead(2, Kw::Wrapper) => {
                (ObjectType::ForeignDataWrapper, 3)
            }
            (Some(Kw::Foreign), Some(Kw::Table)) => (ObjectType::ForeignTable, 2),
            (Some(Kw::Server), _) => (ObjectType::ForeignServer, 1),
            (Some(Kw::Function), _) => (ObjectType::Function, 1),
            (Some(Kw::Index), _) => (ObjectType::Index, 1),
            (Some(Kw::Language), _) => (ObjectType::Language, 1),
            (Some(Kw::Procedural), Some(Kw::Language)) => (ObjectType::Language, 2),
            (Some(Kw::Large), Some(Kw::Object)) => (ObjectType::LargeObject, 2),
            (Some(Kw::Materialized), Some(Kw::View)) => (ObjectType::MatView, 2),
            (Some(Kw::Operator), Some(Kw::Class)) => (ObjectType::OperatorClass, 2),
            (Some(Kw::Operator), Some(Kw::Family)) => (ObjectType::OperatorFamily, 2),
            (Some(Kw::Operator), _) => (ObjectType::Operator, 1),
            (Some(Kw::Policy), _) => (ObjectType::Policy, 1),
            (Some(Kw::Procedure), _) => (ObjectType::Procedure, 1),
            (Some(Kw::Publication), _) => (ObjectType::Publication, 1),
            (Some(Kw::Role | Kw::User | Kw::Group), _) => (ObjectType::Role, 1),
            (Some(Kw::Routine), _) => (ObjectType::Routine, 1),
            (Some(Kw::Rule), _) => (ObjectType::Rule, 1),
            (Some(Kw::Schema), _) => (ObjectType::Schema, 1),
            (Some(Kw::Sequence), _) => (ObjectType::Sequence, 1),
            (Some(Kw::Statistics), _) => (ObjectType::Statistics, 1),
            (Some(Kw::Subscription), _) => (ObjectType::Subscription, 1),
            (Some(Kw::Table), _) => (ObjectType::Table, 1),
            (Some(Kw::Tablespace), _) => (ObjectType::Tablespace, 1),
            (Some(Kw::Transform), _) => (ObjectType::Transform, 1),
            (Some(Kw::Trigger), _) => (ObjectType::Trigger, 1),
            (Some(Kw::Text), Some(Kw::Search)) => {
                self.skip();
                self.skip();
                return self.text_search_kind().map(Some);
            }
            (Some(Kw::Type), _) => (ObjectType::Type, 1),
            (Some(Kw::View), _) => (ObjectType::View, 1),
            (Some(Kw::Foreign), Some(Kw::Data)) => return Err(self.syntax_error_ahead(2)),
            (
                Some(
                    Kw::Access
                    | Kw::Event
                    | Kw::Foreign
                    | Kw::Large
                    | Kw::Materialized
                    | Kw::Procedural
                    | Kw::Text,
                ),
                _,
            ) => return Err(self.syntax_error_ahead(1)),
            _ => return Ok(None),
        };
        (0..words).for_each(|_| self.skip());
        Ok(Some(object_type))
    }

    /// What follows `TEXT SEARCH`.
    pub(super) fn text_search_kind(&mut self) -> SqlResult<ObjectType> {
        let object_type = match self.keyword() {
            Some(Kw::Configuration) => ObjectType::TextSearchConfiguration,
            Some(Kw::Dictionary) => ObjectType::TextSearchDictionary,
            Some(Kw::Parser) => ObjectType::TextSearchParser,
            Some(Kw::Template) => ObjectType::TextSearchTemplate,
            _ => return Err(self.syntax_error()),
        };
        self.skip();
        Ok(object_type)
    }

    /// `CASCADE`, `RESTRICT` or nothing.
    pub fn opt_drop_behavior(&mut self) -> DropBehavior {
        if self.eat(Kw::Cascade) {
            DropBehavior::Cascade
        } else {
            self.eat(Kw::Restrict);
            DropBehavior::Restrict
        }
    }

    /// An object of a kind, by the name that `COMMENT ON` and `DROP` give it.
    pub(super) fn object_name(&mut self, object_type: ObjectType) -> SqlResult<ObjectName> {
        match object_type {
            ObjectType::Type | ObjectType::Domain => Ok(ObjectName::Type(self.type_name()?)),
            ObjectType::Function | ObjectType::Procedure | ObjectType::Routine => {
                Ok(ObjectName::WithArgs(self.function_with_args()?))
            }
            ObjectType::Aggregate => Ok(ObjectName::WithArgs(self.aggregate_with_args()?)),
            ObjectType::Operator => Ok(ObjectName::WithArgs(self.operator_with_args()?)),
            ObjectType::OperatorClass | ObjectType::OperatorFamily => {
                let name = self.any_name()?;
                self.expect(Kw::Using)?;
                Ok(ObjectName::OperatorClass(name, self.col_id()?))
            }
            ObjectType::Cast => {
                self.expect_char('(')?;
                let source = self.type_name()?;
                self.expect(Kw::As)?;
                let target = self.type_name()?;
                self.expect_char(')')?;
                Ok(ObjectName::Cast(source, target))
            }
            ObjectType::Transform => {
                self.expect(Kw::For)?;
                let type_name = self.type_name()?;
                self.expect(Kw::Language)?;
                Ok(ObjectName::Transform(type_name, self.col_id()?))
            }
            ObjectType::LargeObject => Ok(ObjectName::LargeObject(self.number_text()?)),
            ObjectType::Policy | ObjectType::Rule | ObjectType::Trigger => {
                let name = self.col_id()?;
                self.expect(Kw::On)?;
                let mut names = self.any_name()?;
                names.push(name);
                Ok(ObjectName::Name(names))
            }
            ObjectType::TableConstraint => {
                let name = self.col_id()?;
                self.expect(Kw::On)?;
                if self.eat(Kw::Domain) {
                    let location = self.location();
                    let domain = TypeName::generic(self.any_name()?, location);
                    return Ok(ObjectName::DomainConstraint(domain, name));
                }
                let mut names = self.any_name()?;
                names.push(name);
                Ok(ObjectName::Name(names))
            }
            ObjectType::Database
            | ObjectType::Schema
            | ObjectType::Role
            | ObjectType::Tablespace
            | ObjectType::Extension
            | ObjectType::Language
            | ObjectType::AccessMethod
            | ObjectType::EventTrigger
            | ObjectType::ForeignDataWrapper
            | ObjectType::ForeignServer
            | ObjectType::Publication
            | ObjectType::Subscription => Ok(ObjectName::Name(vec![self.col_id()?])),
            _ => Ok(ObjectName::Name(self.any_name()?)),
        }
    }

    /// An operator with the types of its operands.
    fn operator_with_args(&mut self) -> SqlResult<ObjectWithArgs> {
        let name = self.dotted_operator()?;
        self.expect_char('(')?;
        let operand = |stream: &mut Self| {
            if stream.eat(Kw::None) { Ok(None) } else { stream.type_name().map(Some) }
        };
        let left = operand(self)?;
        if self.at_char(')') {
            return Err(SqlError::new(SqlState::SyntaxError, "missing argument")
                .hint("Use NONE to denote the missing argument of a unary operator.")
                .at(self.location()));
        }
        self.expect_char(',')?;
        let right = operand(self)?;
        self.expect_char(')')?;
        Ok(ObjectWithArgs { name, args: Some(vec![left, right]), parameters: Vec::new() })
    }

    /// `DROP …`.
    pub(super) fn drop_statement(&mut self) -> SqlResult<Statement> {
        match (self.keyword_ahead(1), self.keyword_ahead(2)) {
            (Some(Kw::User), Some(Kw::Mapping)) => return self.unsupported_statement(),
            (Some(Kw::Owned), _) => {
                self.skip();
                self.skip();
                self.expect(Kw::By)?;
                let roles = self.role_list()?;
                let behavior = self.opt_drop_behavior();
                return Ok(Statement::DropOwned(DropOwnedStmt { roles, behavior }));
            }
            (Some(Kw::Column | Kw::Constraint | Kw::Large), _) => {
                return Err(self.syntax_error_ahead(1));
            }
            _ => {}
        }
        self.expect(Kw::Drop)?;
        let Some(object_type) = self.opt_object_type()? else {
            return Err(self.syntax_error());
        };
        let concurrent = object_type == ObjectType::Index && self.eat(Kw::Concurrently);
        let missing_ok = self.if_exists();
        match object_type {
            ObjectType::Role => {
                let roles = self.role_list()?;
                return Ok(Statement::DropRole(DropRoleStmt { roles, missing_ok }));
            }
            ObjectType::Database => {
                let name = self.col_id()?;
                let mut options = Vec::new();
                if self.at(Kw::With) || self.at_char('(') {
                    self.eat(Kw::With);
                    options = self.parenthesized_list(|stream| {
                        let location = stream.location();
                        stream.expect(Kw::Force)?;
                        Ok(DefElem::new("force", None, location))
                    })?;
                }
                return Ok(Statement::DropDatabase(DropDatabaseStmt { name, missing_ok, options }));
            }
            _ => {}
        }
        let single = matches!(
            object_type,
            ObjectType::Cast
                | ObjectType::Transform
                | ObjectType::OperatorClass
                | ObjectType::OperatorFamily
                | ObjectType::Policy
                | ObjectType::Rule
                | ObjectType::Trigger
                | ObjectType::Tablespace
                | ObjectType::Subscription
        );
        let objects = if single {
            vec![self.object_name(object_type)?]
        } else {
            self.comma_list(|stream| stream.object_name(object_type))?
        };
        let behavior = if object_type == ObjectType::Tablespace {
            DropBehavior::Restrict
        } else {
            self.opt_drop_behavior()
        };
        Ok(Statement::Drop(DropStmt { object_type, objects, missing_ok, behavior, concurrent }))
    }

    /// `COMMENT ON …`.
    pub(super) fn comment(&mut self) -> SqlResult<Statement> {
        self.expect_sequence(&[Kw::Comment, Kw::On])?;
        if self.at_any(&[Kw::User, Kw::Group]) {
            return Err(self.syntax_error());
        }
        let Some(mut object_type) = self.opt_object_type()? else {
            return Err(self.syntax_error());
        };
        let object = self.object_name(object_type)?;
        if matches!(object, ObjectName::DomainConstraint(..)) {
            object_type = ObjectType::DomainConstraint;
        }
        self.expect(Kw::Is)?;
        let comment = if self.eat(Kw::Null) { None } else { Some(self.string()?) };
        Ok(Statement::Comment(CommentStmt { object_type, object, comment }))
    }

    /// `REASSIGN OWNED BY roles TO role`.
    pub(super) fn reassign_owned(&mut self) -> SqlResult<Statement> {
        self.expect_sequence(&[Kw::Reassign, Kw::Owned, Kw::By])?;
        let roles = self.role_list()?;
        self.expect(Kw::To)?;
        let new_role = self.role_spec()?;
        Ok(Statement::ReassignOwned(ReassignOwnedStmt { roles, new_role }))
    }
}
