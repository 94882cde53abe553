//! Words, signs and quoted values, and where they stand.

use std::fmt::Display;
use std::str::FromStr;

use super::{InvalidExpression, Result};

/// Reads a text from left to right.
pub(super) struct Cursor<'a> {
    text: &'a str,
    /// Where it reads on, in bytes.
    pub(super) at: usize,
}

/// Whether it may stand in a word; other characters need quotes.
pub(in crate::targeting) fn is_word(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !",;()=!<>\"".contains(c)
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Goes to the next character that is no space and shows it.
    pub(super) fn next(&mut self) -> Option<char> {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        rest.chars().next()
    }

    pub(super) fn take(&mut self, sign: &str) -> bool {
        self.next();
        let there = self.text[self.at..].starts_with(sign);
        if there {
            self.at += sign.len();
        }
        there
    }

    pub(super) fn expect(&mut self, sign: &str, expected: &'static str) -> Result<()> {
        if self.take(sign) {
            Ok(())
        } else {
            Err(self.unexpected(self.at, expected))
        }
    }

    pub(super) fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    pub(super) fn read<T: FromStr<Err: Display>>(&self, start: usize, word: &str) -> Result<T> {
        word.parse()
            .map_err(|why: T::Err| InvalidExpression::Refused {
                column: self.column(start),
                why: why.to_string(),
            })
    }

    /// `"…"`, where `\` stands before a quote or another `\`.
    pub(super) fn quoted(&mut self) -> Result<String> {
        let mut value = String::new();
        let mut escaped = false;
        let start = self.at + 1;
        for (offset, c) in self.text[start..].char_indices() {
            let at = start + offset;
            match c {
                '"' | '\\' if escaped => {
                    value.push(c);
                    escaped = false;
                }
                _ if escaped => return Err(self.unexpected(at, "`\\` or `\"` after `\\`")),
                '\\' => escaped = true,
                '"' => {
                    self.at = at + 1;
                    return Ok(value);
                }
                _ if c.is_control() => {
                    return Err(self.unexpected(at, "no control characters in a value"));
                }
                _ => value.push(c),
            }
        }
        Err(self.unexpected(self.text.len(), "`\"` after the value"))
    }

    pub(super) fn column(&self, at: usize) -> usize {
        self.text[..at].chars().count() + 1
    }

    pub(super) fn unexpected(&self, at: usize, expected: &'static str) -> InvalidExpression {
        const LONGEST: usize = 40;
        let rest = &self.text[at..];
        let word: String = rest
            .chars()
            .take_while(|&c| is_word(c))
            .take(LONGEST)
            .collect();
        let found = match rest.chars().next() {
            None => "the end".to_owned(),
            Some(c) if c.is_control() => format!("`{}`", c.escape_debug()),
            Some(c) if word.is_empty() => format!("`{c}`"),
            Some(_) => format!("`{word}`"),
        };
        InvalidExpression::Unexpected {
            column: self.column(at),
            expected,
            found,
        }
    }
}
