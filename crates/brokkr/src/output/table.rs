//! Tables without borders, as `kubectl` prints them.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use jiff::Timestamp;

use super::printable;

/// A value with the header of its column.
pub struct Cell {
    header: &'static str,
    value: Value,
    shown: Shown,
    is_whole: bool,
}

#[derive(PartialEq, Eq)]
enum Shown {
    Always,
    OnlyNarrow,
    OnlyWide,
}

enum Value {
    Text(String),
    Time(Option<Timestamp>),
}

impl Cell {
    /// Something to read.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers hand over what they have just made"
    )]
    pub fn text(header: &'static str, value: impl ToString) -> Self {
        Self::new(header, Value::Text(printable(&value.to_string())))
    }

    /// Something to read, if it is there.
    pub fn optional(header: &'static str, value: Option<impl ToString>) -> Self {
        Self::text(header, value.map_or_else(String::new, |v| v.to_string()))
    }

    /// A moment: its age in a narrow table, its time in a wide one.
    pub fn time(header: &'static str, time: impl Into<Option<Timestamp>>) -> Self {
        Self::new(header, Value::Time(time.into()))
    }

    /// The same, however long: the last column, whose end may be what to do.
    pub fn whole(mut self) -> Self {
        self.is_whole = true;
        self
    }

    /// The same, only where there is room.
    pub fn wide(mut self) -> Self {
        self.shown = Shown::OnlyWide;
        self
    }

    /// The same, only where room is scarce.
    pub fn narrow(mut self) -> Self {
        self.shown = Shown::OnlyNarrow;
        self
    }

    fn new(header: &'static str, value: Value) -> Self {
        Self {
            header,
            value,
            shown: Shown::Always,
            is_whole: false,
        }
    }
}

/// What matters, in lines that fit a screen.
pub fn narrow(rows: Vec<Vec<Cell>>, now: Timestamp) -> String {
    render(rows, &Shown::OnlyWide, |cell| match &cell.value {
        Value::Text(text) if cell.is_whole => text.clone(),
        Value::Text(text) => shortened(text),
        Value::Time(time) => time.map_or_else(nothing, |time| age(time, now)),
    })
}

/// Everything there is.
pub fn wide(rows: Vec<Vec<Cell>>) -> String {
    render(rows, &Shown::OnlyNarrow, |cell| match &cell.value {
        Value::Text(text) => text.clone(),
        Value::Time(time) => time.map_or_else(nothing, |time| time.to_string()),
    })
}

fn render(mut rows: Vec<Vec<Cell>>, hidden: &Shown, show: impl Fn(&Cell) -> String) -> String {
    for row in &mut rows {
        row.retain(|cell| cell.shown != *hidden);
    }
    let Some(first) = rows.first() else {
        return String::new();
    };
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(first.iter().map(|cell| cell.header));
    for row in &rows {
        table.add_row(row.iter().map(|cell| match show(cell) {
            text if text.is_empty() => nothing(),
            text => text,
        }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn nothing() -> String {
    "-".to_owned()
}

/// Enough for a reason that says something, too little for one that goes on and on.
const LONGEST: usize = 200;

fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// How long ago, in the largest unit that still tells something.
pub fn age(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(time).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}
