use std::collections::HashMap;
use std::sync::Arc;

use cel::objects::{Key, Map as CelMap};
use cel::{Context, Value as CelValue};
use serde_json::{Map, Value};

/// What expressions are about: an object as it would be applied, and the name of its stack.
pub(in crate::environment) struct Facts<'a> {
    stack: &'a str,
    object: CelValue,
    longest: usize,
}

impl<'a> Facts<'a> {
    pub(in crate::environment) fn of(stack: &'a str, body: &Map<String, Value>) -> Self {
        let mut longest = 0;
        let object = map(body, &mut longest);
        Self {
            stack,
            object,
            longest,
        }
    }

    /// How many entries the longest list or map has.
    pub(super) const fn longest(&self) -> usize {
        self.longest
    }

    pub(super) fn give(&self, context: &mut Context<'_, '_>) {
        context.add_variable_from_value("object", self.object.clone());
        context.add_variable_from_value("stack", self.stack.to_owned());
    }
}

fn map(body: &Map<String, Value>, longest: &mut usize) -> CelValue {
    *longest = body.len().max(*longest);
    let entries: HashMap<Key, CelValue> = body
        .iter()
        .map(|(key, inner)| (key.clone().into(), value(inner, longest)))
        .collect();
    CelValue::Map(CelMap {
        map: Arc::new(entries),
    })
}

/// Whole numbers are `int`, as they are where Kubernetes evaluates such expressions.
fn value(json: &Value, longest: &mut usize) -> CelValue {
    match json {
        Value::Null => CelValue::Null,
        Value::Bool(truth) => CelValue::Bool(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => CelValue::Int(whole),
            (None, Some(large)) => CelValue::UInt(large),
            (None, None) => CelValue::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => text.clone().into(),
        Value::Array(items) => {
            *longest = items.len().max(*longest);
            let items = items.iter().map(|item| value(item, longest));
            CelValue::List(Arc::new(items.collect()))
        }
        Value::Object(fields) => map(fields, longest),
    }
}
