//! Cuts a file of SQL into statements at its semicolons, as psql does: not inside quotes, dollar
//! quotes, comments or parentheses. Lines that begin with a backslash are psql's own and left out.

/// The statements of a script, without their semicolons.
#[must_use]
pub fn statements(script: &str) -> Vec<String> {
    let text: String = script
        .lines()
        .filter(|line| !line.starts_with('\\'))
        .flat_map(|line| [line, "\n"])
        .collect();
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let (mut start, mut at, mut depth) = (0, 0, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b';' if depth == 0 => {
                push(&mut found, &text[start..at]);
                start = at + 1;
                at += 1;
            }
            quote @ (b'\'' | b'"') => at = after(bytes, at + 1, &[quote]),
            b'-' if bytes.get(at + 1) == Some(&b'-') => at = after(bytes, at, b"\n"),
            b'/' if bytes.get(at + 1) == Some(&b'*') => at = after(bytes, at + 2, b"*/"),
            b'$' => {
                let end = dollar_tag(&bytes[at..]).unwrap_or(0);
                at = if end == 0 { at + 1 } else { after(bytes, at + end, &bytes[at..at + end]) };
            }
            byte => {
                depth = match byte {
                    b'(' => depth + 1,
                    b')' => depth.saturating_sub(1),
                    _ => depth,
                };
                at += 1;
            }
        }
    }
    push(&mut found, &text[start..]);
    found
}

fn push(found: &mut Vec<String>, statement: &str) {
    let statement = statement.trim();
    if !statement.is_empty() {
        found.push(statement.to_owned());
    }
}

/// Where the text behind the next `end` begins.
fn after(bytes: &[u8], from: usize, end: &[u8]) -> usize {
    bytes
        .get(from..)
        .and_then(|rest| rest.windows(end.len()).position(|window| window == end))
        .map_or(bytes.len(), |found| from + found + end.len())
}

/// The length of `$tag$` if the text begins with one.
fn dollar_tag(bytes: &[u8]) -> Option<usize> {
    let end = bytes[1..].iter().position(|byte| *byte == b'$')? + 1;
    let tag = &bytes[1..end];
    let is_tag = tag.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && !tag.first().is_some_and(u8::is_ascii_digit);
    is_tag.then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn semicolons_in_quotes_and_comments_do_not_end_a_statement() {
        let script = "select ';'; -- a;b\nselect $x$;$x$ /* ; */;\n\\echo hi;\nselect \"a;b\"";
        assert_eq!(
            statements(script),
            ["select ';'", "-- a;b\nselect $x$;$x$ /* ; */", "select \"a;b\""]
        );
    }
}
