//! What bytes must satisfy before any parser sees them.

use crate::sandbox::{Problem, ProblemReason};

/// Largest file that is read, in bytes. A reader of files asks for one byte more, to know.
pub const MAX_FILE_BYTES: usize = 64 * 1024;

/// Most bytes that may open a flow collection. `serde_yaml` takes time quadratic in the depth, and the
/// depth cannot exceed this count, whatever quotes and comments hide: this bounds it near 40 ms.
pub(super) const MAX_BRACKETS: usize = 4096;

/// YAML 1.1 (`serde_yaml`) and 1.2 (the scan) disagree about these: line breaks, or the start of a
/// document, to the one and text to the other. What the scan took for text could hide an alias.
const AMBIGUOUS: [char; 4] = ['\u{85}', '\u{2028}', '\u{2029}', '\u{feff}'];

/// The bytes as text that a parser may see, without a byte order mark.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Problem> {
    if bytes.len() > MAX_FILE_BYTES {
        let message =
            format!("the file is larger than {MAX_FILE_BYTES} bytes, the most that is read");
        return Err(Problem::new(ProblemReason::TooLarge, message));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(error.valid_up_to(), bytes))?;
    if let Some(offset) = bytes.iter().position(|byte| *byte == 0) {
        let message = format!("a NUL at byte offset {offset}; save the file as plain UTF-8 text");
        return Err(Problem::new(ProblemReason::Syntax, message));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some((offset, mark)) = text.char_indices().find(|(_, it)| AMBIGUOUS.contains(it)) {
        let line = u32::try_from(text[..offset].matches('\n').count() + 1).unwrap_or(u32::MAX);
        let message = format!(
            "the character U+{:04X} is a line break to some readers of YAML and text to others; write \"\\u{:04X}\" in double quotes",
            u32::from(mark),
            u32::from(mark)
        );
        return Err(Problem::new(ProblemReason::Syntax, message).at((line, 1)));
    }
    let brackets = bytes.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if brackets > MAX_BRACKETS {
        let message =
            format!("the file opens {brackets} brackets; at most {MAX_BRACKETS} are read");
        return Err(Problem::new(ProblemReason::TooComplex, message));
    }
    Ok(text)
}

fn not_utf8(offset: usize, bytes: &[u8]) -> Problem {
    let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let what = if utf16 { "the file is UTF-16" } else { "the file is not UTF-8" };
    let message = format!("{what} (byte offset {offset}); save it as UTF-8");
    Problem::new(ProblemReason::Syntax, message)
}
