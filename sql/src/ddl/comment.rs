//! `COMMENT ON`.

use std::sync::Arc;

use aegis_catalog::access::Kind;
use aegis_catalog::snapshot::{
    PG_AUTHID, PG_CLASS, PG_CONSTRAINT, PG_DATABASE, PG_EXTENSION, PG_NAMESPACE, PG_PROC, PG_TYPE,
};
use aegis_catalog::{Comment, Descriptor, DescriptorKey, Relation, RelationKind, TypeBody};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::constraint::constraint_named;
use super::name::{missing_relation, range_var, wrong_kind};
use super::ownership::not_owner;
use super::role::refused;
use super::{Ddl, Notice};
use crate::ast::{CommentStmt, ObjectName, ObjectType, ObjectWithArgs, TypeName};

impl Ddl<'_> {
    /// `COMMENT ON`
    pub(super) fn comment(&mut self, comment: &CommentStmt) -> SqlResult<&'static str> {
        let Some((class, object, column)) = self.commented(comment)? else {
            return Ok("COMMENT");
        };
        match comment.comment.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => {
                let text = text.to_owned();
                self.put(Descriptor::Comment(Arc::new(Comment { class, object, column, text })))?;
            }
            None if self.context.catalog.comment(class, object, column).is_some() => {
                self.delete(DescriptorKey::Comment(class, object, column))?;
            }
            None => {}
        }
        Ok("COMMENT")
    }

    fn commented(&mut self, comment: &CommentStmt) -> SqlResult<Option<(Oid, Oid, i32)>> {
        let kind = comment.object_type;
        let names = match &comment.object {
            ObjectName::Name(names) => names.as_slice(),
            ObjectName::Type(name) => {
                let ty = self.analyzer().resolve_type_name(name);
                let ty = ty.map_err(SqlError::without_position)?;
                if let Some(ty) = self.context.catalog.user_type(ty.oid) {
                    self.check_owns_type(ty)?;
                } else if !self.access().is_superuser(self.role) {
                    return Err(not_owner("type", &self.shown_type(ty.oid)));
                }
                return Ok(Some((PG_TYPE, ty.oid, 0)));
            }
            ObjectName::DomainConstraint(domain, constraint) => {
                return self.commented_domain_check(domain, constraint).map(Some);
            }
            ObjectName::WithArgs(function)
                if matches!(
                    kind,
                    ObjectType::Function | ObjectType::Procedure | ObjectType::Routine
                ) =>
            {
                return self.commented_function(function, kind).map(Some);
            }
            _ => return Err(SqlError::unsupported(format!("COMMENT ON {}", kind.words()))),
        };
        let last = names.last().map_or("", String::as_str);
        let wanted = match kind {
            ObjectType::Table => Some((RelationKind::Table, "a table")),
            ObjectType::View => Some((RelationKind::View, "a view")),
            ObjectType::MatView => Some((RelationKind::MaterializedView, "a materialized view")),
            ObjectType::Index => Some((RelationKind::Index, "an index")),
            ObjectType::Sequence => Some((RelationKind::Sequence, "a sequence")),
            _ => None,
        };
        if let Some((wanted, words)) = wanted {
            let relation = self.named(names)?;
            self.check_owns(&relation)?;
            if relation.kind() != wanted {
                return Err(wrong_kind(&relation, words));
            }
            return Ok(Some((PG_CLASS, relation.oid, 0)));
        }
        let rest = names.split_last().map(|(_, rest)| rest).unwrap_or_default();
        Ok(match kind {
            ObjectType::Column => {
                if let Some(found) = self.commented_attribute(rest, last)? {
                    return Ok(Some(found));
                }
                let relation = self.named(rest)?;
                self.check_owns(&relation)?;
                let column = relation.column_named(last).ok_or_else(|| {
                    SqlError::new(
                        SqlState::UndefinedColumn,
                        format!(
                            "column \"{last}\" of relation \"{}\" does not exist",
                            relation.name
                        ),
                    )
                })?;
                Some((PG_CLASS, relation.oid, i32::from(column.number)))
            }
            ObjectType::TableConstraint => {
                let relation = self.named(rest)?;
                self.check_owns(&relation)?;
                let constraint = constraint_named(&relation, last).ok_or_else(|| {
                    SqlError::new(
                        SqlState::UndefinedObject,
                        format!(
                            "constraint \"{last}\" for table \"{}\" does not exist",
                            relation.name
                        ),
                    )
                })?;
                Some((PG_CONSTRAINT, constraint.oid, 0))
            }
            ObjectType::Schema => {
                let schema = self.schema(last)?;
                self.check_owns_schema(schema)?;
                Some((PG_NAMESPACE, schema, 0))
            }
            ObjectType::Database => match self.database_named(last) {
                Ok(database) => {
                    self.check_owns_database(&database)?;
                    Some((PG_DATABASE, database.oid, 0))
                }
                Err(fields) => {
                    self.notices.push(Notice { severity: "WARNING", fields });
                    None
                }
            },
            ObjectType::Role => match self.context.catalog.role_named(last) {
                Some(role) => {
                    if role.superuser && !self.is_superuser() {
                        return Err(refused("must be superuser"));
                    }
                    if !self.may_create_roles() {
                        return Err(refused("must have CREATEROLE privilege"));
                    }
                    Some((PG_AUTHID, role.oid, 0))
                }
                None => {
                    return Err(SqlError::new(
                        SqlState::UndefinedObject,
                        format!("role \"{last}\" does not exist"),
                    ));
                }
            },
            ObjectType::Extension => {
                let extension = self.own_extension(last)?;
                Some((PG_EXTENSION, extension.oid, 0))
            }
            other => return Err(SqlError::unsupported(format!("COMMENT ON {}", other.words()))),
        })
    }

    /// A function, which the role owns.
    fn commented_function(
        &mut self,
        function: &ObjectWithArgs,
        kind: ObjectType,
    ) -> SqlResult<(Oid, Oid, i32)> {
        let Some(found) = self.named_function(function, kind, false)? else {
            return Err(SqlError::internal("a function that is missing"));
        };
        if !self.access().owns(self.role, Kind::Function, found.oid) {
            let is_procedure = found.kind == aegis_types::builtin::FunctionKind::Procedure;
            let what = if is_procedure { "procedure" } else { "function" };
            return Err(not_owner(what, &found.name));
        }
        Ok((PG_PROC, found.oid, 0))
    }

    /// A condition of a domain.
    fn commented_domain_check(
        &self,
        domain: &TypeName,
        constraint: &str,
    ) -> SqlResult<(Oid, Oid, i32)> {
        let oid = self.analyzer().resolve_type_name(domain)?.oid;
        let found = self.context.catalog.user_type(oid);
        let Some((ty, TypeBody::Domain(body))) = found.map(|ty| (ty, &ty.body)) else {
            return Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("\"{}\" is not a domain", domain.names.join(".")),
            ));
        };
        self.check_owns_type(ty)?;
        let check = body.checks.iter().find(|check| check.name == constraint);
        check.map(|check| (PG_CONSTRAINT, check.oid, 0)).ok_or_else(|| {
            SqlError::new(
                SqlState::UndefinedObject,
                format!("constraint \"{constraint}\" for domain {} does not exist", ty.name),
            )
        })
    }

    /// An attribute of a composite type, if that is what a column's name means.
    fn commented_attribute(
        &self,
        names: &[String],
        attribute: &str,
    ) -> SqlResult<Option<(Oid, Oid, i32)>> {
        let (schema, name) = match names {
            [name] => (None, name),
            [schema, name] => (Some(self.schema(schema)?), name),
            _ => return Ok(None),
        };
        if self.find(&range_var(names)?)?.is_some() {
            return Ok(None);
        }
        let catalog = &self.context.catalog;
        let mut path: Vec<Oid> = schema.into_iter().collect();
        if schema.is_none() {
            path.extend(self.search_path.iter());
        }
        let found = path.into_iter().find_map(|schema| catalog.type_named(schema, name));
        let Some(ty) = found.and_then(|oid| catalog.user_type(oid)) else { return Ok(None) };
        let TypeBody::Composite(body) = &ty.body else { return Ok(None) };
        self.check_owns_type(ty)?;
        let field = body.attributes.iter().find(|field| field.name == attribute);
        let field = field.ok_or_else(|| {
            SqlError::new(
                SqlState::UndefinedColumn,
                format!("column \"{attribute}\" of relation \"{name}\" does not exist"),
            )
        })?;
        Ok(Some((PG_CLASS, body.relation, i32::from(field.number))))
    }

    fn named(&self, names: &[String]) -> SqlResult<Arc<Relation>> {
        let name = range_var(names)?;
        self.find(&name)?.ok_or_else(|| missing_relation(&name))
    }

    /// Removes the comments on an object and on its columns.
    pub(super) fn delete_comments(&mut self, class: Oid, object: Oid) -> SqlResult<()> {
        let gone: Vec<DescriptorKey> = self
            .context
            .catalog
            .comments()
            .filter(|comment| comment.class == class && comment.object == object)
            .map(|comment| DescriptorKey::Comment(class, object, comment.column))
            .collect();
        gone.into_iter().try_for_each(|key| self.delete(key))
    }
}
