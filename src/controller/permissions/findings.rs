//! What a look or a repair has to say, bounded and safe to show.

use crate::plan::PermissionView;
use crate::sandbox::text::one_line;

use super::PermissionError;

/// Entries of one kind that are told; the rest is counted.
const TOLD: usize = 20;

/// Longest entry in characters.
const LONGEST: usize = 300;

/// Entries of three kinds.
#[derive(Debug, Default)]
pub(super) struct Findings {
    drifted: Entries,
    changed: Entries,
    problems: Entries,
}

impl Findings {
    /// Something differs and can be mended.
    pub(super) fn drift(&mut self, text: &str) {
        self.drifted.push(text);
    }

    /// Something was mended.
    pub(super) fn change(&mut self, text: &str) {
        self.changed.push(text);
    }

    /// Something cannot be looked at or mended.
    pub(super) fn problem(&mut self, text: &str) {
        self.problems.push(text);
    }

    /// As the plan is told. What can be mended comes first, so that a rule that can never hold does not
    /// keep the others from being mended.
    pub(super) fn view(self) -> PermissionView {
        if !self.drifted.is_empty() {
            PermissionView::Drifted(self.drifted.told())
        } else if !self.problems.is_empty() {
            PermissionView::Failed(self.problems.told().join("; "))
        } else {
            PermissionView::Hold
        }
    }

    /// Of a repair.
    pub(super) fn outcome(self) -> Result<Vec<String>, PermissionError> {
        let changed = self.changed.told();
        if self.problems.is_empty() {
            return Ok(changed);
        }
        Err(PermissionError { changed, problems: self.problems.told() })
    }
}

#[derive(Debug, Default)]
struct Entries {
    told: Vec<String>,
    more: usize,
}

impl Entries {
    fn push(&mut self, text: &str) {
        if self.told.len() == TOLD {
            self.more += 1;
            return;
        }
        // Names in a mount are the sandbox's to choose.
        let mut line: String = one_line(text).chars().take(LONGEST + 1).collect();
        if line.chars().count() > LONGEST {
            line.pop();
            line.push('…');
        }
        self.told.push(line);
    }

    fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    fn told(mut self) -> Vec<String> {
        if self.more > 0 {
            self.told.push(format!("and {} more", self.more));
        }
        self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_mended_is_told_before_what_cannot() {
        let mut findings = Findings::default();
        findings.problem("/a: missing");
        findings.drift("/b: mode 0755, should be 0777");
        let told = vec!["/b: mode 0755, should be 0777".to_owned()];
        assert_eq!(findings.view(), PermissionView::Drifted(told));
        assert_eq!(Findings::default().view(), PermissionView::Hold);
    }

    #[test]
    fn a_failed_repair_still_tells_what_it_changed() {
        let mut findings = Findings::default();
        findings.change("/b");
        findings.problem("/a: missing");
        let error = findings.outcome().unwrap_err();
        assert_eq!(error.changed, ["/b"]);
        assert_eq!(error.to_string(), "/a: missing");
    }

    #[test]
    fn lists_and_entries_are_bounded_and_on_one_line() {
        let mut findings = Findings::default();
        for _ in 0..TOLD + 2 {
            findings.problem(&"x\n".repeat(LONGEST));
        }
        let problems = findings.outcome().unwrap_err().problems;
        assert_eq!(problems.len(), TOLD + 1);
        assert_eq!(problems[0].chars().count(), LONGEST + 1);
        assert!(!problems[0].contains('\n'));
        assert_eq!(problems[TOLD], "and 2 more");
    }
}
