//! How a record becomes a line. tracing-subscriber spells out escape sequences but lets a line break in a
//! message through in text, and DEL, C1 and bidirectional controls through in JSON; here none passes.

use std::fmt::{self, Write as _};
use std::io;

use tracing::Subscriber;
use tracing::field::Field;
use tracing_subscriber::Layer;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::{self as output, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::sandbox::text::{escape, escape_json};

/// One line of text per record.
pub(super) fn text<S, W>(writer: W, colours: bool) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    output::layer()
        .with_ansi(colours)
        .fmt_fields(debug_fn(write_field).delimited(" "))
        .with_writer(writer)
}

/// One JSON object per record, the message at its top level.
pub(super) fn json<S, W>(writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    output::layer().json().flatten_event(true).with_span_list(false).with_writer(JsonLines(writer))
}

fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    if field.name() != "message" {
        let (start, end) =
            if writer.has_ansi_escapes() { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        write!(writer, "{start}{}{end}=", field.name())?;
    }
    write!(Escaping(writer), "{value:?}")
}

/// Writes text with its active characters spelled out.
struct Escaping<W>(W);

impl<W: fmt::Write> fmt::Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&escape(text))
    }
}

/// A writer of JSON lines. `serde_json` escapes what JSON demands; the other active characters can stand
/// only inside strings, so spelling them as `\u` keeps every line the same value.
struct JsonLines<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for JsonLines<W> {
    type Writer = JsonLine<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        JsonLine(self.0.make_writer())
    }
}

struct JsonLine<W>(W);

impl<W: io::Write> io::Write for JsonLine<W> {
    /// The formatter hands over each record whole, its final line break included.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let body = text.trim_end_matches('\n');
        let safe = escape_json(body).into_owned() + &text[body.len()..];
        self.0.write_all(safe.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
