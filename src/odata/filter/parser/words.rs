//! Where the parser is in the text, and what it says when it cannot go on.

use super::{
    super::{
        super::error::{Error, shown},
        lexer::{Token, fault},
    },
    Parser,
};

impl<'t> Parser<'t> {
    /// The word that comes next.
    pub(super) fn peek(&self) -> Option<&'t Token<'t>> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    /// Whether this word stands so many words ahead.
    pub(super) fn is(&self, ahead: usize, token: &Token<'_>) -> bool {
        self.tokens.get(self.at + ahead).is_some_and(|(found, _)| found == token)
    }

    /// The same for a keyword, in any case.
    pub(super) fn is_word(&self, ahead: usize, keyword: &str) -> bool {
        matches!(self.tokens.get(self.at + ahead), Some((Token::Word(word), _)) if word.eq_ignore_ascii_case(keyword))
    }

    /// Takes a name or keyword.
    pub(super) fn word(&mut self, what: &str) -> Result<&'t str, Error> {
        match self.peek() {
            Some(Token::Word(word)) => {
                self.at += 1;
                Ok(word)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// Takes this word.
    pub(super) fn expect(&mut self, token: &Token<'_>, what: &str) -> Result<(), Error> {
        if !self.is(0, token) {
            return Err(self.unexpected(what));
        }
        self.at += 1;
        Ok(())
    }

    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |(_, place)| *place)
    }

    /// What is wrong with what comes next.
    pub(super) fn fault(&self, what: &str) -> Error {
        fault(self.place(), what)
    }

    /// The refusal of what comes next, where something else should.
    pub(super) fn unexpected(&self, wanted: &str) -> Error {
        match &self.text[self.place()..] {
            "" => self.fault(&format!("it ends where {wanted} should be")),
            found => self.fault(&format!("'{}' stands where {wanted} should be", shown(found))),
        }
    }

    /// The refusal of what OData has and this server does not.
    pub(super) fn not_offered(&self, what: &str) -> Error {
        let (place, found) = (self.place(), &self.text[self.place()..]);
        let beside = if found.is_empty() { String::new() } else { format!(" at '{}'", shown(found)) };
        Error::not_implemented(format!("Unsupported filter clause: {what}{beside} is not offered (byte {place} of $filter)."))
    }
}
