//! Reports which share of a corpus's statements parse.
//!
//! `cargo run -p aegis-sql --example parse_corpus -- FILES` splits sqllogictest files (`.slt`,
//! `.test`) by record and others by semicolon, prints each error, and ends with the share for each
//! file. Records that expect an error are left out. With `-` it reads statements that are separated
//! by NUL from its input and answers a line for each, `ok` or code, position and message, to be
//! compared with another parser's.

use std::io::{Read, Write};
use std::process::ExitCode;

use aegis_sql::parser::{TokenKind, TokenStream, parse};

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let outcome = if files.first().is_some_and(|file| file == "-") {
        answer()
    } else {
        files.iter().try_for_each(|file| report(file))
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers a line for each statement on standard input.
fn answer() -> std::io::Result<()> {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let mut output = std::io::BufWriter::new(std::io::stdout());
    for statement in input.split_terminator('\0') {
        match parse(statement) {
            Ok(_) => writeln!(output, "ok")?,
            Err(error) => {
                let fields = error.fields();
                let position = fields.position.map_or(0, |bytes| {
                    let before = statement.get(..bytes as usize).unwrap_or(statement);
                    before.chars().count() + 1
                });
                let message = fields.message.replace('\n', "\\n");
                writeln!(output, "{}\t{position}\t{message}", fields.code.code())?;
            }
        }
    }
    output.flush()
}

/// Prints the errors of a file and its share.
fn report(file: &str) -> std::io::Result<()> {
    let text = std::fs::read_to_string(file)?;
    let statements = if file.ends_with(".slt") || file.ends_with(".test") {
        records(&text)
    } else {
        by_semicolon(&text)
    };
    let mut output = std::io::stdout().lock();
    let mut parsed = 0;
    for statement in &statements {
        match parse(statement) {
            Ok(_) => parsed += 1,
            Err(error) => writeln!(output, "{error}\n    {statement}")?,
        }
    }
    writeln!(output, "{file}: {parsed} of {}", statements.len())
}

/// The statements of a sqllogictest file that are expected to succeed.
fn records(text: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.trim_end();
        let wanted = line.starts_with("query") || line.starts_with("statement ok");
        if !wanted && !line.starts_with("statement") {
            continue;
        }
        let mut statement = String::new();
        while let Some(next) = lines.next_if(|next| !next.trim().is_empty() && *next != "----") {
            statement.push_str(next);
            statement.push('\n');
        }
        if wanted {
            statements.push(statement);
        }
    }
    statements
}

/// The statements of a script, cut at semicolons outside parentheses.
fn by_semicolon(text: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let Ok(mut tokens) = TokenStream::new(text, &mut Vec::new()) else {
        return statements;
    };
    let mut begin = 0;
    let mut depth = 0_i32;
    loop {
        match tokens.peek() {
            TokenKind::Char('(') => depth += 1,
            TokenKind::Char(')') => depth -= 1,
            TokenKind::End | TokenKind::Char(';') if depth <= 0 || tokens.at_end() => {
                let end = tokens.location() as usize;
                let statement = text[begin..end].trim();
                if !statement.is_empty() {
                    statements.push(statement.to_owned());
                }
                if tokens.at_end() {
                    return statements;
                }
                begin = end + 1;
            }
            _ => {}
        }
        tokens.skip();
    }
}
