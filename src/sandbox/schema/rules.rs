//! The CEL rules of the types, evaluated here exactly as a cluster would.

use std::sync::OnceLock;

use kube::core::cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
use serde_json::json;

use crate::sandbox::{Problem, SandboxSpec};

/// Parsed once: parsing costs far more than evaluating.
struct Rules {
    validator: Validator,
    schema: CompiledSchema,
}

fn rules() -> &'static Rules {
    static RULES: OnceLock<Rules> = OnceLock::new();
    RULES.get_or_init(|| Rules {
        validator: Validator::new(),
        schema: compile_schema(super::openapi()),
    })
}

/// The rules that a spec breaks, each with the path of the object that breaks it.
pub(in crate::sandbox) fn rule_violations(spec: &SandboxSpec) -> Vec<Problem> {
    let object = json!({ "spec": spec });
    let Rules { validator, schema } = rules();
    let Err(errors) = validator.validate_compiled(schema, &object, None) else {
        return Vec::new();
    };
    let problems = errors.into_iter().map(|error| {
        let message = match error.kind {
            ErrorKind::ValidationFailure => error.message,
            // Fail closed: a rule that cannot be evaluated has not been kept.
            _ => format!("a rule of the schema could not be evaluated: {}", error.message),
        };
        Problem::at_field(error.field_path, message)
    });
    problems.collect()
}
