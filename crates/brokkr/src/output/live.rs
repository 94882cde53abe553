use std::collections::HashMap;
use std::io::{self, IsTerminal};

use super::{Format, Output, Row, write};
use crate::terminal::say;

/// Clears what can be seen, and leaves what was scrolled away.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Rows that are shown again when they change. A person at a terminal sees the table as it is now; whoever reads a pipe gets the
/// rows that changed, each as a line or a document of its own.
pub struct Live<'a> {
    output: &'a Output,
    is_screen: bool,
    shown: HashMap<String, String>,
    has_begun: bool,
}

impl Output {
    /// Shows rows as they change.
    pub fn live(&self) -> Live<'_> {
        let is_table = matches!(self.format, Format::Table | Format::Wide);
        Live {
            output: self,
            is_screen: is_table && io::stdout().is_terminal(),
            shown: HashMap::new(),
            has_begun: false,
        }
    }
}

impl Live<'_> {
    /// Shows rows as they are now, under a line that says what they are.
    pub fn show<R: Row>(&mut self, title: &str, rows: &[R]) -> anyhow::Result<()> {
        if self.is_screen {
            write(&format!("{CLEAR}{title}\n\n"))?;
            return self.output.list(rows);
        }
        let text = self.changed(rows)?;
        write(&text)
    }

    /// What a pipe gets.
    fn changed<R: Row>(&mut self, rows: &[R]) -> anyhow::Result<String> {
        let mut before = std::mem::take(&mut self.shown);
        let mut changed = Vec::new();
        for row in rows {
            let (name, state) = (row.name(), row.state()?);
            if before.remove(&name).as_ref() != Some(&state) {
                changed.push(row);
            }
            self.shown.insert(name, state);
        }
        for gone in before.keys() {
            say(&format!("{gone} is no longer among them"));
        }
        let text = self.output.lines(&changed, !self.has_begun)?;
        self.has_begun |= !changed.is_empty();
        Ok(text)
    }
}
