//! The schema as the checker of files needs it: derived once from the CRD, so that it cannot differ.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

use super::SYSTEM_METADATA;

/// What may stand at a place in a document.
#[derive(Debug)]
pub(in crate::sandbox) enum Shape {
    Object(Object),
    /// Keys of the user's choice.
    Map(Box<Shape>),
    List(Box<Shape>),
    Text,
    /// An RFC 3339 time.
    Time,
    /// One of these words.
    Choice(Vec<String>),
    Integer {
        min: i64,
        max: i64,
    },
    Boolean,
    /// A number within these bounds, or text.
    IntegerOrText {
        min: i64,
        max: i64,
    },
    /// Not looked at.
    Any,
}

/// A mapping with known fields.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Object {
    pub fields: BTreeMap<String, Shape>,
    pub required: Vec<String>,
    /// Keys that start with `x-` are the user's.
    pub extensible: bool,
}

impl Object {
    pub(in crate::sandbox) fn requires(&self, field: &str) -> bool {
        self.required.iter().any(|required| required == field)
    }
}

impl Shape {
    /// What belongs here, in a user's words.
    pub(in crate::sandbox) fn kind(&self) -> &'static str {
        match self {
            Self::Object(_) | Self::Map(_) => "a mapping",
            Self::List(_) => "a list",
            Self::Text => "text",
            Self::Time => "a time",
            Self::Choice(_) => "one word",
            Self::Integer { .. } => "a whole number",
            Self::Boolean => "true or false",
            Self::IntegerOrText { .. } => "a number or text",
            Self::Any => "anything",
        }
    }

    fn of(schema: &Value) -> Self {
        let min = schema["minimum"].as_i64().unwrap_or(i64::MIN);
        let max = schema["maximum"].as_i64().unwrap_or(i64::MAX);
        if schema["x-kubernetes-int-or-string"] == true {
            return Self::IntegerOrText { min, max };
        }
        match schema["type"].as_str() {
            Some("object") if schema["properties"].is_object() => Self::Object(Object::of(schema)),
            Some("object") if schema["additionalProperties"].is_object() => {
                Self::Map(Box::new(Self::of(&schema["additionalProperties"])))
            }
            Some("array") => Self::List(Box::new(Self::of(&schema["items"]))),
            Some("string") if schema["enum"].is_array() => Self::Choice(strings(&schema["enum"])),
            Some("string") if schema["format"] == "date-time" => Self::Time,
            Some("string") => Self::Text,
            Some("integer") => Self::Integer { min, max },
            Some("boolean") => Self::Boolean,
            _ => Self::Any,
        }
    }
}

impl Object {
    fn of(schema: &Value) -> Self {
        let fields = schema["properties"].as_object().into_iter().flatten();
        Self {
            fields: fields.map(|(name, schema)| (name.clone(), Shape::of(schema))).collect(),
            required: strings(&schema["required"]),
            extensible: false,
        }
    }
}

fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// The shape of a whole document.
pub(in crate::sandbox) fn shape() -> &'static Shape {
    static SHAPE: OnceLock<Shape> = OnceLock::new();
    SHAPE.get_or_init(|| {
        let fields = BTreeMap::from([
            ("apiVersion".to_owned(), Shape::Text),
            ("kind".to_owned(), Shape::Text),
            ("metadata".to_owned(), metadata()),
            ("spec".to_owned(), Shape::of(&super::openapi()["properties"]["spec"])),
            ("status".to_owned(), Shape::Any),
        ]);
        Shape::Object(Object { fields, required: vec!["metadata".to_owned()], extensible: true })
    })
}

/// The CRD leaves metadata open, as all CRDs must.
fn metadata() -> Shape {
    let strings = || Shape::Map(Box::new(Shape::Text));
    let mut fields = BTreeMap::from([
        ("name".to_owned(), Shape::Text),
        ("generateName".to_owned(), Shape::Text),
        ("namespace".to_owned(), Shape::Text),
        ("labels".to_owned(), strings()),
        ("annotations".to_owned(), strings()),
    ]);
    fields.extend(SYSTEM_METADATA.map(|field| (field.to_owned(), Shape::Any)));
    Shape::Object(Object { fields, required: vec!["name".to_owned()], extensible: false })
}
