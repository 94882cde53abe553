//! Data goes to stdout in the form that was asked for: a table for eyes, the rest for programs.

mod live;
mod printable;
mod table;

use std::io::{self, Write as _};

use brokkr_core::ambient::{Ambient as _, System};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;

pub use live::Live;
pub use printable::{printable, printable_lines};
pub use table::{Cell, age};

use crate::terminal;

/// Something that is shown as a line of a table, or whole.
pub trait Row: Serialize {
    /// What other commands take to mean this row.
    fn name(&self) -> String;

    /// The line of the table.
    fn cells(&self) -> Vec<Cell>;

    /// What has to differ for it to be another than it was.
    fn state(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

impl<R: Row> Row for &R {
    fn name(&self) -> String {
        (*self).name()
    }

    fn cells(&self) -> Vec<Cell> {
        (*self).cells()
    }

    fn state(&self) -> anyhow::Result<String> {
        (*self).state()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// What matters, with ages
    Table,
    /// Everything, with times
    Wide,
    /// As the API has it
    Json,
    /// The same as YAML
    Yaml,
    /// Names only, one a line
    Name,
}

/// In which form to show data.
#[derive(Args)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// In which form to show data
    #[arg(
        long = "output",
        short = 'o',
        env = "BROKKR_OUTPUT",
        value_name = "FORMAT"
    )]
    #[arg(value_enum, default_value = "table")]
    format: Format,
}

impl Output {
    /// Shows rows; for programs, as a list.
    pub fn list<R: Row>(&self, rows: &[R]) -> anyhow::Result<()> {
        if rows.is_empty() && matches!(self.format, Format::Table | Format::Wide) {
            terminal::say("There are none.");
        }
        write(&self.render(rows, rows, System.now())?)
    }

    /// Shows rows; for programs, the whole that they are lines of.
    pub fn rows<R: Row>(&self, rows: &[R], whole: &impl Serialize) -> anyhow::Result<()> {
        write(&self.render(rows, whole, System.now())?)
    }

    /// Shows one row; for programs, the row itself.
    pub fn one<R: Row>(&self, row: &R) -> anyhow::Result<()> {
        write(&self.render(std::slice::from_ref(row), row, System.now())?)
    }

    /// Rows that follow others, without the head of the table unless they are the first; for programs, each for itself.
    fn lines<R: Row>(&self, rows: &[R], are_first: bool) -> anyhow::Result<String> {
        match self.format {
            Format::Json => rows
                .iter()
                .map(|row| Ok(printable::json(&serde_json::to_string(row)?) + "\n"))
                .collect(),
            Format::Yaml => rows
                .iter()
                .map(|row| Ok(format!("---\n{}", yaml(row)?)))
                .collect(),
            Format::Name => self.render(rows, rows, System.now()),
            Format::Table | Format::Wide => {
                let text = self.render(rows, rows, System.now())?;
                let skipped = usize::from(!are_first);
                Ok(text.split_inclusive('\n').skip(skipped).collect())
            }
        }
    }

    /// Shows data that is no row, for programs.
    pub fn whole(&self, data: &impl Serialize) -> anyhow::Result<()> {
        write(&match self.format {
            Format::Yaml => yaml(data)?,
            _ => json(data)?,
        })
    }

    /// Whether only names are shown, so that nothing but a name may stand on stdout.
    pub fn is_name(&self) -> bool {
        self.format == Format::Name
    }

    /// Whether a program will read the whole data.
    pub fn is_structured(&self) -> bool {
        matches!(self.format, Format::Json | Format::Yaml)
    }

    fn render<R: Row>(
        &self,
        rows: &[R],
        whole: &(impl Serialize + ?Sized),
        now: Timestamp,
    ) -> anyhow::Result<String> {
        let cells = || rows.iter().map(Row::cells).collect();
        Ok(match self.format {
            Format::Table => table::narrow(cells(), now),
            Format::Wide => table::wide(cells()),
            Format::Json => json(whole)?,
            Format::Yaml => yaml(whole)?,
            Format::Name => rows.iter().map(|row| row.name() + "\n").collect(),
        })
    }
}

/// The table that a person sees.
pub fn narrow<R: Row>(rows: &[R]) -> String {
    table::narrow(rows.iter().map(Row::cells).collect(), System.now())
}

fn json(data: &(impl Serialize + ?Sized)) -> anyhow::Result<String> {
    Ok(printable::json(&serde_json::to_string_pretty(data)?) + "\n")
}

fn yaml(data: &(impl Serialize + ?Sized)) -> anyhow::Result<String> {
    Ok(printable::yaml(&serde_saphyr::to_string(&data)?))
}

/// Writes a YAML of several documents to stdout.
pub fn documents(documents: &[impl Serialize]) -> anyhow::Result<()> {
    for document in documents {
        write(&format!("---\n{}", yaml(document)?))?;
    }
    Ok(())
}

/// Writes data to stdout.
pub fn write(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

#[cfg(test)]
mod tests;
