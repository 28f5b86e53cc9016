//! The cursor that every production reads from, and the bounds on how deep they go.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::keyword::Keyword;
use super::lexer::{self, Token, TokenKind};

/// How deeply productions may nest. Parentheses take two levels, subqueries three or four.
pub const NESTING_MAX: u32 = 1_000;

/// How many operators in one chain, such as `1 + 1 + …`, may lean left upon each other. `AND` and
/// `OR` are flat and know no such bound.
///
/// Who walks such a tree recursively needs a frame for each, or more stack. A test copies, compares
/// and drops this depth on a stack of 2 MiB, the size of a worker's. PostgreSQL itself takes fewer
/// than 5,000.
pub const CHAIN_MAX: u32 = 6_000;

/// How many casts, tests, set operations or joins in one chain may lean left upon each other.
pub const NODE_CHAIN_MAX: u32 = 1_000;

/// Less stack than this, in bytes, and a production continues on a new segment. No production needs
/// as much between two levels.
const STACK_RESERVE_BYTES: usize = 64 * 1024;

/// The size of a new segment, in bytes.
const STACK_SEGMENT_BYTES: usize = 1024 * 1024;

/// The tokens of a text and where among them the parser is.
#[derive(Debug)]
pub struct TokenStream<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    index: usize,
    depth: u32,
}

