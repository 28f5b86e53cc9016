//! `GRANT`, `REVOKE` and `ALTER DEFAULT PRIVILEGES`.

use aegis_types::SqlResult;

use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::{
    AccessPrivilege, AlterDefaultPrivilegesStmt, DropBehavior, GrantRoleStmt, GrantStmt,
    GrantTarget, ObjectName, ObjectType, RoleSpec, Statement,
};

impl TokenStream<'_> {
    /// `GRANT …`.
    pub(super) fn grant(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Grant)?;
        let privileges = self.privileges()?;
        if self.at(Kw::To) {
            return self.grant_role(privileges, true, false);
        }
        self.expect(Kw::On)?;
        let (object_type, target) = self.privilege_target()?;
        self.expect(Kw::To)?;
        let grantees = self.grantees()?;
        let grant_option = self.opt_with_option(Kw::Grant)?;
        let grantor = self.opt_granted_by()?;
        Ok(Statement::Grant(GrantStmt {
            is_grant: true,
            object_type,
            target,
            privileges,
            grantees,
            grant_option,
            grantor,
            behavior: DropBehavior::Restrict,
        }))
    }

    /// `REVOKE …`.
    pub(super) fn revoke(&mut self) -> SqlResult<Statement> {
        self.expect(Kw::Revoke)?;
        let admin = self.eat_sequence(&[Kw::Admin, Kw::Option]);
        let grant_option = !admin && self.eat(Kw::Grant);
        if admin {
            self.expect(Kw::For)?;
        } else if grant_option {
            self.expect_sequence(&[Kw::Option, Kw::For])?;
        }
        let privileges = self.privileges()?;
        if admin || (self.at(Kw::From) && !grant_option) {
            return self.grant_role(privileges, false, admin);
        }
        self.expect(Kw::On)?;
        let (object_type, target) = self.privilege_target()?;
        self.expect(Kw::From)?;
        let grantees = self.grantees()?;
        let grantor = self.opt_granted_by()?;
        let behavior = self.opt_drop_behavior();
        Ok(Statement::Grant(GrantStmt {
            is_grant: false,
            object_type,
            target,
            privileges,
            grantees,
            grant_option,
            grantor,
            behavior,
        }))
    }

    /// Roles granted or revoked: what has been read as privileges are their names.
    fn grant_role(
        &mut self,
        privileges: Vec<AccessPrivilege>,
        is_grant: bool,
        admin: bool,
    ) -> SqlResult<Statement> {
        let mut granted = Vec::with_capacity(privileges.len());
        for privilege in privileges {
            match privilege.name {
                Some(name) if privilege.columns.is_empty() => granted.push(name),
                _ => return Err(self.syntax_error()),
            }
        }
        if granted.is_empty() {
            return Err(self.syntax_error());
        }
        self.expect(if is_grant { Kw::To } else { Kw::From })?;
        let grantees = self.role_list()?;
        let admin_option = admin || (is_grant && self.opt_with_option(Kw::Admin)?);
        let grantor = self.opt_granted_by()?;
        let behavior = if is_grant { DropBehavior::Restrict } else { self.opt_drop_behavior() };
        Ok(Statement::GrantRole(GrantRoleStmt {
            granted,
            grantees,
            is_grant,
            admin_option,
            grantor,
            behavior,
        }))
    }

    /// Privileges, or roles; `ALL` is an empty list.
    fn privileges(&mut self) -> SqlResult<Vec<AccessPrivilege>> {
        if self.eat(Kw::All) {
            self.eat(Kw::Privileges);
            if self.at_char('(') {
                let columns = self.column_list()?;
                return Ok(vec![AccessPrivilege { name: None, columns }]);
            }
            return Ok(Vec::new());
        }
        self.comma_list(|stream| {
            let name = if stream.at_any(&[Kw::Select, Kw::References, Kw::Create]) {
                stream.take_name()
            } else if stream.eat_sequence(&[Kw::Alter, Kw::System]) {
                "alter system".to_owned()
            } else {
                stream.col_id()?
            };
            let columns = stream.opt_column_list()?;
            Ok(AccessPrivilege { name: Some(name), columns })
        })
    }

    /// Whose privileges (`privilege_target`).
    fn privilege_target(&mut self) -> SqlResult<(ObjectType, GrantTarget)> {
        if self.eat(Kw::All) {
            let object_type = match self.keyword() {
                Some(Kw::Tables) => ObjectType::Table,
                Some(Kw::Sequences) => ObjectType::Sequence,
                Some(Kw::Functions) => ObjectType::Function,
                Some(Kw::Procedures) => ObjectType::Procedure,
                Some(Kw::Routines) => ObjectType::Routine,
                _ => return Err(self.syntax_error()),
            };
            self.skip();
            self.expect_sequence(&[Kw::In, Kw::Schema])?;
            return Ok((object_type, GrantTarget::AllInSchema(self.name_list()?)));
        }
        let names = |stream: &mut Self| {
            stream.comma_list(|stream| Ok(ObjectName::Name(vec![stream.col_id()?])))
        };
        let keyword = self.keyword();
        // A table may be called like any of these kinds.
        let kind = self.col_id_ahead(1) || self.keyword_ahead(1).is_some();
        match keyword {
            Some(Kw::Table) => {
                self.skip();
                Ok((ObjectType::Table, GrantTarget::Relations(self.qualified_name_list()?)))
            }
            Some(Kw::Foreign) => {
                self.skip();
                let object_type = if self.eat(Kw::Server) {
                    ObjectType::ForeignServer
                } else {
                    self.expect_sequence(&[Kw::Data, Kw::Wrapper])?;
                    ObjectType::ForeignDataWrapper
                };
                Ok((object_type, GrantTarget::Objects(names(self)?)))
            }
            Some(Kw::Sequence) if kind && !self.at_ahead(1, Kw::To) => {
                self.skip();
                Ok((ObjectType::Sequence, GrantTarget::Relations(self.qualified_name_list()?)))
            }
            Some(Kw::Function | Kw::Procedure | Kw::Routine)
                if self.type_function_name_ahead(1) =>
            {
                self.skip();
                let object_type = match keyword {
                    Some(Kw::Function) => ObjectType::Function,
                    Some(Kw::Procedure) => ObjectType::Procedure,
                    _ => ObjectType::Routine,
                };
                let functions = self
                    .comma_list(|stream| Ok(ObjectName::WithArgs(stream.function_with_args()?)))?;
                Ok((object_type, GrantTarget::Objects(functions)))
            }
            Some(Kw::Type | Kw::Domain) if self.col_id_ahead(1) => {
                self.skip();
                let object_type =
                    if keyword == Some(Kw::Type) { ObjectType::Type } else { ObjectType::Domain };
                let types = self.comma_list(|stream| Ok(ObjectName::Name(stream.any_name()?)))?;
                Ok((object_type, GrantTarget::Objects(types)))
            }
            Some(Kw::Large) if self.at_ahead(1, Kw::Object) => {
                self.skip();
                self.skip();
                let objects =
                    self.comma_list(|stream| Ok(ObjectName::LargeObject(stream.number_text()?)))?;
                Ok((ObjectType::LargeObject, GrantTarget::Objects(objects)))
            }
            Some(Kw::Parameter) if self.col_id_ahead(1) => {
                Err(aegis_types::SqlError::unsupported("GRANT ON PARAMETER").at(self.location()))
            }
            Some(Kw::Database | Kw::Schema | Kw::Language | Kw::Tablespace)
                if self.col_id_ahead(1) =>
            {
                self.skip();
                let object_type = match keyword {
                    Some(Kw::Database) => ObjectType::Database,
                    Some(Kw::Schema) => ObjectType::Schema,
                    Some(Kw::Language) => ObjectType::Language,
                    _ => ObjectType::Tablespace,
                };
                Ok((object_type, GrantTarget::Objects(names(self)?)))
            }
            _ => Ok((ObjectType::Table, GrantTarget::Relations(self.qualified_name_list()?))),
        }
    }

    fn grantees(&mut self) -> SqlResult<Vec<RoleSpec>> {
        self.comma_list(|stream| {
            // The old syntax says GROUP in front of a role.
            if stream.at(Kw::Group) && !matches!(stream.peek_ahead(1), TokenKind::Char(_)) {
                stream.eat(Kw::Group);
            }
            stream.role_spec()
        })
    }

    /// `WITH GRANT|ADMIN OPTION`, or nothing.
    fn opt_with_option(&mut self, word: Kw) -> SqlResult<bool> {
        if !self.eat(Kw::With) {
            return Ok(false);
        }
        self.expect_sequence(&[word, Kw::Option])?;
        Ok(true)
    }

    fn opt_granted_by(&mut self) -> SqlResult<Option<RoleSpec>> {
        if !self.eat(Kw::Granted) {
            return Ok(None);
        }
        self.expect(Kw::By)?;
        Ok(Some(self.role_spec()?))
    }

    /// What follows `ALTER DEFAULT PRIVILEGES`.
    pub(super) fn alter_default_privileges(&mut self) -> SqlResult<Statement> {
        let mut roles = Vec::new();
        let mut schemas = Vec::new();
        loop {
            if self.eat(Kw::For) {
                if !self.eat(Kw::Role) {
                    self.expect(Kw::User)?;
                }
                roles = self.role_list()?;
            } else if self.eat(Kw::In) {
                self.expect(Kw::Schema)?;
                schemas = self.name_list()?;
            } else {
                break;
            }
        }
        let is_grant = self.eat(Kw::Grant);
        let mut grant_option = false;
        if !is_grant {
            self.expect(Kw::Revoke)?;
            grant_option = self.eat_sequence(&[Kw::Grant, Kw::Option, Kw::For]);
        }
        let privileges = self.privileges()?;
        self.expect(Kw::On)?;
        let object_type = match self.keyword() {
            Some(Kw::Tables) => ObjectType::Table,
            Some(Kw::Functions | Kw::Routines) => ObjectType::Function,
            Some(Kw::Sequences) => ObjectType::Sequence,
            Some(Kw::Types) => ObjectType::Type,
            Some(Kw::Schemas) => ObjectType::Schema,
            _ => return Err(self.syntax_error()),
        };
        self.skip();
        self.expect(if is_grant { Kw::To } else { Kw::From })?;
        let grantees = self.grantees()?;
        let behavior = if is_grant {
            grant_option = self.opt_with_option(Kw::Grant)?;
            DropBehavior::Restrict
        } else {
            self.opt_drop_behavior()
        };
        let action = GrantStmt {
            is_grant,
            object_type,
            target: GrantTarget::Defaults,
            privileges,
            grantees,
            grant_option,
            grantor: None,
            behavior,
        };
        Ok(Statement::AlterDefaultPrivileges(AlterDefaultPrivilegesStmt { roles, schemas, action }))
    }
}
