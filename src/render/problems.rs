//! Problems with files, in the form that editors and CI understand: `file:line:col: field: message`.

use std::path::Path;

use super::{Color, Style, escape};
use crate::sandbox::Problem;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The sandbox is refused.
    Error,
    /// The sandbox is accepted.
    Warning,
}

/// One line for one problem.
#[must_use]
pub fn line(file: &Path, severity: Severity, problem: &Problem, style: Style) -> String {
    let file = file.display().to_string();
    let place = match problem.line {
        Some(line) => format!("{}:{line}:{}:", escape(&file), problem.column.unwrap_or(1)),
        None => format!("{}:", escape(&file)),
    };
    let field = problem.field.as_deref().map(|field| format!("{}: ", escape(field)));
    let color = if severity == Severity::Error { Color::Red } else { Color::Yellow };
    let warning = if severity == Severity::Warning { "warning: " } else { "" };
    format!(
        "{} {}{}{}\n",
        style.paint(Color::Bold, &place),
        style.paint(color, warning),
        style.paint(color, field.as_deref().unwrap_or_default()),
        escape(&problem.message),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::ProblemReason;

    #[test]
    fn a_placed_problem_reads_as_a_compiler_writes_it() {
        let problem = Problem {
            line: Some(7),
            column: Some(3),
            ..Problem::at_field("spec.image", "is empty")
        };
        let text = line(Path::new("web.yaml"), Severity::Error, &problem, Style::default());
        assert_eq!(text, "web.yaml:7:3: spec.image: is empty\n");
    }

    #[test]
    fn a_warning_says_so_and_a_place_is_not_invented() {
        let problem = Problem::new(ProblemReason::Invalid, "odd\x1b");
        let text = line(Path::new("a\nb.yaml"), Severity::Warning, &problem, Style::default());
        assert_eq!(text, "a\\nb.yaml: warning: odd\\u{1b}\n");
    }
}
