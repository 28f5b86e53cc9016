//! `CREATE ROLE`, `ALTER ROLE` and their options.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::keyword::Keyword as Kw;
use super::lexer::TokenKind;
use super::stream::TokenStream;
use crate::ast::{
    AlterRoleSetStmt, AlterRoleStmt, CreateRoleStmt, RenameStmt, RoleOption,
    RoleOptionKind as Kind, RoleStmtType, Statement,
};

impl TokenStream<'_> {
    /// What follows `CREATE ROLE|USER|GROUP`.
    pub(super) fn create_role(&mut self, stmt_type: RoleStmtType) -> SqlResult<Statement> {
        let role = self.role_id()?;
        self.eat(Kw::With);
        let mut options = Vec::new();
        while let Some(option) = self.opt_role_option(true)? {
            options.push(option);
        }
        Ok(Statement::CreateRole(CreateRoleStmt { stmt_type, role, options }))
    }

    /// An option of a role, if one is at hand; `creating` allows those that cannot be altered.
    fn opt_role_option(&mut self, creating: bool) -> SqlResult<Option<RoleOption>> {
        let location = self.location();
        let option = |kind| Ok(Some(RoleOption { kind, location }));
        if let TokenKind::Ident(word) = self.peek() {
            let Some(kind) = role_flag(word) else {
                let message = format!("unrecognized role option \"{word}\"");
                return Err(SqlError::new(SqlState::SyntaxError, message).at(location));
            };
            self.skip();
            return option(kind);
        }
        let Some(keyword) = self.keyword() else {
            return Ok(None);
        };
        let encrypted = matches!(keyword, Kw::Encrypted | Kw::Unencrypted);
        match keyword {
            Kw::Password | Kw::Encrypted | Kw::Unencrypted => {
                self.skip();
                if encrypted {
                    self.expect(Kw::Password)?;
                }
                if keyword == Kw::Password && self.eat(Kw::Null) {
                    return option(Kind::Password(None));
                }
                let password = self.string()?;
                if keyword == Kw::Unencrypted {
                    return Err(SqlError::new(
                        SqlState::FeatureNotSupported,
                        "UNENCRYPTED PASSWORD is no longer supported",
                    )
                    .hint("Remove UNENCRYPTED to store the password in encrypted form instead.")
                    .at(location));
                }
                option(Kind::Password(Some(password)))
            }
            Kw::Inherit => {
                self.skip();
                option(Kind::Inherit(true))
            }
            Kw::Connection => {
                self.skip();
                self.expect(Kw::Limit)?;
                option(Kind::ConnectionLimit(self.signed_integer()?))
            }
            Kw::Valid => {
                self.skip();
                self.expect(Kw::Until)?;
                option(Kind::ValidUntil(self.string()?))
            }
            Kw::User if !creating => {
                self.skip();
                option(Kind::RoleMembers(self.role_list()?))
            }
            Kw::Sysid if creating => {
                self.skip();
                option(Kind::SysId(self.integer()?))
            }
            Kw::Admin if creating => {
                self.skip();
                option(Kind::AdminMembers(self.role_list()?))
            }
            Kw::Role | Kw::User if creating => {
                self.skip();
                option(Kind::RoleMembers(self.role_list()?))
            }
            Kw::In if creating => {
                self.skip();
                if !self.eat(Kw::Role) {
                    self.expect(Kw::Group)?;
                }
                option(Kind::AddToRole(self.role_list()?))
            }
            _ => Ok(None),
        }
    }

    /// What follows `ALTER ROLE|USER|GROUP`; the word is given.
    pub(super) fn alter_role(&mut self, word: Kw) -> SqlResult<Statement> {
        if self.at(Kw::All) && word != Kw::Group {
            self.skip();
            return self.alter_role_set(None);
        }
        let role = self.role_spec()?;
        match self.keyword() {
            Some(Kw::Rename) => {
                self.skip();
                self.expect(Kw::To)?;
                let new_name = self.role_id()?;
                let crate::ast::RoleSpecKind::Name(name) = role.kind else {
                    return Err(self.syntax_error());
                };
                Ok(Statement::Rename(RenameStmt {
                    rename_type: crate::ast::ObjectType::Role,
                    relation_type: None,
                    relation: None,
                    object: None,
                    subname: Some(name),
                    new_name,
                    behavior: crate::ast::DropBehavior::Restrict,
                    missing_ok: false,
                }))
            }
            Some(Kw::Set | Kw::Reset | Kw::In) if word != Kw::Group => {
                self.alter_role_set(Some(role))
            }
            Some(Kw::Add | Kw::Drop) if word == Kw::Group => {
                let add = self.at(Kw::Add);
                self.skip();
                let location = self.location();
                self.expect(Kw::User)?;
                let members = self.role_list()?;
                Ok(Statement::AlterRole(AlterRoleStmt {
                    role,
                    options: vec![RoleOption { kind: Kind::RoleMembers(members), location }],
                    add,
                }))
            }
            _ if word == Kw::Group => Err(self.syntax_error()),
            _ => {
                self.eat(Kw::With);
                let mut options = Vec::new();
                while let Some(option) = self.opt_role_option(false)? {
                    options.push(option);
                }
                Ok(Statement::AlterRole(AlterRoleStmt { role, options, add: true }))
            }
        }
    }

    fn alter_role_set(&mut self, role: Option<crate::ast::RoleSpec>) -> SqlResult<Statement> {
        let database = if self.eat(Kw::In) {
            self.expect(Kw::Database)?;
            Some(self.col_id()?)
        } else {
            None
        };
        let set = self.function_setting()?;
        Ok(Statement::AlterRoleSet(AlterRoleSetStmt { role, database, set }))
    }
}

/// The options that are no keywords.
fn role_flag(word: &str) -> Option<Kind> {
    Some(match word {
        "superuser" => Kind::Superuser(true),
        "nosuperuser" => Kind::Superuser(false),
        "createrole" => Kind::CreateRole(true),
        "nocreaterole" => Kind::CreateRole(false),
        "replication" => Kind::Replication(true),
        "noreplication" => Kind::Replication(false),
        "createdb" => Kind::CreateDb(true),
        "nocreatedb" => Kind::CreateDb(false),
        "login" => Kind::Login(true),
        "nologin" => Kind::Login(false),
        "bypassrls" => Kind::BypassRls(true),
        "nobypassrls" => Kind::BypassRls(false),
        "noinherit" => Kind::Inherit(false),
        _ => return None,
    })
}
