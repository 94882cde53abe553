//! What can be found wrong with an expression before there is an object.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr};

/// What an expression may ask about.
const VARIABLES: [&str; 2] = ["object", "stack"];
/// What it may call besides operators.
const FUNCTIONS: [&str; 16] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "min",
    "max",
    "hasValue",
    "orValue",
    "value",
    "or",
];
/// Each loop inside another multiplies what an expression costs.
const MOST_LOOPS: u32 = 3;

/// How deep the loops of an expression are nested; or what it asks for that there is not.
pub(super) fn loops(expression: &IdedExpr) -> Result<u32, String> {
    let deepest = within(expression, &mut VARIABLES.to_vec())?;
    if deepest > MOST_LOOPS {
        return Err(format!(
            "more than {MOST_LOOPS} loops stand inside each other: make two rules of it"
        ));
    }
    Ok(deepest)
}

fn within<'a>(expression: &'a IdedExpr, known: &mut Vec<&'a str>) -> Result<u32, String> {
    let mut deepest = 0;
    let mut each = |part: &'a IdedExpr, known: &mut Vec<&'a str>| {
        deepest = deepest.max(within(part, known)?);
        Ok::<_, String>(())
    };
    match &expression.expr {
        Expr::Ident(name) if !known.contains(&name.as_str()) => {
            return Err(format!(
                "nothing is called `{name}`: there are {}",
                VARIABLES.join(" and ")
            ));
        }
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Select(select) => each(&select.operand, known)?,
        Expr::List(list) => list
            .elements
            .iter()
            .try_for_each(|element| each(element, known))?,
        Expr::Map(map) => map
            .entries
            .iter()
            .try_for_each(|entry| in_entry(&entry.expr, known, &mut each))?,
        Expr::Struct(new) => return Err(format!("there is no type `{}`", new.type_name)),
        Expr::Call(call) => {
            let name = call.func_name.as_str();
            let is_operator =
                name.starts_with(|c: char| !c.is_ascii_alphabetic()) || name.ends_with('_');
            if !is_operator && !FUNCTIONS.contains(&name) {
                return Err(format!(
                    "there is no function `{name}`: there are {}",
                    FUNCTIONS.join(", ")
                ));
            }
            call.target
                .iter()
                .try_for_each(|target| each(target, known))?;
            call.args
                .iter()
                .try_for_each(|argument| each(argument, known))?;
        }
        Expr::Comprehension(comprehension) => {
            each(&comprehension.iter_range, known)?;
            each(&comprehension.accu_init, known)?;
            let outside = known.len();
            known.push(&comprehension.iter_var);
            known.extend(comprehension.iter_var2.as_deref());
            known.push(&comprehension.accu_var);
            let mut inside = 0;
            for part in [
                &comprehension.loop_cond,
                &comprehension.loop_step,
                &comprehension.result,
            ] {
                inside = inside.max(within(part, known)?);
            }
            known.truncate(outside);
            deepest = deepest.max(inside + 1);
        }
    }
    Ok(deepest)
}

fn in_entry<'a>(
    entry: &'a EntryExpr,
    known: &mut Vec<&'a str>,
    each: &mut impl FnMut(&'a IdedExpr, &mut Vec<&'a str>) -> Result<(), String>,
) -> Result<(), String> {
    match entry {
        EntryExpr::MapEntry(entry) => {
            each(&entry.key, known)?;
            each(&entry.value, known)
        }
        EntryExpr::StructField(field) => each(&field.value, known),
    }
}
