//! Specs as text, field by field.

use std::fmt;

use super::TEST_IMAGE;

/// An image that no engine has and that is refused at once: nothing listens on port 1.
pub(crate) const MISSING_IMAGE: &str = "127.0.0.1:1/sandkeeper-test/missing:1";

/// A `Sandbox` that is being written.
#[derive(Clone)]
pub(crate) struct Spec {
    name: String,
    adopts: bool,
    fields: Vec<(String, String)>,
}

impl Spec {
    /// A web server on port 8080 that answers `hello`.
    pub(crate) fn serving(name: &str) -> Self {
        Self::new(name).shell(
            "mkdir -p /tmp/www; echo hello > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www",
        )
    }

    /// A container that only waits, and publishes nothing.
    pub(crate) fn idle(name: &str) -> Self {
        Self::new(name).set("command", "[sleep, \"3600\"]").set("ports", "[]")
    }

    /// Asks to take over what has the name.
    pub(crate) fn adopting(self) -> Self {
        Self { adopts: true, ..self }
    }

    /// Sets the command to a shell script, which must hold no single quote.
    pub(crate) fn shell(self, script: &str) -> Self {
        self.set("command", &format!("[sh, -c, '{script}']"))
    }

    /// Sets a field of `spec` to a value in YAML's flow style.
    pub(crate) fn set(mut self, field: &str, value: &str) -> Self {
        self.fields.retain(|(name, _)| name != field);
        self.fields.push((field.to_owned(), value.to_owned()));
        self
    }

    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), adopts: false, fields: Vec::new() }
            .set("image", TEST_IMAGE)
            .set("terminationGracePeriodSeconds", "1")
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "apiVersion: sandkeeper.dev/v1alpha1")?;
        writeln!(formatter, "kind: Sandbox")?;
        let adopt = "annotations: {sandkeeper.dev/adopt: \"true\"}";
        let more = if self.adopts { format!(", {adopt}") } else { String::new() };
        writeln!(formatter, "metadata: {{name: {}{more}}}", self.name)?;
        writeln!(formatter, "spec:")?;
        self.fields.iter().try_for_each(|(field, value)| writeln!(formatter, "  {field}: {value}"))
    }
}
