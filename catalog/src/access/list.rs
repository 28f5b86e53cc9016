//! Lists of privileges: granted to, revoked from, merged and printed (`aclupdate` and what belongs
//! to it).

use aegis_types::Oid;

use super::{Access, Privilege, everybody};
use crate::descriptor::AclItem;
use crate::snapshot::CatalogSnapshot;

/// Why a list is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantError {
    /// 0LP01: a grant option would go back to whom it came from.
    Circular,
    /// 2BP01: what was granted on depends on what is revoked.
    Dependent,
}

/// Adds privileges, and options to grant them on, to a list.
///
/// # Errors
/// [`GrantError::Circular`]
pub fn grant(
    access: &Access<'_>,
    items: &mut Vec<AclItem>,
    owner: Oid,
    given: AclItem,
) -> Result<(), GrantError> {
    if given.grantable != 0 && given.grantor != owner {
        let mut without = items.clone();
        while let Some(found) = without
            .iter()
            .find(|item| item.grantee == given.grantee && item.grantable != 0)
            .copied()
        {
            let taken = AclItem { privileges: found.grantable, ..found };
            revoke(access, &mut without, owner, taken, true)?;
        }
        let own = access.held_in(&without, owner, given.grantor).grantable;
        if !own.contains(Privilege(given.grantable)) {
            return Err(GrantError::Circular);
        }
    }
    match find(items, given) {
        Some(at) => {
            items[at].privileges |= given.privileges;
            items[at].grantable |= given.grantable;
        }
        None => items.push(given),
    }
    Ok(())
}

fn find(items: &[AclItem], wanted: AclItem) -> Option<usize> {
    items.iter().position(|item| item.grantee == wanted.grantee && item.grantor == wanted.grantor)
}

/// Takes privileges, and options to grant them on, from a list. What was granted on by them goes
/// too with `cascade`.
///
/// # Errors
/// [`GrantError::Dependent`] without it.
pub fn revoke(
    access: &Access<'_>,
    items: &mut Vec<AclItem>,
    owner: Oid,
    taken: AclItem,
    cascade: bool,
) -> Result<(), GrantError> {
    let Some(at) = find(items, taken) else {
        return Ok(());
    };
    let lost = items[at].grantable & taken.grantable;
    items[at].privileges &= !taken.privileges;
    items[at].grantable &= !taken.grantable;
    if items[at].privileges == 0 && items[at].grantable == 0 {
        items.remove(at);
    }
    if lost != 0 && taken.grantee != everybody() {
        revoke_dependent(access, items, owner, taken.grantee, lost, cascade)?;
    }
    Ok(())
}

/// Takes what a role granted by options that it has no more.
fn revoke_dependent(
    access: &Access<'_>,
    items: &mut Vec<AclItem>,
    owner: Oid,
    grantor: Oid,
    lost: u16,
    cascade: bool,
) -> Result<(), GrantError> {
    // The owner can always grant.
    if grantor == owner {
        return Ok(());
    }
    let lost = lost & !access.held_in(items, owner, grantor).grantable.0;
    while let Some(found) =
        items.iter().find(|item| item.grantor == grantor && item.privileges & lost != 0).copied()
    {
        if !cascade {
            return Err(GrantError::Dependent);
        }
        let taken = AclItem { privileges: lost, grantable: lost, ..found };
        revoke(access, items, owner, taken, cascade)?;
    }
    Ok(())
}

/// A list with all of another added.
#[must_use]
pub fn merge(left: &[AclItem], right: &[AclItem]) -> Vec<AclItem> {
    let mut items = left.to_vec();
    for item in right {
        match find(&items, *item) {
            Some(at) => {
                items[at].privileges |= item.privileges;
                items[at].grantable |= item.grantable;
            }
            None => items.push(*item),
        }
    }
    items
}

/// A list in an order of its own, so that equal ones can be told.
#[must_use]
pub fn sorted(items: &[AclItem]) -> Vec<AclItem> {
    let mut items = items.to_vec();
    items.sort_by_key(|item| (item.grantee, item.grantor, item.privileges, item.grantable));
    items
}

