use super::*;

/// Calls the visitor with every schema in a schema, with its path.
fn visit(schema: &Value, path: &str, visitor: &mut dyn FnMut(&str, &Value)) {
    visitor(path, schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        visit(field, &format!("{path}.{name}"), visitor);
    }
    for key in ["items", "additionalProperties"] {
        if schema[key].is_object() {
            visit(&schema[key], &format!("{path}[]"), visitor);
        }
    }
}

#[test]
fn the_crd_is_structural() {
    assert!(!crd_yaml().contains("$ref"));
    visit(openapi(), "", &mut |path, schema| {
        let typed = schema["type"].is_string() || schema["x-kubernetes-int-or-string"] == true;
        assert!(typed, "{path} has no type");
        for forbidden in ["anyOf", "oneOf", "allOf", "not"] {
            assert!(schema.get(forbidden).is_none(), "{path} has {forbidden}");
        }
        let closed = schema.get("additionalProperties").is_some_and(|it| !it.is_object());
        assert!(!closed, "{path} forbids fields, which a structural schema may not");
    });
}

#[test]
fn the_crd_carries_the_cel_rules() {
    let mut rules = Vec::new();
    visit(openapi(), "", &mut |path, schema| {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            assert!(rule["message"].is_string(), "{path} has a rule without a message");
            rules.push(path.to_owned());
        }
    });
    rules.sort();
    assert_eq!(
        rules,
        [
            ".spec",
            ".spec",
            ".spec.env[]",
            ".spec.livenessProbe",
            ".spec.network",
            ".spec.readinessProbe",
            ".spec.securityContext.seccompProfile",
        ]
    );
}

#[test]
fn every_rule_of_the_schema_compiles() {
    let errors = kube::core::cel::compile_schema(openapi());
    assert!(errors.compilation_errors().is_empty());
}

#[test]
fn every_field_of_the_spec_has_its_own_description() {
    visit(&openapi()["properties"]["spec"], "spec", &mut |path, schema| {
        if !path.ends_with("[]") {
            let described = schema["description"].as_str().is_some_and(|text| text.ends_with('.'));
            assert!(described, "{path}");
        }
    });
    let pull = &openapi()["properties"]["spec"]["properties"]["imagePullPolicy"]["description"];
    assert!(
        pull.as_str().unwrap().starts_with("When to pull the image. Default, as in Kubernetes")
    );
}

#[test]
fn numbers_have_bounds_that_their_types_can_hold() {
    visit(&openapi()["properties"]["spec"], "spec", &mut |path, schema| {
        if schema["type"] == "integer" {
            assert!(schema["minimum"].is_i64() && schema["maximum"].is_i64(), "{path}");
            assert!(schema.get("format").is_none(), "{path}");
        }
    });
}

#[test]
fn the_editor_schema_refuses_unknown_fields_everywhere() {
    let schema = json_schema();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["metadata"]["additionalProperties"], false);
    for (name, definition) in schema["definitions"].as_object().unwrap() {
        if definition["properties"].is_object() {
            assert_eq!(definition["additionalProperties"], false, "{name}");
        }
    }
}

#[test]
fn every_reference_of_the_editor_schema_resolves() {
    let schema = json_schema();
    let text = schema.to_string();
    for part in text.split("\"$ref\":\"#/definitions/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schema["definitions"].get(name).is_some(), "{name}");
    }
    assert!(!text.contains("x-kubernetes"));
}
