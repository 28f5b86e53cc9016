//! `FROM`: entries, joins, aliases (`get_from_clause`).

use aegis_types::SqlResult;
use aegis_types::builtin::builtins;
use aegis_types::functions::quote_ident;

use super::buffer::{INDENT_CLAUSE, INDENT_JOIN, Printer};
use super::unprintable;
use crate::bound::{Expr, JoinKind, JoinTree, Query, RteKind};

impl<'a> Printer<'a> {
    /// `FROM`, if there is any.
    pub(super) fn print_from(&mut self, query: &'a Query) -> SqlResult<()> {
        let mut joins = 0;
        for (at, item) in query.from.iter().enumerate() {
            if at == 0 {
                self.keyword(" FROM ", -INDENT_CLAUSE, INDENT_CLAUSE, 2);
                self.print_item(item, query, &mut joins)?;
                continue;
            }
            self.put(", ");
            let text = self.apart(|printer| printer.print_item(item, query, &mut joins))?;
            self.put_item(&text, false, false);
        }
        Ok(())
    }

    /// An item. `joins` counts the joins that are printed: they are noted in the same order, each
    /// after those inside it.
    fn print_item(
        &mut self,
        item: &'a JoinTree,
        query: &'a Query,
        joins: &mut usize,
    ) -> SqlResult<()> {
        let (kind, left, right, on) = match item {
            JoinTree::Entry(entry) => return self.entry(query, *entry),
            JoinTree::Join { kind, left, right, on } => (*kind, &**left, &**right, on),
        };
        let own = *joins + count_joins(left) + count_joins(right);
        let written = query.written.joins.get(own);
        let written = written.ok_or_else(|| unprintable("a join that nobody wrote"))?;
        let open = !self.pretty() || written.alias.is_some();
        if open {
            self.put("(");
        }
        self.print_item(left, query, joins)?;
        let word = match kind {
            JoinKind::Inner if on.is_none() => " CROSS JOIN ",
            JoinKind::Inner => " JOIN ",
            JoinKind::Left => " LEFT JOIN ",
            JoinKind::Right => " RIGHT JOIN ",
            JoinKind::Full => " FULL JOIN ",
        };
        self.keyword(word, -INDENT_CLAUSE, INDENT_CLAUSE, INDENT_JOIN);
        let aliased_right = count_joins(right)
            .checked_sub(1)
            .and_then(|last| query.written.joins.get(*joins + last))
            .is_some_and(|join| join.alias.is_some());
        let open_right = self.pretty() && matches!(right, JoinTree::Join { .. }) && !aliased_right;
        if open_right {
            self.put("(");
        }
        self.print_item(right, query, joins)?;
        if open_right {
            self.put(")");
        }
        *joins += 1;
        if !written.using.is_empty() {
            on.iter().for_each(|on| self.note_all(on));
            let names: Vec<String> = written.using.iter().map(|name| quote_ident(name)).collect();
            self.put(&format!(" USING ({})", names.join(", ")));
            if let Some(alias) = &written.using_alias {
                self.put(&format!(" AS {}", quote_ident(alias)));
            }
        } else if let Some(on) = on {
            self.put(" ON ");
            self.enclosed(|printer| printer.expression(on, false))?;
        } else if kind != JoinKind::Inner {
            self.put(" ON TRUE");
        }
        if open {
            self.put(")");
        }
        if let Some(alias) = &written.alias {
            self.put(&format!(" {}", quote_ident(alias)));
            let named = self.level(0)?.joins.get(own).filter(|(_, renamed)| *renamed);
            if let Some((names, _)) = named {
                let names: Vec<String> = names.iter().map(|name| quote_ident(name)).collect();
                self.put(&format!("({})", names.join(", ")));
            }
        }
        Ok(())
    }

