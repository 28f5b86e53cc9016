//! Column references: by name alone, qualified, whole rows, system columns, stars.

use aegis_catalog::system;
use aegis_types::{SqlError, SqlResult, SqlState, TypeRef, type_oid as t};

use super::Analyzer;
use super::node::Node;
use super::scope::{Clause, ColumnUse, NamespaceItem};
use super::walk::shift_levels;
use crate::ast::ColumnRef;
use crate::bound::{Expr, RteKind, TABLE_OID, XMIN};

/// What a name in front of a dot, or alone, was found to be.
struct Found {
    /// The scope that it is in.
    scope: usize,
    /// Which item of its namespace.
    item: usize,
}

impl Analyzer<'_> {
    /// A column reference without a star (`transformColumnRef`).
    pub(super) fn column_ref(&mut self, column: &ColumnRef) -> SqlResult<Node> {
        let at = column.location;
        if self.scope().clause == Clause::Default {
            return Err(SqlError::new(
                SqlState::FeatureNotSupported,
                "cannot use column reference in DEFAULT expression",
            )
            .at(at));
        }
        if self.scope().clause == Clause::FunctionDefault {
            return Err(SqlError::new(
                SqlState::InvalidColumnReference,
                "cannot use table references in parameter default value",
            ));
        }
        let (schema, relation, name) = match column.names.as_slice() {
            [name] => {
                if let (Some(ty), "value") = (self.domain_value, name.as_str()) {
                    return Ok(Node::new(Expr::Slot { index: 0, ty }, at));
                }
                if let Some(node) = self.unqualified_column(name, at)? {
                    return Ok(node);
                }
                return match self.find_item(None, name, at)? {
                    Some(found) => self.whole_row(&found, at),
                    None => match self.routine_parameter(name, at) {
                        Some(node) => Ok(node),
                        None => Err(self.missing_column(None, name, at)),
                    },
                };
            }
            [relation, name] => (None, relation, name),
            [schema, relation, name] => (Some(schema.as_str()), relation, name),
            [database, schema, relation, name] => {
                self.check_database_of_column(database, &column.names, at)?;
                (Some(schema.as_str()), relation, name)
            }
            names => {
                return Err(SqlError::new(
                    SqlState::SyntaxError,
                    format!("improper qualified name (too many dotted names): {}", names.join(".")),
                )
                .at(at));
            }
        };
        let Some(found) = self.find_item(schema, relation, at)? else {
            return match self.qualified_routine_parameter(&column.names, at)? {
                Some(node) => Ok(node),
                None => Err(self.missing_entry(schema, relation, at)),
            };
        };
        if let Some(node) = self.column_of_item(&found, name, at)? {
            return Ok(node);
        }
        let row = self.whole_row(&found, at)?;
        match self.column_as_function(name, row, at)? {
            Some(node) => Ok(node),
            None => match self.qualified_routine_parameter(&column.names, at)? {
                Some(node) => Ok(node),
                None => Err(self.missing_column(Some(relation), name, at)),
            },
        }
    }

    fn check_database_of_column(&self, database: &str, names: &[String], at: u32) -> SqlResult<()> {
        let current = self.context.catalog.database(self.context.database);
        if current.is_some_and(|current| current.name == database) {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::FeatureNotSupported,
            format!("cross-database references are not implemented: {}", names.join(".")),
        )
        .at(at))
    }

    /// A column by its name alone, in this query or one around it (`colNameToVar`).
    fn unqualified_column(&mut self, name: &str, at: u32) -> SqlResult<Option<Node>> {
        for scope in (0..self.scopes.len()).rev() {
            let mut found = None;
            for item in 0..self.scopes[scope].namespace.len() {
                let current = &self.scopes[scope].namespace[item];
                if !current.columns_visible
                    || (current.lateral_only && !self.scopes[scope].lateral_active)
                {
                    continue;
                }
                let place = Found { scope, item };
                let Some(expr) = self.column_in_item(&place, name, at)? else {
                    continue;
                };
                if found.is_some() {
                    return Err(ambiguous_column(name, at));
                }
                self.check_lateral(&place, at)?;
                found = Some((place, expr));
            }
            if let Some((place, expr)) = found {
                return Ok(Some(self.use_column(&place, expr, at)));
            }
        }
        Ok(None)
    }

    /// The item of the innermost namespace that has this name (`refnameNamespaceItem`).
    fn find_item(&self, schema: Option<&str>, name: &str, at: u32) -> SqlResult<Option<Found>> {
        let relation = match schema {
            None => None,
            Some(schema) => {
                let Ok(schema) = self.schema_oid(schema) else {
                    return Ok(None);
                };
                match self.context.catalog.relation_named(schema, name) {
                    Some(relation) => Some(relation.oid),
                    None => return self.find_system_item(schema, name),
                }
            }
        };
        for (scope, names) in self.scopes.iter().enumerate().rev() {
            let mut found: Option<usize> = None;
            for (item, candidate) in names.namespace.iter().enumerate() {
                if !candidate.name_visible || (candidate.lateral_only && !names.lateral_active) {
                    continue;
                }
                let matches = match relation {
                    None => candidate.name == name,
                    Some(relation) => candidate.relation == Some(relation),
                };
                if !matches {
                    continue;
                }
                if found.is_some() {
                    return Err(SqlError::new(
                        SqlState::AmbiguousAlias,
                        format!("table reference \"{name}\" is ambiguous"),
                    )
                    .at(at));
                }
                self.check_lateral(&Found { scope, item }, at)?;
                found = Some(item);
            }
            if let Some(item) = found {
                return Ok(Some(Found { scope, item }));
            }
        }
        Ok(None)
    }

    /// A system relation by its qualified name.
    fn find_system_item(&self, schema: aegis_types::Oid, name: &str) -> SqlResult<Option<Found>> {
        let full = format!("{}.{name}", self.schema_name(schema));
        for (scope, names) in self.scopes.iter().enumerate().rev() {
            let found = names.namespace.iter().position(|item| {
                item.name_visible
                    && item.entry.is_some_and(|entry| {
                        let aliased = names.entries[entry].aliased;
                        matches!(&names.range_table[entry].kind,
                            RteKind::System(system) if !aliased && **system == *full)
                    })
            });
            if let Some(item) = found {
                return Ok(Some(Found { scope, item }));
            }
        }
        Ok(None)
    }

    /// 42P10 for a reference that LATERAL cannot make (`check_lateral_ref_ok`).
    fn check_lateral(&self, found: &Found, at: u32) -> SqlResult<()> {
        let item = self.item(found);
        if !item.lateral_only || item.lateral_ok {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::InvalidColumnReference,
            format!("invalid reference to FROM-clause entry for table \"{}\"", item.name),
        )
        .detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference.")
        .at(at))
    }

    fn item(&self, found: &Found) -> &NamespaceItem {
        &self.scopes[found.scope].namespace[found.item]
    }

    fn column_of_item(&mut self, found: &Found, name: &str, at: u32) -> SqlResult<Option<Node>> {
        let Some(expr) = self.column_in_item(found, name, at)? else {
            return Ok(None);
        };
        Ok(Some(self.use_column(found, expr, at)))
    }

    /// A column of an item, as an expression of the item's own query (`scanNSItemForColumn`).
    fn column_in_item(&self, found: &Found, name: &str, at: u32) -> SqlResult<Option<Expr>> {
        let item = self.item(found);
        let mut matches = item.columns.iter().filter(|column| column.name == name);
        if let Some(column) = matches.next() {
            if matches.next().is_some() {
                return Err(ambiguous_column(name, at));
            }
            return Ok(Some(column.expr.clone()));
        }
        self.system_column(found, name, at)
    }

    fn system_column(&self, found: &Found, name: &str, at: u32) -> SqlResult<Option<Expr>> {
        let Some(entry) = self.item(found).entry else {
            return Ok(None);
        };
        let kind = &self.scopes[found.scope].range_table[entry].kind;
        let is_table = match kind {
            RteKind::Relation(_) | RteKind::Row(_) => true,
            RteKind::System(name) => system::relation(name).is_some_and(|it| it.kind == b'r'),
            _ => false,
        };
        // What is computed was written by no commit.
        let has_commit = match kind {
            RteKind::Relation(relation) | RteKind::Row(relation) => relation.as_table().is_some(),
            _ => false,
        };
        if !is_table {
            return Ok(None);
        }
        let (column, oid) = match name {
            "tableoid" => (TABLE_OID, t::OID),
            "xmin" if has_commit => (XMIN, t::XID),
            "ctid" | "xmin" | "cmin" | "xmax" | "cmax" => {
                return Err(SqlError::unsupported(format_args!("system column \"{name}\"")).at(at));
            }
            _ => return Ok(None),
        };
        Ok(Some(Expr::Column { entry, column, levels_up: 0, ty: TypeRef::plain(oid) }))
    }

    /// A column seen from the innermost query, its use noted.
    fn use_column(&mut self, found: &Found, mut expr: Expr, at: u32) -> Node {
        let levels_up = self.scopes.len() - 1 - found.scope;
        self.note_uses(found.scope, &expr, at);
        shift_levels(&mut expr, levels_up);
        Node::new(expr, at)
    }

    fn note_uses(&mut self, scope: usize, expr: &Expr, at: u32) {
        if let Expr::Column { entry, column, .. } = expr {
            let (entry, column) = (*entry, *column);
            self.scopes[scope].uses.push(ColumnUse { entry, column, at, in_aggregate: false });
        }
        expr.for_each_child(&mut |child| self.note_uses(scope, child, at));
    }

    /// All of an item's columns as one value (`transformWholeRowRef`).
    fn whole_row(&mut self, found: &Found, at: u32) -> SqlResult<Node> {
        let levels_up = self.scopes.len() - 1 - found.scope;
        let item = self.item(found);
        let Some(entry) = item.entry else {
            let names = item.columns.iter().map(|column| column.name.clone()).collect();
            let mut fields: Vec<Expr> =
                item.columns.iter().map(|column| column.expr.clone()).collect();
            for field in &mut fields {
                shift_levels(field, levels_up);
            }
            let row = Expr::Row { fields, names, ty: TypeRef::plain(t::RECORD) };
            return Ok(Node::new(row, at));
        };
        let scope = &self.scopes[found.scope];
        let ty = match &scope.range_table[entry].kind {
            RteKind::Relation(relation) | RteKind::Row(relation) => relation.row_type,
            _ => match scope.entries[entry].relation {
                Some(view) => self
                    .context
                    .catalog
                    .relation(view)
                    .map_or(t::RECORD, |relation| relation.row_type),
                None => t::RECORD,
            },
        };
        if scope.entries[entry].scalar_function {
            let ty = scope.range_table[entry].columns[0].ty;
            let expr = Expr::Column { entry, column: 1, levels_up: 0, ty };
            return Ok(self.use_column(found, expr, at));
        }
        let expr = Expr::Column { entry, column: 0, levels_up: 0, ty: TypeRef::plain(ty) };
        Ok(self.use_column(found, expr, at))
    }

    /// The row of an item by its name, if there is such an item.
    pub(super) fn row_of_name(&mut self, name: &ColumnRef) -> SqlResult<Option<Node>> {
        let Some(relation) = name.names.last() else {
            return Ok(None);
        };
        match self.find_item(None, relation, name.location)? {
            Some(found) => self.whole_row(&found, name.location).map(Some),
            None => Ok(None),
        }
    }

    /// The columns that `*` or `t.*` stands for, with their names.
    pub(super) fn star(&mut self, column: &ColumnRef) -> SqlResult<Vec<(String, Node)>> {
        let at = column.location;
        let found = match column.names.as_slice() {
            [] => return self.bare_star(at),
            [relation] => (self.find_item(None, relation, at)?, None, relation),
            [schema, relation] => {
                (self.find_item(Some(schema), relation, at)?, Some(schema.as_str()), relation)
            }
            [database, schema, relation] => {
                self.check_database_of_column(database, &column.names, at)?;
                (self.find_item(Some(schema), relation, at)?, Some(schema.as_str()), relation)
            }
            names => {
                return Err(SqlError::new(
                    SqlState::SyntaxError,
                    format!("improper qualified name (too many dotted names): {}", names.join(".")),
                )
                .at(at));
            }
        };
        match found {
            (Some(found), ..) => Ok(self.expand_item(&found, at)),
            (None, schema, relation) => Err(self.missing_entry(schema, relation, at)),
        }
    }

    fn bare_star(&mut self, at: u32) -> SqlResult<Vec<(String, Node)>> {
        let scope = self.scopes.len() - 1;
        let mut columns = Vec::new();
        let mut any = false;
        for item in 0..self.scopes[scope].namespace.len() {
            let current = &self.scopes[scope].namespace[item];
            if !current.columns_visible || current.lateral_only {
                continue;
            }
            any = true;
            columns.extend(self.expand_item(&Found { scope, item }, at));
        }
        if !any {
            return Err(SqlError::new(
                SqlState::SyntaxError,
                "SELECT * with no tables specified is not valid",
            )
            .at(at));
        }
        Ok(columns)
    }

    fn expand_item(&mut self, found: &Found, at: u32) -> Vec<(String, Node)> {
        let columns = self.item(found).columns.clone();
        columns
            .into_iter()
            .map(|column| {
                let node = self.use_column(found, column.expr, at);
                (column.name, node)
            })
            .collect()
    }
}

pub(super) fn ambiguous_column(name: &str, at: u32) -> SqlError {
    SqlError::new(SqlState::AmbiguousColumn, format!("column reference \"{name}\" is ambiguous"))
        .at(at)
}
