//! Reads expressions, in one pass and by hand, so that a refusal can say where and what was expected.

mod cursor;

use std::collections::BTreeSet;

use self::cursor::Cursor;
use super::expression::{Sort, Subject};
use super::measure::{Comparison, Scale};
use super::requirement::{Requirement, Test};
use crate::labels::{LabelValue, is_dns_subdomain};

pub(super) use self::cursor::is_word;

/// The longest expression, in bytes.
pub const MAX_TEXT: usize = 4096;
/// The most requirements in an expression.
pub const MAX_REQUIREMENTS: usize = 64;
/// The most values in all requirements of an expression.
pub const MAX_VALUES: usize = 256;

/// Why a text is no expression. Columns are characters, from 1.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidExpression {
    /// Nothing is asked: that would hold for everything.
    #[error("expected something like `{0}`, found nothing")]
    Empty(&'static str),
    /// Too long to be read, or too long once it is written in its one form.
    #[error("an expression has at most {MAX_TEXT} bytes")]
    TooLong,
    /// Something else should stand there.
    #[error("column {column}: expected {expected}, found {found}")]
    Unexpected {
        /// Where.
        column: usize,
        /// What should stand there.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// It stands at the right place but has a wrong form.
    #[error("column {column}: {why}")]
    Refused {
        /// Where.
        column: usize,
        /// What its form should be.
        why: String,
    },
    /// Too many requirements.
    #[error("column {column}: an expression has at most {MAX_REQUIREMENTS} requirements")]
    TooManyRequirements {
        /// Of the first one too many.
        column: usize,
    },
    /// Too many values.
    #[error("column {column}: an expression has at most {MAX_VALUES} values")]
    TooManyValues {
        /// Of the first one too many.
        column: usize,
    },
}

type Result<T, E = InvalidExpression> = std::result::Result<T, E>;

/// The requirements of a text, as written.
pub(super) fn requirements<S: Subject>(text: &str) -> Result<Vec<Requirement<S>>> {
    if text.len() > MAX_TEXT {
        return Err(InvalidExpression::TooLong);
    }
    let mut parser = Parser {
        cursor: Cursor::new(text),
        values: 0,
    };
    if parser.cursor.next().is_none() {
        return Err(InvalidExpression::Empty(S::EXAMPLE));
    }
    let mut requirements = Vec::new();
    loop {
        if requirements.len() == MAX_REQUIREMENTS {
            return Err(InvalidExpression::TooManyRequirements {
                column: parser.cursor.column(parser.cursor.at),
            });
        }
        requirements.push(parser.requirement()?);
        if parser.cursor.next().is_none() {
            return Ok(requirements);
        }
        parser.cursor.expect(",", "`,` or the end")?;
        parser.cursor.next();
    }
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    /// How many values it has read.
    values: usize,
}

enum Operator {
    Compare(Comparison),
    In,
    NotIn,
    StartsWith,
    Has,
}

impl Parser<'_> {
    fn requirement<S: Subject>(&mut self) -> Result<Requirement<S>> {
        if self.cursor.take("!") {
            let (start, key) = self.key::<S>()?;
            return match S::sort(&key) {
                Sort::Set => Err(self.cursor.unexpected(start, "a key that is no set")),
                _ => Ok(Requirement {
                    key,
                    test: Test::Missing,
                }),
            };
        }
        self.cursor.next();
        let start = self.cursor.at;
        if self.cursor.word() == "version" && self.cursor.take("(") {
            return self.version(start);
        }
        self.cursor.at = start;
        let (_, key) = self.key::<S>()?;
        let test = self.test(S::sort(&key))?;
        Ok(Requirement { key, test })
    }

    /// What follows `version(`.
    fn version<S: Subject>(&mut self, start: usize) -> Result<Requirement<S>> {
        let (_, key) = self.key::<S>()?;
        if !matches!(S::sort(&key), Sort::Text | Sort::Version) {
            return Err(self.cursor.unexpected(start, "a key that may be compared"));
        }
        self.cursor.expect(")", "`)`")?;
        self.cursor.next();
        let start = self.cursor.at;
        match self.operator() {
            Some(Operator::Compare(comparison)) => Ok(Requirement {
                key,
                test: self.measure(Sort::Version, Scale::Version, comparison)?,
            }),
            _ => Err(self
                .cursor
                .unexpected(start, "`=`, `!=`, `<`, `<=`, `>` or `>=`")),
        }
    }

    fn key<S: Subject>(&mut self) -> Result<(usize, S::Key)> {
        self.cursor.next();
        let start = self.cursor.at;
        match self.cursor.word() {
            "" => Err(self.cursor.unexpected(start, "a key")),
            word => Ok((start, self.cursor.read(start, word)?)),
        }
    }

    /// What follows a key.
    fn test(&mut self, sort: Sort) -> Result<Test> {
        if matches!(self.cursor.next(), None | Some(',')) && sort != Sort::Set {
            return Ok(Test::Exists);
        }
        let start = self.cursor.at;
        match (sort, self.operator()) {
            (Sort::Label | Sort::Text, Some(Operator::Compare(Comparison::Equal))) => {
                Ok(Test::In([self.value(sort)?].into()))
            }
            (Sort::Label | Sort::Text, Some(Operator::Compare(Comparison::Other))) => {
                Ok(Test::NotIn([self.value(sort)?].into()))
            }
            (Sort::Label | Sort::Text, Some(Operator::In)) => Ok(Test::In(self.values(sort)?)),
            (Sort::Label | Sort::Text, Some(Operator::NotIn)) => {
                Ok(Test::NotIn(self.values(sort)?))
            }
            (Sort::Text, Some(Operator::Compare(comparison))) => {
                self.measure(sort, Scale::Number, comparison)
            }
            (Sort::Version, Some(Operator::Compare(comparison))) => {
                self.measure(sort, Scale::Version, comparison)
            }
            (Sort::Text, Some(Operator::StartsWith)) => {
                Ok(Test::StartsWith(self.some_value(sort, "a prefix")?.1))
            }
            (Sort::Set, Some(Operator::Has)) => self.kind(),
            _ => Err(self.cursor.unexpected(
                start,
                match sort {
                    Sort::Label => "`=`, `!=`, `in`, `notin`, `,` or the end",
                    Sort::Text => {
                        "`=`, `!=`, `in`, `notin`, `<`, `<=`, `>`, `>=`, `startswith`, `,` or the end"
                    }
                    Sort::Version => "`=`, `!=`, `<`, `<=`, `>`, `>=`, `,` or the end",
                    Sort::Set => "`has`",
                },
            )),
        }
    }

    fn operator(&mut self) -> Option<Operator> {
        if let Some((_, comparison)) = Comparison::SIGNS
            .iter()
            .find(|(sign, _)| self.cursor.take(sign))
        {
            return Some(Operator::Compare(*comparison));
        }
        match self.cursor.word() {
            "in" => Some(Operator::In),
            "notin" => Some(Operator::NotIn),
            "startswith" => Some(Operator::StartsWith),
            "has" => Some(Operator::Has),
            _ => None,
        }
    }

    fn measure(&mut self, sort: Sort, scale: Scale, comparison: Comparison) -> Result<Test> {
        let expected = match scale {
            Scale::Number => "a number such as `64` or `0.5`",
            Scale::Version => "a version such as `1.33` or `v2.0.0-rc.1`",
        };
        let (start, operand) = self.some_value(sort, expected)?;
        if scale.reads(&operand) {
            Ok(Test::Measure(scale, comparison, operand))
        } else {
            Err(self.cursor.unexpected(start, expected))
        }
    }

    fn kind(&mut self) -> Result<Test> {
        const EXPECTED: &str = "a kind such as `apps/Deployment` or, of the core group, `Pod`";
        let (start, member) = self.some_value(Sort::Set, EXPECTED)?;
        let (group, kind) = match member.split_once('/') {
            Some((group, kind)) => (Some(group), kind),
            None => (None, member.as_str()),
        };
        let well_formed = group.is_none_or(is_dns_subdomain)
            && (1..=63).contains(&kind.len())
            && kind.bytes().all(|b| b.is_ascii_alphanumeric());
        if well_formed {
            Ok(Test::Has(member))
        } else {
            Err(self.cursor.unexpected(start, EXPECTED))
        }
    }

    fn values(&mut self, sort: Sort) -> Result<BTreeSet<String>> {
        self.cursor.expect("(", "`(`")?;
        if self.cursor.next() == Some(')') {
            return Err(self.cursor.unexpected(self.cursor.at, "a value"));
        }
        let mut values = BTreeSet::new();
        loop {
            values.insert(self.value(sort)?);
            if !self.cursor.take(",") {
                self.cursor.expect(")", "`,` or `)`")?;
                return Ok(values);
            }
        }
    }

    fn some_value(&mut self, sort: Sort, expected: &'static str) -> Result<(usize, String)> {
        self.cursor.next();
        let start = self.cursor.at;
        match self.value(sort)? {
            value if value.is_empty() => Err(self.cursor.unexpected(start, expected)),
            value => Ok((start, value)),
        }
    }

    /// A value; the empty one is what stands where nothing is written, as in Kubernetes.
    fn value(&mut self, sort: Sort) -> Result<String> {
        let next = self.cursor.next();
        let start = self.cursor.at;
        if self.values == MAX_VALUES {
            return Err(InvalidExpression::TooManyValues {
                column: self.cursor.column(start),
            });
        }
        self.values += 1;
        match (sort, next) {
            (Sort::Label, _) => {
                let word = self.cursor.word();
                self.cursor.read::<LabelValue>(start, word)?;
                Ok(word.to_owned())
            }
            (_, Some('"')) => self.cursor.quoted(),
            _ => Ok(self.cursor.word().to_owned()),
        }
    }
}
