//! Aligned columns as kubectl prints them: three spaces between, the last column as long as it is.

use std::borrow::Cow;
use std::io::Write as _;

use tabwriter::TabWriter;

use super::escape;

/// A table under construction.
#[derive(Debug)]
pub struct Table {
    lines: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    #[must_use]
    pub fn new(headings: &[&str]) -> Self {
        Self { lines: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()] }
    }

    /// Columns without headings.
    #[must_use]
    pub fn bare() -> Self {
        Self { lines: Vec::new() }
    }

    /// Adds a row. Cells are shown as they are: [`cell`] makes safe ones.
    pub fn row<'a, C: Into<Cow<'a, str>>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.lines.push(cells.into_iter().map(|cell| cell.into().into_owned()).collect());
    }

    /// The table as text, every line ended, without spaces at its end.
    #[must_use]
    pub fn render(&self) -> String {
        let mut writer = TabWriter::new(Vec::new()).minwidth(3).padding(3).ansi(true);
        for line in &self.lines {
            writeln!(writer, "{}", line.join("\t")).expect("a Vec takes every write");
        }
        let bytes = writer.into_inner().expect("a Vec takes every write");
        let text = String::from_utf8(bytes).expect("only whole strings and spaces were written");
        text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
    }
}

/// A cell that is safe to print; `<none>` for nothing, as kubectl shows it.
#[must_use]
pub fn cell(text: Option<&str>) -> String {
    match text {
        None | Some("") => "<none>".to_owned(),
        Some(text) => escape(text).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_the_last_one_has_no_trailing_space() {
        let mut table = Table::new(&["NAME", "AGE"]);
        table.row(["a-long-name", "5m"]);
        table.row(["b", "\x1b[32m3h\x1b[0m"]);
        assert_eq!(
            table.render(),
            "NAME          AGE\na-long-name   5m\nb             \x1b[32m3h\x1b[0m\n"
        );
    }

    #[test]
    fn an_empty_last_cell_leaves_no_spaces() {
        let mut table = Table::new(&["NAME", "MESSAGE"]);
        table.row(["web", ""]);
        assert_eq!(table.render(), "NAME   MESSAGE\nweb\n");
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let mut table = Table::bare();
        table.row(["\x1b[32mTrue\x1b[0m", "x"]);
        table.row(["Unknown", "y"]);
        assert_eq!(table.render(), "\x1b[32mTrue\x1b[0m      x\nUnknown   y\n");
    }

    #[test]
    fn cells_hold_no_control_characters() {
        assert_eq!(cell(Some("a\tb\n")), "a\\tb\\n");
        assert_eq!(cell(Some("")), "<none>");
    }
}