/// The text form of an item: `grantee=privileges/grantor`, a star behind what may be granted on.
#[must_use]
pub fn aclitem_text(catalog: &CatalogSnapshot, item: &AclItem) -> String {
    let mut text = String::new();
    if item.grantee != everybody() {
        text.push_str(&role_text(catalog, item.grantee));
    }
    text.push('=');
    for (privilege, letter, _) in Privilege::ALL {
        if Privilege(item.privileges).contains(privilege) {
            text.push(letter);
        }
        if Privilege(item.grantable).contains(privilege) {
            text.push('*');
        }
    }
    text.push('/');
    text.push_str(&role_text(catalog, item.grantor));
    text
}

/// A role as items print it: in quotes unless it is of letters, digits and underscores, its number
/// where it is gone (`putid`).
fn role_text(catalog: &CatalogSnapshot, role: Oid) -> String {
    let Some(role) = catalog.role(role) else {
        return role.to_string();
    };
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if role.name.bytes().all(is_safe) {
        role.name.clone()
    } else {
        format!("\"{}\"", role.name.replace('"', "\"\""))
    }
}

/// A list in which another role stands for the owner (`aclnewowner`).
#[must_use]
pub fn with_new_owner(items: &[AclItem], old: Oid, new: Oid) -> Vec<AclItem> {
    let renamed = |role: Oid| if role == old { new } else { role };
    let items: Vec<AclItem> = items
        .iter()
        .map(|item| AclItem {
            grantee: renamed(item.grantee),
            grantor: renamed(item.grantor),
            ..*item
        })
        .collect();
    merge(&[], &items)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::descriptor::{Descriptor, Role};

    fn item(grantee: u32, grantor: u32, privileges: u16, grantable: u16) -> AclItem {
        AclItem { grantee: Oid(grantee), grantor: Oid(grantor), privileges, grantable }
    }

    fn roles() -> CatalogSnapshot {
        let plain = |oid: u32| Descriptor::Role(Arc::new(Role::plain(Oid(oid), format!("r{oid}"))));
        (1..=4).fold(CatalogSnapshot::default(), |catalog, oid| catalog.with(&plain(oid)))
    }

    #[test]
    fn what_was_granted_on_goes_with_cascade_alone() {
        let catalog = roles();
        let access = catalog.access(Oid(5));
        let owner = Oid(1);
        let mut items = Vec::new();
        for given in [item(2, 1, 2, 2), item(3, 2, 2, 2), item(4, 3, 2, 0)] {
            grant(&access, &mut items, owner, given).unwrap();
        }
        let taken = item(2, 1, 2, 2);
        let refused = revoke(&access, &mut items.clone(), owner, taken, false);
        assert_eq!(refused, Err(GrantError::Dependent));
        revoke(&access, &mut items, owner, taken, true).unwrap();
        assert_eq!(items, []);
    }

    #[test]
    fn options_do_not_go_back_to_whom_they_came_from() {
        let catalog = roles();
        let access = catalog.access(Oid(5));
        let owner = Oid(1);
        let mut items = Vec::new();
        grant(&access, &mut items, owner, item(2, 1, 2, 2)).unwrap();
        grant(&access, &mut items, owner, item(3, 2, 2, 2)).unwrap();
        let back = grant(&access, &mut items, owner, item(2, 3, 2, 2));
        assert_eq!(back, Err(GrantError::Circular));
        grant(&access, &mut items, owner, item(2, 3, 2, 0)).unwrap();
        assert_eq!(items.len(), 3);
    }

    #[test]
    fn items_print_as_in_postgresql() {
        let catalog = roles();
        assert_eq!(aclitem_text(&catalog, &item(0, 1, 3, 0)), "=ar/r1");
        assert_eq!(aclitem_text(&catalog, &item(2, 1, 2, 2)), "r2=r*/r1");
        assert_eq!(aclitem_text(&catalog, &item(9, 1, 1, 0)), "9=a/r1");
    }
}
