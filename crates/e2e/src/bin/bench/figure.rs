use std::fmt;

use anyhow::Result;
use brokkr_e2e::repository;
use comfy_table::Table;
use serde::{Serialize, Serializer};

/// One figure: the median of several runs, with their range.
#[derive(Serialize)]
pub struct Figure {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
    pub low: f64,
    pub high: f64,
    pub must: Must,
    pub ok: bool,
}

/// The bound that the median must keep.
#[derive(Clone, Copy)]
pub enum Must {
    AtLeast(f64),
    AtMost(f64),
    /// It is only shown.
    Nothing,
}

impl Figure {
    /// The figure of these runs.
    pub fn of(name: &'static str, unit: &'static str, runs: &[f64], must: Must) -> Self {
        let mut runs = runs.to_vec();
        runs.sort_by(f64::total_cmp);
        let at = |index: usize| runs.get(index).copied().unwrap_or(f64::NAN);
        let value = at(runs.len() / 2);
        let ok = match must {
            Must::AtLeast(bound) => value >= bound,
            Must::AtMost(bound) => value <= bound,
            Must::Nothing => true,
        };
        Self {
            name,
            value,
            unit,
            low: at(0),
            high: at(runs.len().saturating_sub(1)),
            must,
            ok,
        }
    }
}

/// The value below which 99 of 100 samples are.
pub fn p99(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    let index = (samples.len() * 99).div_ceil(100).saturating_sub(1);
    samples.get(index).copied().unwrap_or(f64::NAN)
}

/// For people.
pub fn table(figures: &[Figure]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["FIGURE", "VALUE", "UNIT", "RANGE", "MUST", ""]);
    for figure in figures {
        table.add_row([
            figure.name.to_owned(),
            format!("{:.2}", figure.value),
            figure.unit.to_owned(),
            format!("{:.2}..{:.2}", figure.low, figure.high),
            figure.must.to_string(),
            if figure.ok { "ok" } else { "MISSED" }.to_owned(),
        ]);
    }
    table
}

/// For programs.
pub fn write(figures: &[Figure]) -> Result<()> {
    let folder = repository().join("target/bench");
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(
        folder.join("results.json"),
        serde_json::to_vec_pretty(figures)?,
    )?)
}

impl fmt::Display for Must {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, ">= {bound}"),
            Self::AtMost(bound) => write!(f, "<= {bound}"),
            Self::Nothing => f.write_str("-"),
        }
    }
}

impl Serialize for Must {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
