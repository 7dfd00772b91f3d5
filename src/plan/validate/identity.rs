//! `metadata`: name, identity, and the one annotation of ours that a user may set.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::plan::SandboxName;
use crate::sandbox::text::{MAX_LABEL, is_dns_label, shown};
use crate::sandbox::{ADOPT, DOMAIN, StringMap};

use super::Findings;

/// Longest suffix of a container's name: a replacement is brought up as `….new`.
const SUFFIX: usize = ".new".len();

/// Longest domain before the slash of a key, as in Kubernetes.
const MAX_DOMAIN: usize = 253;

/// What metadata says.
pub(super) struct Identity {
    pub name: SandboxName,
    pub uid: String,
    pub generation: i64,
    pub created_at: Timestamp,
    pub adopt: bool,
}

pub(super) fn check(metadata: &ObjectMeta, prefix: &str, findings: &mut Findings) -> Identity {
    if metadata.generate_name.is_some() {
        let message = "names are not generated: a sandbox keeps the name that its file gives it";
        findings.problem("metadata.generateName", message);
    }
    if metadata.namespace.is_some() {
        findings.notice("metadata.namespace is ignored: one host has no namespaces");
    }
    let name = metadata.name.as_deref().unwrap_or_default();
    if let Err(message) = check_name(name, prefix) {
        findings.problem("metadata.name", message);
    }
    let labels = [("labels", &metadata.labels), ("annotations", &metadata.annotations)];
    let adopt = labels.map(|(kind, map)| check_labels(kind, map.as_ref(), findings));
    Identity {
        name: SandboxName(name.to_owned()),
        uid: metadata.uid.clone().unwrap_or_default(),
        generation: metadata.generation.unwrap_or_default(),
        created_at: metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |it| it.0),
        adopt: adopt.contains(&true),
    }
}

fn check_name(name: &str, prefix: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("is required".to_owned());
    }
    if !is_dns_label(name) {
        return Err(format!(
            "{} is not a name: use lower-case letters, digits and dashes, at most {MAX_LABEL}, neither first nor last a dash",
            shown(name)
        ));
    }
    let room = MAX_LABEL.saturating_sub(prefix.len() + 1 + SUFFIX);
    if name.len() > room {
        return Err(format!(
            "has {} characters; with the prefix {} there is room for {room}",
            name.len(),
            shown(prefix)
        ));
    }
    // No container's name can be taken for an id: the prefix ends with a dash, and ids have none.
    Ok(())
}

/// Whether adoption is asked for.
fn check_labels(kind: &str, map: Option<&StringMap>, findings: &mut Findings) -> bool {
    let mut adopt = false;
    for (key, value) in map.into_iter().flatten() {
        let field = format!("metadata.{kind}[{key}]");
        if key == ADOPT {
            match value.as_str() {
                "true" => adopt = true,
                "false" => {}
                other => findings.problem(
                    field,
                    format!("must be \"true\" or \"false\", found {}", shown(other)),
                ),
            }
        } else if key.split_once('/').is_some_and(|(domain, _)| domain == DOMAIN) {
            findings
                .problem(field, format!("{DOMAIN}/ is sandkeeper's own; only {ADOPT} may be set"));
        } else if !is_qualified(key) {
            let message = format!(
                "is not a key: write letters, digits, `-`, `_` and `.`, at most {MAX_LABEL}, after a domain and a slash if you like"
            );
            findings.problem(field, message);
        } else if kind == "labels" && !value.is_empty() && !is_label_word(value) {
            let message = format!(
                "a label's value has letters, digits, `-`, `_` and `.`, at most {MAX_LABEL}; other text belongs in annotations"
            );
            findings.problem(field, message);
        }
    }
    adopt
}

/// Kubernetes' grammar of keys: a word, or a domain, a slash and a word.
fn is_qualified(key: &str) -> bool {
    match key.split_once('/') {
        Some((domain, word)) => {
            domain.len() <= MAX_DOMAIN && domain.split('.').all(is_dns_label) && is_label_word(word)
        }
        None => is_label_word(key),
    }
}

/// Letters and digits at both ends, and `-`, `_` and `.` between them.
fn is_label_word(word: &str) -> bool {
    let outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = word.as_bytes();
    bytes.len() <= MAX_LABEL
        && outer(bytes.first())
        && outer(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}
