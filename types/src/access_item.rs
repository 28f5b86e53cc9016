//! `aclitem`: `grantee=privileges/grantor`, kept as text.

use crate::context::EvalContext;
use crate::error::{SqlError, SqlResult};
use crate::sqlstate::SqlState;
use crate::type_oid as t;

/// The letters of privileges in the order in which they are shown.
const LETTERS: &str = "arwdDxtXUCTcsA";

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::InvalidTextRepresentation, message)
}

/// Reads an item: the form in which it is shown.
///
/// # Errors
/// 22P02, 42704 for a role that is not there, 42622 for a name that is too long.
pub(crate) fn read(text: &str, context: &EvalContext<'_>) -> SqlResult<String> {
    let mut rest = text;
    let mut grantee = name(&mut rest)?;
    if !rest.trim_start().starts_with('=') {
        if grantee != "group" && grantee != "user" {
            return Err(invalid(format!("unrecognized key word: \"{grantee}\""))
                .hint("ACL key word must be \"group\" or \"user\"."));
        }
        grantee = name(&mut rest)?;
        if grantee.is_empty() {
            return Err(invalid("missing name".to_owned())
                .hint("A name must follow the \"group\" or \"user\" key word."));
        }
    }
    let Some(behind) = rest.trim_start().strip_prefix('=') else {
        return Err(invalid("missing \"=\" sign".to_owned()));
    };
    let (mut privileges, mut grantable) = (Vec::new(), Vec::new());
    let mut end = behind.len();
    for (at, letter) in behind.char_indices() {
        match letter {
            '*' => grantable.extend(privileges.last().copied()),
            letter if LETTERS.contains(letter) => privileges.push(letter),
            letter if letter == '/' || letter.is_ascii_whitespace() => {
                end = at;
                break;
            }
            _ => {
                return Err(invalid(format!(
                    "invalid mode character: must be one of \"{LETTERS}\""
                )));
            }
        }
    }
    rest = &behind[end..];
    let grantor = match rest.trim_start().strip_prefix('/') {
        Some(behind) => {
            rest = behind;
            let grantor = name(&mut rest)?;
            if grantor.is_empty() {
                return Err(invalid("a name must follow the \"/\" sign".to_owned()));
            }
            grantor
        }
        None => return Err(SqlError::unsupported("an aclitem without a grantor")),
    };
    if !rest.trim().is_empty() {
        return Err(invalid("extra garbage at the end of the ACL specification".to_owned()));
    }
    for role in [&grantee, &grantor] {
        if !role.is_empty() {
            context.host.reg_in(t::REGROLE, &crate::functions::quote_ident(role))?;
        }
    }
    let mut out = shown(&grantee);
    out.push('=');
    for letter in LETTERS.chars().filter(|letter| privileges.contains(letter)) {
        out.push(letter);
        if grantable.contains(&letter) {
            out.push('*');
        }
    }
    out.push('/');
    out.push_str(&shown(&grantor));
    Ok(out)
}

/// A name: letters, digits and underscores, or anything in double quotes.
fn name(rest: &mut &str) -> SqlResult<String> {
    let mut found = String::new();
    let text = rest.trim_start();
    let mut quoted = false;
    let mut characters = text.char_indices().peekable();
    let mut end = text.len();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' if quoted && characters.peek().is_some_and(|(_, next)| *next == '"') => {
                characters.next();
                found.push('"');
            }
            '"' => quoted = !quoted,
            character if quoted || character.is_alphanumeric() || character == '_' => {
                found.push(character);
            }
            _ => {
                end = at;
                break;
            }
        }
    }
    if found.len() > crate::text::NAME_LENGTH_MAX {
        return Err(SqlError::new(SqlState::NameTooLong, "identifier too long")
            .detail("Identifier must be less than 64 characters."));
    }
    *rest = &text[end..];
    Ok(found)
}

fn shown(role: &str) -> String {
    if role.chars().all(|character| character.is_alphanumeric() || character == '_') {
        return role.to_owned();
    }
    format!("\"{}\"", role.replace('"', "\"\""))
}
