//! Conditions as `EXPLAIN` shows them.

use std::sync::Arc;

use aegis_catalog::CatalogSnapshot;
use aegis_sql::analyze::format_type;
use aegis_sql::bound::{CallForm, Expr, Query, RteKind};
use aegis_types::builtin::builtins;
use aegis_types::functions::quote_ident;
use aegis_types::{Datum, EvalContext, FormatSettings, TypeRef, io, type_oid};

/// The queries around an expression, the innermost first: what its columns are called.
pub(crate) struct Names {
    pub(crate) query: Arc<Query>,
    pub(crate) around: Option<Arc<Self>>,
}

/// An expression with the names in it, to be shown.
#[derive(Clone)]
pub(crate) struct Described {
    pub(crate) expr: Expr,
    pub(crate) names: Arc<Names>,
}

impl Described {
    /// The text; `None` where it has a part that is not shown. Columns of `own`, an entry of the
    /// innermost query, stand without its alias.
    pub(crate) fn text(&self, own: Option<usize>) -> Option<String> {
        let mut text = String::new();
        Writer { names: &self.names, own }.write(&self.expr, &mut text)?;
        Some(text)
    }
}

/// Several conditions that all hold.
pub(crate) fn all(conditions: &[Described], own: Option<usize>) -> Option<String> {
    match conditions {
        [] => None,
        [one] => one.text(own),
        many => {
            let texts: Option<Vec<String>> = many.iter().map(|one| one.text(own)).collect();
            Some(format!("({})", texts?.join(" AND ")))
        }
    }
}

struct Writer<'a> {
    names: &'a Names,
    own: Option<usize>,
}

