//! The API as machines read it: the CRD for a cluster, the JSON schema for editors, and, derived from
//! the same types, the [`Shape`] that files are checked against and the CEL rules.

mod document;
mod rules;
mod shape;

use std::sync::OnceLock;

use kube::CustomResourceExt;
use serde_json::{Map, Value};

use super::{Sandbox, yaml};

pub use document::json_schema;
pub(super) use rules::rule_violations;
pub(super) use shape::{Object, Shape, shape};

/// Metadata that the system sets. In a file it is ignored, so that printed objects can be saved as files.
const SYSTEM_METADATA: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The `CustomResourceDefinition`, as `sandkeeper crd` prints it.
#[must_use]
pub fn crd_yaml() -> String {
    let header = "# Made by `sandkeeper crd`. The source of it is the types in src/sandbox/.\n";
    format!("{header}{}", yaml::to_yaml(crd()))
}

/// The CRD as a value, with a schema that an API server takes without a warning.
fn crd() -> &'static Value {
    static CRD: OnceLock<Value> = OnceLock::new();
    CRD.get_or_init(|| {
        let mut crd = serde_json::to_value(Sandbox::crd()).expect("a CRD is plain data");
        let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        tidy(schema);
        // The smallest spec is a name, on a cluster as in a file.
        schema.as_object_mut().map(|root| root.remove("required"));
        describe(&mut schema["properties"]["spec"], &document::definitions()["SandboxSpec"]);
        crd
    })
}

/// The structural schema of a whole Sandbox.
fn openapi() -> &'static Value {
    &crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

/// Drops the alternatives that the derive empties.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(fields) => {
            mend(fields);
            if fields.contains_key("x-kubernetes-int-or-string") {
                fields.remove("anyOf");
            }
            fields.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

/// Mends what the derive leaves: formats that only Rust knows, bounds that they implied or that became
/// floats, and the line breaks of the source in descriptions.
fn mend(fields: &mut Map<String, Value>) {
    let format = fields.get("format").and_then(Value::as_str).unwrap_or_default();
    let implied = match format {
        "uint16" => Some(i64::from(u16::MAX)),
        "uint32" => Some(i64::from(u32::MAX)),
        _ => None,
    };
    if let Some(max) = implied {
        fields.remove("format");
        fields.entry("maximum").or_insert_with(|| max.into());
    }
    if let Some(Value::String(description)) = fields.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    for key in ["minimum", "maximum"] {
        if let Some(number) = fields.get(key).and_then(Value::as_f64) {
            #[expect(clippy::cast_possible_truncation, reason = "bounds are small whole numbers")]
            let whole = number as i64;
            fields.insert(key.to_owned(), whole.into());
        }
    }
}

/// Gives fields their own descriptions, from the editors' schema, where the derive left those of their
/// types.
fn describe(schema: &mut Value, described: &'static Value) {
    for (name, field) in described["properties"].as_object().into_iter().flatten() {
        let Some(target) = schema["properties"].get_mut(name) else { continue };
        if let Some(description) = field.get("description") {
            target["description"] = description.clone();
        }
        let Some(inner) = document::mapping(field) else { continue };
        describe(if target["type"] == "array" { &mut target["items"] } else { target }, inner);
    }
}

#[cfg(test)]
mod tests;
