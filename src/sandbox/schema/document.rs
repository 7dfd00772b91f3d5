//! The JSON schema of a document, for editors.

use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::SYSTEM_METADATA;
use crate::sandbox::{ADOPT, API_VERSION, KIND, SandboxSpec};

const IGNORED: &str = "Set by sandkeeper; ignored in files.";

/// The JSON schema (draft 7) of one Sandbox document, as `sandkeeper schema sandbox` prints it.
#[must_use]
pub fn json_schema() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Sandbox",
        "description": "One container on one host, kept as its spec says.",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {
            "apiVersion": { "description": "Version of the API.", "const": API_VERSION },
            "kind": { "description": "Kind of the object.", "const": KIND },
            "metadata": metadata(),
            "spec": { "$ref": "#/definitions/SandboxSpec" },
            "status": { "description": IGNORED },
        },
        "patternProperties": { "^x-": { "description": "Yours; ignored." } },
        "additionalProperties": false,
        "definitions": definitions(),
    })
}

fn metadata() -> Value {
    let text = |description: &str| json!({ "description": description, "type": "string" });
    let mut properties = Map::from_iter([
        (
            "name".to_owned(),
            json!({
                "description": "Name of the sandbox, unique among all specs: lower-case letters, digits and dashes.",
                "type": "string",
                "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
                "maxLength": 63,
            }),
        ),
        ("namespace".to_owned(), text("Ignored on a single host.")),
        ("labels".to_owned(), string_map("Labels.")),
        ("annotations".to_owned(), string_map("Annotations.")),
    ]);
    properties
        .extend(SYSTEM_METADATA.map(|field| (field.to_owned(), json!({ "description": IGNORED }))));
    json!({
        "description": "Name and labels.",
        "type": "object",
        "required": ["name"],
        "properties": properties,
        "additionalProperties": false,
    })
}

fn string_map(description: &str) -> Value {
    json!({
        "description": description,
        "type": ["object", "null"],
        "properties": {
            (ADOPT): {
                "description": "\"true\" lets sandkeeper take over a foreign container of the sandbox's name.",
                "enum": ["true", "false"],
            },
        },
        "additionalProperties": { "type": "string" },
    })
}

/// The schemas of the spec's types, by name.
pub(super) fn definitions() -> &'static Map<String, Value> {
    static DEFINITIONS: OnceLock<Map<String, Value>> = OnceLock::new();
    DEFINITIONS.get_or_init(|| {
        let mut generator = SchemaSettings::draft07().into_generator();
        // The derive for CEL rules inlines its type, so the root of the definitions is set by hand.
        let spec = generator.subschema_for::<SandboxSpec>().to_value();
        let mut definitions = generator.take_definitions(true);
        definitions.insert("SandboxSpec".to_owned(), spec);
        definitions.values_mut().for_each(tidy);
        let quantity = json!({ "anyOf": [{ "type": "number" }, { "type": "string" }] });
        definitions.insert("Quantity".to_owned(), quantity);
        definitions
    })
}

/// The schema of the mapping that a field holds, whether by reference, as an option or in a list.
pub(super) fn mapping(field: &'static Value) -> Option<&'static Value> {
    if field["properties"].is_object() {
        return Some(field);
    }
    if let Some(name) = field["$ref"].as_str().and_then(|it| it.strip_prefix("#/definitions/")) {
        return mapping(definitions().get(name)?);
    }
    let wrapped = ["anyOf", "allOf"].into_iter().filter_map(|key| field[key].as_array()).flatten();
    wrapped.chain(field.get("items")).find_map(mapping)
}

/// Drops what only a cluster understands.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(fields) => {
            fields.retain(|key, _| !key.starts_with("x-kubernetes-"));
            super::mend(fields);
            fields.values_mut().for_each(tidy);
        }
        _ => {}
    }
}