impl<'a> TokenStream<'a> {
    /// Cuts a text into tokens; identifiers that had to be cut are noted in `notices`.
    /// `54000` for a text of 4 GiB or more.
    pub fn new(text: &'a str, notices: &mut Vec<SqlError>) -> SqlResult<Self> {
        if u32::try_from(text.len()).is_err() {
            return Err(SqlError::new(SqlState::ProgramLimitExceeded, "query string is too long"));
        }
        let mut cut = lexer::tokenize(text);
        notices.append(&mut cut.notices);
        Ok(Self { text, tokens: cut.tokens, index: 0, depth: 0 })
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The current token.
    #[must_use]
    pub fn peek(&self) -> &TokenKind {
        &self.tokens[self.index].kind
    }

    /// The token so many places ahead; 0 is the current one.
    #[must_use]
    pub fn peek_ahead(&self, ahead: usize) -> &TokenKind {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.index + ahead).min(last)].kind
    }

    /// The keyword that the current token is, if it is one.
    #[must_use]
    pub fn keyword(&self) -> Option<Keyword> {
        self.keyword_ahead(0)
    }

    /// The keyword so many places ahead, if there is one.
    #[must_use]
    pub fn keyword_ahead(&self, ahead: usize) -> Option<Keyword> {
        match self.peek_ahead(ahead) {
            TokenKind::Keyword(keyword) => Some(*keyword),
            _ => None,
        }
    }

    /// Where the current token begins, in bytes.
    #[must_use]
    pub fn location(&self) -> u32 {
        self.tokens[self.index].start
    }

    /// Where the token before the current one ends, in bytes.
    #[must_use]
    pub fn previous_end(&self) -> u32 {
        match self.index.checked_sub(1) {
            Some(previous) => self.tokens[previous].end,
            None => 0,
        }
    }

    /// Steps over the current token and gives it; the end is never stepped over. The stream keeps
    /// its place but not its text: no production steps back.
    pub fn advance(&mut self) -> TokenKind {
        if self.index + 1 >= self.tokens.len() {
            return TokenKind::End;
        }
        let token = &mut self.tokens[self.index];
        self.index += 1;
        match &token.kind {
            TokenKind::Ident(_)
            | TokenKind::String(_)
            | TokenKind::BitString(_)
            | TokenKind::Float(_)
            | TokenKind::Op(_) => std::mem::replace(&mut token.kind, TokenKind::Char(' ')),
            kind => kind.clone(),
        }
    }

    /// Steps over the current token.
    pub fn skip(&mut self) {
        if self.index + 1 < self.tokens.len() {
            self.index += 1;
        }
    }

    /// Whether the text ends here.
    #[must_use]
    pub fn at_end(&self) -> bool {
        matches!(self.peek(), TokenKind::End)
    }

    /// Whether the current token is this keyword.
    #[must_use]
    pub fn at(&self, keyword: Keyword) -> bool {
        matches!(self.peek(), TokenKind::Keyword(found) if *found == keyword)
    }

    /// Whether the current token is one of these keywords.
    #[must_use]
    pub fn at_any(&self, keywords: &[Keyword]) -> bool {
        matches!(self.peek(), TokenKind::Keyword(found) if keywords.contains(found))
    }

    /// Whether the token so many places ahead is this keyword.
    #[must_use]
    pub fn at_ahead(&self, ahead: usize, keyword: Keyword) -> bool {
        matches!(self.peek_ahead(ahead), TokenKind::Keyword(found) if *found == keyword)
    }

    /// Whether these keywords come next.
    #[must_use]
    pub fn at_sequence(&self, keywords: &[Keyword]) -> bool {
        keywords.iter().enumerate().all(|(ahead, keyword)| self.at_ahead(ahead, *keyword))
    }

    /// Whether the current token is this character.
    #[must_use]
    pub fn at_char(&self, character: char) -> bool {
        self.char_ahead(0, character)
    }

    /// Whether the token so many places ahead is this character.
    #[must_use]
    pub fn char_ahead(&self, ahead: usize, character: char) -> bool {
        matches!(self.peek_ahead(ahead), TokenKind::Char(found) if *found == character)
    }

    /// Steps over this keyword if it comes next.
    pub fn eat(&mut self, keyword: Keyword) -> bool {
        let found = self.at(keyword);
        if found {
            self.skip();
        }
        found
    }

    /// Steps over these keywords if all of them come next.
    pub fn eat_sequence(&mut self, keywords: &[Keyword]) -> bool {
        let found = self.at_sequence(keywords);
        if found {
            self.index += keywords.len();
        }
        found
    }

    /// Steps over this character if it comes next.
    pub fn eat_char(&mut self, character: char) -> bool {
        let found = self.at_char(character);
        if found {
            self.skip();
        }
        found
    }

    /// Steps over this keyword, or fails.
    pub fn expect(&mut self, keyword: Keyword) -> SqlResult<()> {
        if self.eat(keyword) { Ok(()) } else { Err(self.syntax_error()) }
    }

    /// Steps over these keywords, or fails at the first that is missing.
    pub fn expect_sequence(&mut self, keywords: &[Keyword]) -> SqlResult<()> {
        keywords.iter().try_for_each(|keyword| self.expect(*keyword))
    }

    /// Steps over this character, or fails.
    pub fn expect_char(&mut self, character: char) -> SqlResult<()> {
        if self.eat_char(character) { Ok(()) } else { Err(self.syntax_error()) }
    }

    /// Fails unless the text ends here.
    pub fn expect_end(&self) -> SqlResult<()> {
        if self.at_end() { Ok(()) } else { Err(self.syntax_error()) }
    }

    /// `syntax error` at the current token; the lexer's own error if it could not cut one there.
    #[must_use]
    pub fn syntax_error(&self) -> SqlError {
        self.error_here("syntax error")
    }

    /// `syntax error` so many tokens ahead.
    #[must_use]
    pub fn syntax_error_ahead(&self, ahead: usize) -> SqlError {
        let last = self.tokens.len() - 1;
        self.error_at_index((self.index + ahead).min(last), "syntax error")
    }

    /// An error of the grammar in the words `message at or near "token"`.
    #[must_use]
    pub fn error_here(&self, message: &str) -> SqlError {
        self.error_at_index(self.index, message)
    }

    /// [`Self::error_here`], but at the token before the current one.
    #[must_use]
    pub(super) fn error_before(&self, message: &str) -> SqlError {
        self.error_at_index(self.index.saturating_sub(1), message)
    }

    fn error_at_index(&self, index: usize, message: &str) -> SqlError {
        let token = &self.tokens[index];
        if let TokenKind::Error(error) = &token.kind {
            return SqlError::clone(error);
        }
        let message = match token.kind {
            TokenKind::End => format!("{message} at end of input"),
            _ => format!("{message} at or near \"{}\"", self.slice(token)),
        };
        SqlError::new(SqlState::SyntaxError, message).at(token.start)
    }

    fn slice(&self, token: &Token) -> &'a str {
        &self.text[token.start as usize..token.end as usize]
    }

    /// Runs a production one level deeper. `54001` beyond [`NESTING_MAX`].
    pub fn nested<T>(
        &mut self,
        production: impl FnOnce(&mut Self) -> SqlResult<T>,
    ) -> SqlResult<T> {
        if self.depth >= NESTING_MAX {
            return Err(too_deep());
        }
        self.depth += 1;
        let result =
            stacker::maybe_grow(STACK_RESERVE_BYTES, STACK_SEGMENT_BYTES, || production(self));
        self.depth -= 1;
        result
    }

    /// A list of one or more, separated by commas.
    pub fn comma_list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> SqlResult<T>,
    ) -> SqlResult<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat_char(',') {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// [`Self::comma_list`] in parentheses.
    pub fn parenthesized_list<T>(
        &mut self,
        item: impl FnMut(&mut Self) -> SqlResult<T>,
    ) -> SqlResult<Vec<T>> {
        self.expect_char('(')?;
        let items = self.comma_list(item)?;
        self.expect_char(')')?;
        Ok(items)
    }
}

/// PostgreSQL's words for a statement whose analysis would exhaust the stack.
pub(super) fn too_deep() -> SqlError {
    SqlError::new(SqlState::StatementTooComplex, "stack depth limit exceeded").hint(
        "Increase the configuration parameter \"max_stack_depth\" (currently 2048kB), after \
         ensuring the platform's stack depth limit is adequate.",
    )
}
