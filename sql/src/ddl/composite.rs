//! Composite types: `CREATE TYPE … AS (…)`, `ALTER TYPE … ATTRIBUTE`. Stored values hold their fields
//! in the order of the attributes; one that was stored before an attribute was added lacks it, and
//! reads as NULL there.

use std::sync::Arc;

use aegis_catalog::{CompositeAttribute, CompositeBody, Descriptor, TypeBody, UserType};
use aegis_types::{Oid, SqlError, SqlResult, SqlState};

use super::Ddl;
use super::ownership::not_owner;
use crate::ast::{
    AlterTableCmd, AlterTableStmt, ColumnDef, CompositeTypeStmt, RangeVar, RenameStmt,
};

impl Ddl<'_> {
    /// `CREATE TYPE … AS (…)`
    pub(super) async fn create_composite(
        &mut self,
        create: &CompositeTypeStmt,
    ) -> SqlResult<&'static str> {
        let names = names_of(&create.name);
        let (schema, name) = self.new_type_name(&names).await?;
        let mut body =
            CompositeBody { relation: self.counters.next_oid()?, attributes: Vec::new() };
        for (at, column) in create.columns.iter().enumerate() {
            if body.attributes.iter().any(|field| field.name == column.name) {
                return Err(SqlError::new(
                    SqlState::DuplicateColumn,
                    format!("column \"{}\" specified more than once", column.name),
                ));
            }
            let number = i16::try_from(at + 1).map_err(|_| too_many())?;
            body.attributes.push(self.attribute(column, number)?);
        }
        let (oid, array) = (self.counters.next_oid()?, self.counters.next_oid()?);
        self.put_new_type(oid, array, schema, name, TypeBody::Composite(Arc::new(body)))?;
        Ok("CREATE TYPE")
    }

    fn attribute(&self, column: &ColumnDef, number: i16) -> SqlResult<CompositeAttribute> {
        let type_name = column
            .type_name
            .as_ref()
            .ok_or_else(|| SqlError::unsupported("an attribute without a type"))?;
        let ty = self.column_type(type_name, &column.name)?;
        Ok(CompositeAttribute { number, name: column.name.clone(), ty })
    }

    /// The composite type that a statement names, locked.
    async fn open_composite(
        &mut self,
        name: &RangeVar,
    ) -> SqlResult<(Arc<UserType>, CompositeBody)> {
        let names = names_of(name);
        let missing = |_| {
            SqlError::new(
                SqlState::UndefinedTable,
                format!("relation \"{}\" does not exist", names.join(".")),
            )
        };
        let oid = self.named_type(&names).map_err(missing)?;
        if self.context.catalog.user_type(oid).is_some() {
            self.lock_type(oid).await?;
        }
        match self.context.catalog.user_type(oid).map(|ty| (ty, &ty.body)) {
            Some((ty, TypeBody::Composite(body))) => {
                if !self.access().has_privileges_of(self.role, ty.owner) {
                    return Err(not_owner("table", &ty.name));
                }
                Ok((ty.clone(), (**body).clone()))
            }
            _ => Err(SqlError::new(
                SqlState::WrongObjectType,
                format!("\"{}\" is not a composite type", name.name),
            )),
        }
    }

    fn put_composite(&mut self, ty: &UserType, body: CompositeBody) -> SqlResult<()> {
        let body = TypeBody::Composite(Arc::new(body));
        self.put(Descriptor::Type(Arc::new(UserType { body, ..ty.clone() })))
    }

    /// `ALTER TYPE … ADD`, `DROP`, `ALTER ATTRIBUTE`
    pub(super) async fn alter_composite(
        &mut self,
        alter: &AlterTableStmt,
    ) -> SqlResult<&'static str> {
        let (ty, mut body) = self.open_composite(&alter.relation).await?;
        let mut ty = (*ty).clone();
        let before = self.context.catalog.clone();
        for command in &alter.commands {
            match command {
                AlterTableCmd::AddColumn { column, .. } => {
                    if body.attributes.iter().any(|field| field.name == column.name) {
                        return Err(SqlError::new(
                            SqlState::DuplicateColumn,
                            format!(
                                "column \"{}\" of relation \"{}\" already exists",
                                column.name, ty.name
                            ),
                        ));
                    }
                    let last = body.attributes.iter().map(|field| field.number).max();
                    let number = last.unwrap_or(0).checked_add(1).ok_or_else(too_many)?;
                    body.attributes.push(self.attribute(column, number)?);
                }
                AlterTableCmd::DropColumn { column, missing_ok, .. } => {
                    let Some(at) = body.attributes.iter().position(|f| f.name == *column) else {
                        let message = format!(
                            "column \"{column}\" of relation \"{}\" does not exist",
                            ty.name
                        );
                        if *missing_ok {
                            self.notice(
                                SqlState::SuccessfulCompletion,
                                format!("{message}, skipping"),
                            );
                            continue;
                        }
                        return Err(SqlError::new(SqlState::UndefinedColumn, message));
                    };
                    if let Some((table, column)) = self.column_using(ty.oid) {
                        return Err(SqlError::unsupported(format_args!(
                            "dropping an attribute of a type that column \"{table}.{column}\" uses"
                        )));
                    }
                    body.attributes.remove(at);
                }
                AlterTableCmd::AlterColumnType { column, type_name, .. } => {
                    let new = self.column_type(type_name, column)?;
                    let field = body.attributes.iter_mut().find(|field| field.name == *column);
                    let field = field.ok_or_else(|| {
                        SqlError::new(
                            SqlState::UndefinedColumn,
                            format!(
                                "column \"{column}\" of relation \"{}\" does not exist",
                                ty.name
                            ),
                        )
                    })?;
                    if let Some((table, column)) = self.column_using(ty.oid) {
                        return Err(SqlError::new(
                            SqlState::FeatureNotSupported,
                            format!(
                                "cannot alter type \"{}\" because column \"{table}.{column}\" \
                                 uses it",
                                ty.name
                            ),
                        ));
                    }
                    field.ty = new;
                }
                AlterTableCmd::ChangeOwner(role) => {
                    ty.owner = self.role_oid(role)?;
                    self.check_is_member(ty.owner)?;
                }
                _ => return Err(SqlError::unsupported("this form of ALTER TYPE")),
            }
        }
        self.put_composite(&ty, body)?;
        self.reprint(&before).await?;
        Ok("ALTER TYPE")
    }

    /// `ALTER TYPE … RENAME ATTRIBUTE`
    pub(super) async fn rename_attribute(
        &mut self,
        rename: &RenameStmt,
    ) -> SqlResult<&'static str> {
        let name = rename.relation.as_ref();
        let name = name.ok_or_else(|| SqlError::internal("an attribute is of a type"))?;
        let old = rename.subname.as_deref().unwrap_or_default();
        let (ty, mut body) = self.open_composite(name).await?;
        let before = self.context.catalog.clone();
        let taken = body.attributes.iter().any(|field| field.name == rename.new_name);
        let field = body.attributes.iter_mut().find(|field| field.name == old);
        let field = field.ok_or_else(|| {
            SqlError::new(SqlState::UndefinedColumn, format!("column \"{old}\" does not exist"))
        })?;
        if taken {
            return Err(SqlError::new(
                SqlState::DuplicateColumn,
                format!(
                    "column \"{}\" of relation \"{}\" already exists",
                    rename.new_name, ty.name
                ),
            ));
        }
        rename.new_name.clone_into(&mut field.name);
        self.put_composite(&ty, body)?;
        self.reprint(&before).await?;
        Ok("ALTER TYPE")
    }

    /// Takes an attribute off a type whose type is dropped.
    pub(super) fn drop_attribute(&mut self, oid: Oid, number: i16) -> SqlResult<()> {
        let Some(ty) = self.context.catalog.user_type(oid).cloned() else {
            return Ok(());
        };
        let TypeBody::Composite(body) = &ty.body else {
            return Ok(());
        };
        if let Some((table, column)) = self.column_using(oid) {
            return Err(SqlError::unsupported(format_args!(
                "dropping an attribute of a type that column \"{table}.{column}\" uses"
            )));
        }
        let mut body = (**body).clone();
        body.attributes.retain(|field| field.number != number);
        self.put_composite(&ty, body)
    }

    /// A column that has values of a type, also inside of arrays, domains and other composites.
    fn column_using(&self, oid: Oid) -> Option<(String, String)> {
        let catalog = &self.context.catalog;
        let mut types = vec![oid];
        let mut at = 0;
        while let Some(inner) = types.get(at).copied() {
            let array = catalog.array_over(inner);
            let mut found: Vec<Oid> = array.into_iter().collect();
            for ty in catalog.user_types_of(self.context.database) {
                let holds = match &ty.body {
                    TypeBody::Domain(body) => body.base.oid == inner,
                    TypeBody::Composite(body) => {
                        body.attributes.iter().any(|field| field.ty.oid == inner)
                    }
                    TypeBody::Enum(_) => false,
                };
                if holds {
                    found.push(ty.oid);
                }
            }
            for relation in catalog.relations_of(self.context.database) {
                let holds = relation.as_table().is_some()
                    && relation.live_columns().any(|column| column.ty.oid == inner);
                if holds {
                    let column = relation.live_columns().find(|column| column.ty.oid == inner)?;
                    return Some((relation.name.clone(), column.name.clone()));
                }
            }
            found.retain(|oid| !types.contains(oid));
            types.extend(found);
            at += 1;
        }
        None
    }
}

fn names_of(name: &RangeVar) -> Vec<String> {
    let parts = [name.catalog.clone(), name.schema.clone(), Some(name.name.clone())];
    parts.into_iter().flatten().collect()
}

fn too_many() -> SqlError {
    SqlError::new(SqlState::TooManyColumns, "tables can have at most 1600 columns")
}
