//! What tests of several engines share.

use serde_json::Value;

/// The answer once for each value in it, this text in the value's place.
pub(super) fn with_each_value_replaced(answer: &Value, text: &str) -> Vec<Value> {
    let parts: Vec<(String, &Value)> = match answer {
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| (key.replace('/', "~1"), value)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    let mut replaced = vec![Value::from(text)];
    for (key, part) in parts {
        for other in with_each_value_replaced(part, text) {
            let mut answer = answer.clone();
            let place = answer.pointer_mut(&format!("/{key}")).expect("it was found there");
            *place = other;
            replaced.push(answer);
        }
    }
    replaced
}
