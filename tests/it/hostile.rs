//! Hostile text in each field of a Sandbox that takes text: refused, but for the few that are free, and
//! harmless wherever it is told.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use sandkeeper::plan::{Settings, validate};
use sandkeeper::sandbox::text::{escape_json, is_unsafe};
use sandkeeper::sandbox::{Problem, SandboxSpec, yaml};
use serde_json::{Map, Value, json};

use crate::repository::read;

/// A line of its own that looks like the log's, and what steers a terminal.
const HOSTILE: &str = "x\n{\"level\":\"ERROR\"}\u{202e}\u{1b}[31m\u{9b}31m\u{200b}\u{7}";

/// Fields that may hold it: what a program is given, and annotations, which nothing reads. A namespace
/// is ignored.
const FREE: [&str; 7] = [
    "metadata.annotations.key",
    "metadata.namespace",
    "spec.args[0]",
    "spec.command[0]",
    "spec.env[0].value",
    "spec.livenessProbe.exec.command[0]",
    "spec.readinessProbe.exec.command[0]",
];

struct Schema(Value);

impl Schema {
    /// The node behind references, and the one among alternatives that says most.
    fn resolve<'s>(&'s self, node: &'s Value) -> &'s Value {
        if let Some(name) = node["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap();
            return self.resolve(&self.0["definitions"][name]);
        }
        for among in ["anyOf", "allOf", "oneOf"] {
            let some = node[among].as_array().into_iter().flatten();
            if let Some(first) = some.into_iter().find(|node| node["type"] != "null") {
                return self.resolve(first);
            }
        }
        node
    }

    /// Documents with the hostile text in one place each, by the path of that place.
    fn documents(&self, node: &Value, path: &str) -> Vec<(String, Value)> {
        let node = self.resolve(node);
        if is(node, "object") {
            let fields = node["properties"].as_object().into_iter().flatten();
            let mut all: Vec<(String, Value)> = fields
                .filter(|(key, _)| !matches!(key.as_str(), "status" | "apiVersion" | "kind"))
                .flat_map(|(key, child)| {
                    let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    let around = self.required(node);
                    let with = move |(path, value)| {
                        let mut object = around.clone();
                        object.insert(key.clone(), value);
                        (path, Value::Object(object))
                    };
                    self.documents(child, &below).into_iter().map(with)
                })
                .collect();
            if node["additionalProperties"].is_object() {
                let inner = self.documents(&node["additionalProperties"], &format!("{path}.key"));
                all.extend(inner.into_iter().map(|(path, value)| (path, json!({"key": value}))));
            }
            return all;
        }
        if is(node, "array") {
            let items = self.documents(&node["items"], &format!("{path}[0]"));
            return items.into_iter().map(|(path, value)| (path, json!([value]))).collect();
        }
        if is(node, "string") { vec![(path.to_owned(), json!(HOSTILE))] } else { Vec::new() }
    }

    fn required(&self, node: &Value) -> Map<String, Value> {
        let names = node["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.map(|name| (name.to_owned(), self.sample(name, &node["properties"][name]))).collect()
    }

    fn sample(&self, name: &str, node: &Value) -> Value {
        let node = self.resolve(node);
        match name {
            "apiVersion" => json!("sandkeeper.dev/v1alpha1"),
            "kind" => json!("Sandbox"),
            // The one with which a seccomp profile has a path.
            "type" => json!("Localhost"),
            _ if node["enum"].is_array() => node["enum"][0].clone(),
            _ if is(node, "object") => Value::Object(self.required(node)),
            _ if is(node, "array") => json!([]),
            _ if is(node, "integer") => json!(1),
            _ if is(node, "boolean") => json!(true),
            _ if name.ends_with("ath") => json!("/a"),
            _ => json!("a"),
        }
    }
}

fn is(node: &Value, kind: &str) -> bool {
    match &node["type"] {
        Value::Array(kinds) => kinds.iter().any(|one| one == kind),
        one => one == kind,
    }
}

/// What is wrong with a document, as the source of specs finds it, and the document as it is published.
fn problems(document: &Value) -> (Vec<Problem>, Option<String>) {
    let bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let policy = sandkeeper::plan::Policy::default();
    let defaults = SandboxSpec::default();
    let settings = Settings { defaults, prefix: "sandbox".to_owned(), bind, policy };
    let text = document.to_string();
    let mut read = match yaml::read(escape_json(&text).as_bytes()) {
        Ok(documents) => documents,
        Err(problem) => return (vec![problem], None),
    };
    let sandbox = match read.remove(0).result {
        Ok(sandbox) => sandbox,
        Err(problems) => return (problems, None),
    };
    let found = validate(&sandbox, &settings, Path::new("/srv/specs")).err().unwrap_or_default();
    (found, Some(yaml::to_yaml(&sandbox)))
}

// 6
#[test]
fn hostile_text_is_refused_or_harmless_in_every_field_that_takes_text() {
    let schema = Schema(serde_json::from_str(&read("manifests/sandbox.schema.json")).unwrap());
    let documents = schema.documents(&schema.0, "");
    assert!(documents.len() > 30, "{documents:?}");
    let mut free = BTreeSet::new();
    for (path, mut document) in documents {
        document["metadata"].as_object_mut().unwrap().entry("name").or_insert(json!("web"));
        let (problems, published) = problems(&document);
        for problem in &problems {
            assert!(!problem.to_string().contains(is_unsafe), "{path}: {problem:?}");
        }
        if let Some(published) = published {
            let acts = |it: char| it != '\n' && is_unsafe(it);
            assert!(!published.contains(acts), "{path}: {published:?}");
        }
        // A mapping's key is part of the field in brackets, where it is no plain word.
        let about = |problem: &Problem| {
            let field = problem.field.as_deref().unwrap_or_default().replace("[key]", ".key");
            !field.is_empty() && path.starts_with(&field)
        };
        if !problems.iter().any(about) {
            free.insert(path);
        }
    }
    assert_eq!(free, BTreeSet::from(FREE.map(str::to_owned)));
}