impl Writer<'_> {
    fn write(&self, expr: &Expr, out: &mut String) -> Option<()> {
        match expr {
            Expr::Const { value, ty } => {
                out.push_str(&literal(value, *ty)?);
            }
            Expr::Param { number, .. } => out.push_str(&format!("${number}")),
            Expr::Column { entry, column, levels_up, .. } => {
                out.push_str(&self.column(*entry, *column, *levels_up)?);
            }
            Expr::Collate { arg, explicit: false, .. } => self.write(arg, out)?,
            Expr::Collate { arg, collation, .. } => {
                out.push('(');
                self.write(arg, out)?;
                out.push_str(" COLLATE ");
                out.push_str(&aegis_types::functions::quote_ident(collation.name()));
                out.push(')');
            }
            Expr::Relabel { arg, ty, .. } => {
                if matches!(**arg, Expr::Const { .. }) {
                    return self.write(arg, out);
                }
                out.push('(');
                self.write(arg, out)?;
                out.push_str(&format!(")::{}", type_name(*ty)));
            }
            Expr::Call(call) => match call.form {
                CallForm::Operator(operator) => {
                    let name = builtins().operator(operator)?.name;
                    out.push('(');
                    match call.args.as_slice() {
                        [arg] => {
                            out.push_str(&format!("{name} "));
                            self.write(arg, out)?;
                        }
                        [left, right] => {
                            self.write(left, out)?;
                            out.push_str(&format!(" {name} "));
                            self.write(right, out)?;
                        }
                        _ => return None,
                    }
                    out.push(')');
                }
                CallForm::ImplicitCast => self.write(call.args.first()?, out)?,
                CallForm::ExplicitCast => {
                    out.push('(');
                    self.write(call.args.first()?, out)?;
                    out.push_str(&format!(")::{}", type_name(call.ty)));
                }
                CallForm::Function => {
                    out.push_str(&call.row()?.name);
                    out.push('(');
                    self.list(&call.args, ", ", out)?;
                    out.push(')');
                }
                CallForm::Defaulted(written) => {
                    out.push_str(&call.row()?.name);
                    out.push('(');
                    self.list(call.args.get(..usize::from(written))?, ", ", out)?;
                    out.push(')');
                }
                CallForm::SqlSyntax | CallForm::Variadic => return None,
            },
            Expr::And(args) => self.connective(args, " AND ", out)?,
            Expr::Or(args) => self.connective(args, " OR ", out)?,
            Expr::Not(arg) => {
                out.push_str("(NOT ");
                self.write(arg, out)?;
                out.push(')');
            }
            Expr::IsNull { arg, negated } => {
                out.push('(');
                self.write(arg, out)?;
                out.push_str(if *negated { " IS NOT NULL)" } else { " IS NULL)" });
            }
            Expr::ArrayComparison { operator, array, all } => {
                let CallForm::Operator(symbol) = operator.form else { return None };
                let word = if *all { "ALL" } else { "ANY" };
                out.push('(');
                self.write(operator.args.first()?, out)?;
                out.push_str(&format!(" {} {word} (", builtins().operator(symbol)?.name));
                self.array(array, out)?;
                out.push_str("))");
            }
            _ => return None,
        }
        Some(())
    }

    /// An array, constants in it as one literal.
    fn array(&self, array: &Expr, out: &mut String) -> Option<()> {
        let Expr::Array { elements, ty, nested: false } = array else {
            return self.write(array, out);
        };
        let values = elements.iter().map(|element| match element {
            Expr::Const { value, .. } => Some(value.clone()),
            _ => None,
        });
        match values.collect::<Option<Vec<Datum>>>() {
            Some(values) => {
                let element = io::element_type(ty.oid)?;
                let array = aegis_types::Array::one_dimensional(element, values);
                out.push_str(&literal(&Datum::Array(Arc::new(array)), *ty)?);
            }
            None => {
                out.push_str("ARRAY[");
                self.list(elements, ", ", out)?;
                out.push(']');
            }
        }
        Some(())
    }

    fn connective(&self, args: &[Expr], word: &str, out: &mut String) -> Option<()> {
        out.push('(');
        self.list(args, word, out)?;
        out.push(')');
        Some(())
    }

    fn list(&self, args: &[Expr], between: &str, out: &mut String) -> Option<()> {
        for (at, arg) in args.iter().enumerate() {
            if at > 0 {
                out.push_str(between);
            }
            self.write(arg, out)?;
        }
        Some(())
    }

    fn column(&self, entry: usize, column: i16, levels_up: usize) -> Option<String> {
        let mut names = self.names;
        for _ in 0..levels_up {
            names = names.around.as_deref()?;
        }
        let of = names.query.range_table.get(entry)?;
        let name = match column {
            number if number > 0 => &of.columns.get(usize::try_from(number - 1).ok()?)?.name,
            _ => return None,
        };
        let is_alone = names.query.range_table.len() == 1
            && levels_up == 0
            && names.around.is_none()
            && !matches!(of.kind, RteKind::Subquery(_));
        if is_alone || (levels_up == 0 && self.own == Some(entry)) {
            return Some(quote_ident(name));
        }
        Some(format!("{}.{}", quote_ident(&of.alias), quote_ident(name)))
    }
}

fn type_name(ty: TypeRef) -> String {
    format_type(&CatalogSnapshot::default(), &[], ty)
}

/// A constant as PostgreSQL shows it: with its type where a reader could not tell.
fn literal(value: &Datum, ty: TypeRef) -> Option<String> {
    let settings = FormatSettings::default();
    let eval = EvalContext {
        settings: &settings,
        transaction_timestamp: 0,
        statement_timestamp: 0,
        host: &aegis_types::context::NoHost,
    };
    let name = type_name(ty);
    if value.is_null() {
        return Some(format!("NULL::{name}"));
    }
    let mut text = Vec::new();
    io::text_out(ty.oid, value, &eval, &mut text);
    let text = String::from_utf8(text).ok()?;
    Some(match ty.oid {
        type_oid::INT4 if !text.starts_with('-') => text,
        type_oid::NUMERIC if text.starts_with(|c: char| c.is_ascii_digit()) => text,
        type_oid::BOOL => (if text == "t" { "true" } else { "false" }).to_owned(),
        _ => format!("'{}'::{name}", text.replace('\'', "''")),
    })
}
