use std::borrow::Cow;
use std::io;
use std::sync::{Arc, Mutex};

use super::*;
use crate::sandbox::text::escape;

/// What was written, shared with the writers.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Output {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// What these records look like.
fn logged(format: LogFormat, colours: bool, filter: &str, records: impl FnOnce()) -> String {
    let output = Output::default();
    let filter = parse_filter("test", filter.to_owned()).unwrap();
    let subscriber = subscriber(format, colours, filter, output.clone());
    tracing::subscriber::with_default(subscriber, records);
    String::from_utf8(output.0.lock().unwrap().clone()).unwrap()
}

/// Everything that could forge a line or steer a terminal.
const HOSTILE: &str = "a\r\nFAKE \u{1b}[31m \u{7} \u{7f} \u{9b}1m \u{202e}x\u{2028}\tb";

#[derive(Debug)]
struct Hostile;

impl std::fmt::Display for Hostile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(HOSTILE)
    }
}

impl std::error::Error for Hostile {}

fn hostile_records() {
    let error: &(dyn std::error::Error + 'static) = &Hostile;
    tracing::info!(name = HOSTILE, shown = %HOSTILE, debug = ?HOSTILE, error, "said {HOSTILE}");
    let span = tracing::info_span!("reconcile", sandbox = %HOSTILE);
    let _entered = span.enter();
    tracing::info!("within");
}

fn has_active(line: &str) -> bool {
    escape(line) != line
}

#[test]
fn hostile_text_stays_in_its_line_of_text() {
    let text = logged(LogFormat::Text, false, "info", hostile_records);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(!text.lines().any(has_active), "{text:?}");
    assert!(
        text.contains("said a\\r\\nFAKE \\u{1b}[31m \\u{7} \\u{7f} \\u{9b}1m \\u{202e}x"),
        "{text}"
    );
}

#[test]
fn hostile_text_stays_harmless_among_colours() {
    let text = logged(LogFormat::Auto, true, "info", hostile_records);
    assert!(text.contains("\u{1b}[2mname\u{1b}[0m="), "{text:?}");
    let ours = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[3m", "\u{1b}[32m"];
    let bare = ours.iter().fold(text, |text, sequence| text.replace(sequence, ""));
    assert_eq!(bare.lines().count(), 2, "{bare:?}");
    assert!(!bare.lines().any(has_active), "{bare:?}");
}

#[test]
fn hostile_text_stays_in_its_json_object_and_keeps_its_value() {
    let text = logged(LogFormat::Json, false, "info", hostile_records);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(!text.lines().any(has_active), "{text:?}");
    let first: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!(first["name"], HOSTILE);
    assert_eq!(first["shown"], HOSTILE);
    assert_eq!(first["message"], format!("said {HOSTILE}"));
    assert_eq!(first["level"], "INFO");
    let second: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(second["span"]["sandbox"], HOSTILE);
}

#[test]
fn text_reads_as_a_sentence_with_its_values() {
    let text = logged(LogFormat::Text, false, "info", || {
        tracing::info!(sandbox = "web", port = 8080, "published a port");
    });
    let (_, rest) = text.split_once("INFO ").unwrap();
    assert_eq!(rest, "sandkeeper::telemetry::tests: published a port sandbox=\"web\" port=8080\n");
}

#[test]
fn the_engine_client_stays_at_info_whatever_the_filter_says() {
    for filter in
        ["trace", "info,bollard=trace,hyper=debug", "bollard::docker=trace,hyper_util=trace"]
    {
        let text = logged(LogFormat::Text, false, filter, || {
            tracing::trace!(target: "bollard::docker", "body with a secret");
            tracing::debug!(target: "hyper_util::client", "header with a secret");
            tracing::debug!(target: "hyper", "header with a secret");
            tracing::info!(target: "bollard::docker", "connected");
        });
        assert!(!text.contains("secret"), "{filter}: {text}");
        assert!(text.contains("connected"), "{filter}: {text}");
    }
    // Only whole names count.
    let text = logged(LogFormat::Text, false, "trace", || {
        tracing::trace!(target: "hyperion", "shown");
    });
    assert!(text.contains("shown"));
}

#[test]
fn the_filter_decides_by_level_and_module() {
    let text = logged(LogFormat::Text, false, "warn,sandkeeper::source=debug", || {
        tracing::info!(target: "sandkeeper::plan", "hidden");
        tracing::debug!(target: "sandkeeper::source::scan", "shown");
        tracing::warn!(target: "sandkeeper::plan", "warned");
    });
    assert!(
        text.contains("shown") && text.contains("warned") && !text.contains("hidden"),
        "{text}"
    );
}

#[test]
fn the_flag_wins_over_the_variables_and_they_over_the_default() {
    let both = |name: &str| Some(format!("from {name}"));
    let rust_log = |name: &str| (name == "RUST_LOG").then(|| "debug".to_owned());
    let empty = |_: &str| Some(String::new());
    assert_eq!(chosen_filter(Some("warn"), both).1, "warn");
    assert_eq!(chosen_filter(None, both).1, "from SANDKEEPER_LOG");
    assert_eq!(chosen_filter(None, rust_log), ("RUST_LOG", "debug".to_owned()));
    assert_eq!(chosen_filter(None, empty).1, "info");
}

#[test]
fn a_wrong_filter_is_an_error_that_says_where_it_came_from() {
    let error = parse_filter("RUST_LOG", "sandkeeper=loud".to_owned()).unwrap_err().to_string();
    assert!(error.starts_with("RUST_LOG: \"sandkeeper=loud\" is no log filter"), "{error}");
}

#[test]
fn harmless_text_is_not_copied() {
    assert!(matches!(escape("web ä 漢字 🙂 \\n"), Cow::Borrowed(_)));
    assert_eq!(escape("a\tb"), "a\\tb");
}
