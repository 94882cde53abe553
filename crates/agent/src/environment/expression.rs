//! Conditions in the Common Expression Language (CEL), with bounds on what they may cost.

mod checked;
mod facts;

use std::sync::Arc;

use cel::{Context, Env, ExecutionError, Program, Value};
use serde::{Deserialize, Deserializer};

pub(super) use facts::Facts;

/// So long may an expression be, in bytes.
const LONGEST: usize = 2_000;
/// So deep may its brackets and choices be nested.
const DEEPEST: usize = 24;
/// The parser takes much stack for every bracket.
const PARSER_STACK: usize = 64 * 1024 * 1024;
/// So often may the innermost part of an expression be evaluated for one object.
const ROUNDS: usize = 1_000_000;

/// A condition that was compiled.
pub(super) struct Expression {
    env: Arc<Env>,
    program: Program,
    /// How deep its loops are nested.
    loops: u32,
}

impl Expression {
    /// Compiles a condition; or says what is wrong with it.
    fn compile(source: &str) -> Result<Self, String> {
        if source.len() > LONGEST {
            return Err(format!(
                "the expression has {} bytes, more than {LONGEST}: make two rules of it",
                source.len()
            ));
        }
        if nesting(source) > DEEPEST {
            return Err(format!(
                "the expression is nested more than {DEEPEST} deep: make two rules of it"
            ));
        }
        let env = Arc::new(Env::stdlib());
        let program = std::thread::scope(|scope| {
            let parser = std::thread::Builder::new().stack_size(PARSER_STACK);
            let parsed = parser.spawn_scoped(scope, || env.compile(source));
            let parsed = parsed.map_err(|error| error.to_string())?.join();
            let parsed = parsed.map_err(|_| "the expression cannot be read".to_owned())?;
            parsed.map_err(|refused| match refused.errors.last() {
                Some(error) => {
                    let (line, column) = error.pos;
                    format!(
                        "the expression cannot be read, at its line {line}, column {column}: {}",
                        error.msg
                    )
                }
                None => "the expression cannot be read".to_owned(),
            })
        })?;
        let loops = checked::loops(program.expression())?;
        Ok(Self {
            env,
            program,
            loops,
        })
    }

    /// Whether it is true of an object; or why that cannot be told.
    pub(super) fn holds(&self, facts: &Facts<'_>) -> Result<bool, String> {
        let rounds = facts.longest().max(1).checked_pow(self.loops);
        if rounds.is_none_or(|rounds| rounds > ROUNDS) {
            return Err(format!(
                "lists of {} entries are too long for {} loops inside each other",
                facts.longest(),
                self.loops
            ));
        }
        let mut context = Context::with_env(self.env.clone());
        facts.give(&mut context);
        match self.program.execute(&context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!(
                "the expression gives {}, neither true nor false",
                other.type_of()
            )),
            Err(error) => Err(said(&error, &self.program.source_info().source)),
        }
    }
}

/// Why an expression failed. Most of the library's own words quote values, which may be secret.
fn said(error: &ExecutionError, source: &str) -> String {
    match error {
        // A key may also be computed from a value.
        ExecutionError::NoSuchKey(field) if source.contains(field.as_str()) => {
            format!(
                "the object has no field `{field}`; ask `has(…)` first, if it need not be there"
            )
        }
        ExecutionError::UndeclaredReference(name) => format!("nothing is called `{name}`"),
        ExecutionError::NoSuchOverload(overload) => overload.to_string(),
        ExecutionError::IndexOutOfBounds(_) => "a list has no entry of this number".to_owned(),
        ExecutionError::FunctionError { function, .. } => {
            format!("`{function}` cannot be done with this")
        }
        ExecutionError::UnsupportedBinaryOperator(operator, ..) => {
            format!("`{operator}` cannot be done with values of these types")
        }
        ExecutionError::ValuesNotComparable(..) => {
            "values of these types cannot be compared".to_owned()
        }
        _ => "the expression does not fit the object".to_owned(),
    }
}

/// How deep brackets and choices are nested, at most; those in texts count, too.
fn nesting(source: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for character in source.chars() {
        match character {
            '(' | '[' | '{' | '?' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expression({:?})", self.program.source_info().source)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = String::deserialize(deserializer)?;
        Self::compile(&source).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Expression {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expression".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "maxLength": LONGEST})
    }
}

#[cfg(test)]
mod tests;