    fn entry(&mut self, query: &'a Query, at: usize) -> SqlResult<()> {
        let entry = query.range_table.get(at).ok_or_else(|| unprintable("no entry"))?;
        let written = query.written.entries.get(at).cloned().unwrap_or_default();
        let lateral = entry.lateral && matches!(entry.kind, RteKind::Subquery(_));
        if lateral {
            self.put("LATERAL ");
        }
        let mut own_name: Option<String> = None;
        match (&entry.kind, written.relation) {
            (RteKind::Relation(relation), _) => own_name = Some(self.relation(relation.oid)?),
            (_, Some(view)) => own_name = Some(self.relation(view)?),
            (RteKind::System(full), None) => {
                let names = self.deparser.names;
                let oid = full
                    .split_once('.')
                    .and_then(|(schema, name)| names.relation_in(names.schema(schema)?, name))
                    .ok_or_else(|| unprintable("an unknown relation"))?;
                own_name = Some(self.relation(oid)?);
            }
            (RteKind::Subquery(inner), None) => {
                self.put("(");
                self.query(inner, None, true)?;
                self.put(")");
            }
            (RteKind::Functions { calls, with_ordinality }, None) => {
                self.functions(calls)?;
                if *with_ordinality {
                    self.put(" WITH ORDINALITY");
                }
            }
            (RteKind::Values(rows), None) => {
                self.put("(");
                self.values(rows)?;
                self.put(")");
            }
            (RteKind::Cte { index, levels_up }, None) => {
                let around = self.level(*levels_up)?.query;
                let cte = around.and_then(|query| query.ctes.get(*index));
                let name = cte.map(|cte| cte.name.clone());
                // A CTE reads itself before it is complete.
                let name = name.unwrap_or_else(|| entry.alias.clone());
                self.put(&quote_ident(&name));
                own_name = Some(name);
            }
            (RteKind::Row(_) | RteKind::Known(_) | RteKind::Returned(_), _) => {
                return Err(unprintable("a changed row"));
            }
        }
        let level = self.level(0)?;
        let alias = level.aliases.get(at).cloned().unwrap_or_default();
        let renamed = level.renamed.get(at).copied().unwrap_or_default();
        let columns: Vec<String> = level.columns.get(at).map_or_else(Vec::new, |columns| {
            columns.iter().flatten().map(|name| quote_ident(name)).collect()
        });
        if written.aliased || renamed || own_name.as_deref() != Some(alias.as_str()) {
            self.put(&format!(" {}", quote_ident(&alias)));
        }
        if is_defined(&entry.kind) {
            let names = &self.deparser.names;
            let typed = columns.iter().zip(&entry.columns).map(|(name, column)| {
                format!("{name} {}", names.format_type(column.ty.oid, Some(column.ty.typmod)))
            });
            let typed: Vec<String> = typed.collect();
            self.put(&format!("({})", typed.join(", ")));
        } else if renamed {
            self.put(&format!("({})", columns.join(", ")));
        }
        Ok(())
    }

    /// A relation, qualified where it is not found or a CTE hides it; gives its bare name.
    fn relation(&mut self, oid: aegis_types::Oid) -> SqlResult<String> {
        let names = self.deparser.names;
        let (schema, name) =
            names.relation_parts(oid).ok_or_else(|| unprintable("an unknown relation"))?;
        let hidden = self
            .levels
            .iter()
            .filter_map(|level| level.query)
            .any(|query| query.ctes.iter().any(|cte| cte.name == name));
        let text = match names.relation_name(oid) {
            Some(text) if !hidden => text,
            _ => names.qualified(schema, name),
        };
        self.put(&text);
        self.uses.insert((oid, 0));
        Ok(name.to_owned())
    }

    fn functions(&mut self, calls: &'a [(Expr, usize)]) -> SqlResult<()> {
        if let [(call, _)] = calls {
            return self.function_item(call);
        }
        let arguments: Option<Vec<&'a Expr>> = calls
            .iter()
            .map(|(call, _)| match call {
                Expr::Call(call) if call.args.len() == 1 => builtins()
                    .function(call.function)
                    .filter(|row| row.name == "unnest")
                    .and_then(|_| call.args.first()),
                _ => None,
            })
            .collect();
        match arguments {
            Some(arguments) => {
                self.put("UNNEST(");
                for (at, argument) in arguments.into_iter().enumerate() {
                    if at > 0 {
                        self.put(", ");
                    }
                    self.expression(argument, true)?;
                }
            }
            None => {
                self.put("ROWS FROM(");
                for (at, (call, _)) in calls.iter().enumerate() {
                    if at > 0 {
                        self.put(", ");
                    }
                    self.function_item(call)?;
                }
            }
        }
        self.put(")");
        Ok(())
    }

    /// What looks like a function, or else a cast that does (`get_rule_expr_funccall`).
    fn function_item(&mut self, expr: &'a Expr) -> SqlResult<()> {
        let like_function = match expr {
            Expr::Call(call) => matches!(
                call.form,
                crate::bound::CallForm::Function
                    | crate::bound::CallForm::Defaulted(_)
                    | crate::bound::CallForm::Variadic
                    | crate::bound::CallForm::SqlSyntax
            ),
            Expr::Coalesce { .. }
            | Expr::MinMax { .. }
            | Expr::NullIf { .. }
            | Expr::SqlValue { .. } => true,
            _ => false,
        };
        if like_function {
            return self.expression(expr, true);
        }
        self.put("CAST(");
        self.expression(expr, false)?;
        let name = self.deparser.names.type_name(expr.ty());
        self.put(&format!(" AS {name})"));
        Ok(())
    }
}

fn count_joins(tree: &JoinTree) -> usize {
    match tree {
        JoinTree::Entry(_) => 0,
        JoinTree::Join { left, right, .. } => 1 + count_joins(left) + count_joins(right),
    }
}

/// Whether the columns of an entry are those of a column definition list.
fn is_defined(kind: &RteKind) -> bool {
    let RteKind::Functions { calls, .. } = kind else { return false };
    let [(Expr::Call(call), _)] = calls.as_slice() else { return false };
    let is_output = |mode: &u8| matches!(mode, b'o' | b'b' | b't');
    call.ty.oid == aegis_types::type_oid::RECORD
        && call.row().is_some_and(|row| !row.modes.iter().any(is_output))
}
