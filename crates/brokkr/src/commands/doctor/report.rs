//! Everything that was found, and how it is told.

use std::fmt;

use super::finding::{Check, Finding, Mark};
use crate::output::printable;

/// Everything that was found.
#[derive(Default)]
pub struct Report {
    findings: Vec<Finding>,
    /// Whether the key says that it is an agent's.
    pub is_agent: bool,
}

impl Report {
    /// Takes a finding; `None` if it is a failure.
    pub fn add(&mut self, finding: Finding) -> Option<()> {
        let is_failure = finding.mark == Mark::Fail;
        self.findings.push(finding);
        (!is_failure).then_some(())
    }

    /// Notes that nobody looked at what comes behind the last finding.
    pub fn skip_rest(&mut self) {
        let last = self.findings.last().map(|finding| finding.check);
        let all = Check::ALL.into_iter().map(|(check, _)| check);
        let rest = all.skip_while(|check| Some(*check) != last).skip(1);
        let rest = rest.filter(|check| *check != Check::TargetState || self.is_agent);
        self.findings.extend(rest.map(Check::skipped));
    }

    /// As programs read it.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// An error if something failed.
    pub fn verdict(&self) -> anyhow::Result<()> {
        let failed = self.names(Mark::Fail);
        anyhow::ensure!(failed.is_empty(), "not all is well: {failed}");
        Ok(())
    }

    fn names(&self, mark: Mark) -> String {
        let marked = self.findings.iter().filter(|finding| finding.mark == mark);
        let names: Vec<_> = marked.map(|finding| finding.check.name()).collect();
        names.join(", ")
    }
}

/// A line for each finding, and another for what to do about it.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let mark = match finding.mark {
                Mark::Ok => "ok",
                Mark::Warn => "warn",
                Mark::Fail => "FAIL",
                Mark::Skipped => continue,
            };
            let (name, found) = (finding.check.name(), printable(&finding.found));
            writeln!(f, "{mark:<4}   {name:<12}   {found}")?;
            if let Some(to_do) = &finding.to_do {
                writeln!(f, "{:22}→ {}", "", printable(to_do))?;
            }
        }
        let skipped = self.names(Mark::Skipped);
        if !skipped.is_empty() {
            writeln!(f, "Not looked at, because of that: {skipped}.")?;
        }
        Ok(())
    }
}
