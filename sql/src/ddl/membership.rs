//! `GRANT` and `REVOKE` of roles (PostgreSQL's `AddRoleMems` and `DelRoleMems`).

use std::sync::Arc;

use aegis_catalog::{Descriptor, DescriptorKey, Membership};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::role::refused;
use crate::ast::{GrantRoleStmt, RoleSpec, RoleSpecKind};

/// Who becomes or ceases to be a member of a role.
pub(super) struct Members<'a> {
    /// Who.
    pub(super) members: &'a [RoleSpec],
    /// Who grants it.
    pub(super) grantor: Oid,
    /// Whether they may grant it on; when revoked: only that is.
    pub(super) admin: bool,
}

impl<'a> Members<'a> {
    /// Members without the admin option.
    pub(super) const fn plain(members: &'a [RoleSpec], grantor: Oid) -> Self {
        Self { members, grantor, admin: false }
    }
}

impl Ddl<'_> {
    /// `GRANT role TO …`, `REVOKE role FROM …`.
    pub(super) fn grant_role(&mut self, grant: &GrantRoleStmt) -> SqlResult<&'static str> {
        let grantor = match &grant.grantor {
            Some(role) => self.role_oid(role)?,
            None => self.role,
        };
        // Every grantee is there before anything is done.
        for member in &grant.grantees {
            self.role_oid(member)?;
        }
        for name in &grant.granted {
            let spec = RoleSpec { kind: RoleSpecKind::Name(name.clone()), location: 0 };
            let role = self.role_oid(&spec)?;
            let members = Members { members: &grant.grantees, grantor, admin: grant.admin_option };
            if grant.is_grant {
                self.add_members(role, &members)?;
            } else {
                self.remove_members(role, &members)?;
            }
        }
        Ok(if grant.is_grant { "GRANT ROLE" } else { "REVOKE ROLE" })
    }

    /// Makes roles members of a role.
    pub(super) fn add_members(&mut self, role: Oid, given: &Members<'_>) -> SqlResult<()> {
        if given.members.is_empty() {
            return Ok(());
        }
        self.check_membership_changeable(role, given.grantor)?;
        let name = self.role_name(role);
        for member in given.members {
            let member = self.role_oid(member)?;
            let member_name = self.role_name(member);
            if Self::is_database_owner_role(member) {
                return Err(SqlError::uncoded(format!(
                    "role \"{member_name}\" cannot be a member of any role"
                )));
            }
            let catalog = self.context.catalog.clone();
            if catalog.access(self.context.database).is_member_by_grant(role, member) {
                return Err(SqlError::new(
                    SqlState::InvalidGrantOperation,
                    format!("role \"{name}\" is a member of role \"{member_name}\""),
                ));
            }
            if let Some(known) = catalog.membership(member, role)
                && (!given.admin || known.admin)
            {
                self.notice(
                    SqlState::SuccessfulCompletion,
                    format!("role \"{member_name}\" is already a member of role \"{name}\""),
                );
                continue;
            }
            let (grantor, admin) = (given.grantor, given.admin);
            let membership = Membership { role, member, grantor, admin };
            self.put(Descriptor::Membership(Arc::new(membership)))?;
        }
        Ok(())
    }

    /// Ends memberships, or takes the admin option from them.
    pub(super) fn remove_members(&mut self, role: Oid, taken: &Members<'_>) -> SqlResult<()> {
        if taken.members.is_empty() {
            return Ok(());
        }
        self.check_membership_changeable(role, taken.grantor)?;
        for member in taken.members {
            let member = self.role_oid(member)?;
            let Some(known) = self.context.catalog.membership(member, role).cloned() else {
                let message = format!(
                    "role \"{}\" is not a member of role \"{}\"",
                    self.role_name(member),
                    self.role_name(role)
                );
                self.warning(SqlState::Warning, message);
                continue;
            };
            if taken.admin {
                let membership = Membership { admin: false, ..(*known).clone() };
                self.put(Descriptor::Membership(Arc::new(membership)))?;
            } else {
                self.delete(DescriptorKey::Membership(member, role))?;
            }
        }
        Ok(())
    }

    fn check_membership_changeable(&self, role: Oid, grantor: Oid) -> SqlResult<()> {
        let access = self.context.catalog.access(self.context.database);
        if access.is_superuser(role) && !self.is_superuser() {
            return Err(refused("must be superuser to alter superusers"));
        }
        if !self.may_create_roles() && !access.is_admin(self.role, role) {
            return Err(refused(format!(
                "must have admin option on role \"{}\"",
                self.role_name(role)
            )));
        }
        if Self::is_database_owner_role(role) {
            return Err(SqlError::uncoded(format!(
                "role \"{}\" cannot have explicit members",
                self.role_name(role)
            )));
        }
        if grantor != self.role && !self.is_superuser() {
            return Err(refused("must be superuser to set grantor"));
        }
        Ok(())
    }
}
