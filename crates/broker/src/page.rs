//! Lists in pages: a window into rows in some order, and the cursor of the next one.

use std::fmt::Display;
use std::io::{self, Write};
use std::str::FromStr;

use brokkr_core::wire::Page;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::error::{Error, Result};

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 500;
/// A page has so many bytes of JSON, or one row more.
pub(crate) const BYTES: usize = 512 * 1024;
/// So many rows are read first, each of which may be large, and so many at once then.
const FIRST: usize = 8;
const AT_ONCE: usize = 128;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// At most so many rows: 1 to 500, 100 if absent. There are fewer where they are large, and a `next` as long as there are more.
    #[param(minimum = 1, maximum = 500)]
    pub(crate) limit: Option<u32>,
    /// The `next` of the page before.
    pub(crate) cursor: Option<String>,
}

impl PageQuery {
    /// The page that is asked for, of rows in the order of what `C` says of them, from the first possible one on.
    pub(crate) fn page<C: FromStr, T>(&self, first: C) -> Result<Filling<C, T>> {
        let from = match &self.cursor {
            None => first,
            Some(cursor) => cursor.parse().map_err(|_| invalid_cursor())?,
        };
        Ok(Filling {
            limit: limit(self.limit)?,
            from,
            rows: Vec::new(),
            bytes: 0,
            asked: 0,
            end: None,
        })
    }

    /// The page that is asked for, of rows in the order of their ids.
    pub(crate) fn page_by_id<T>(&self) -> Result<Filling<Uuid, T>> {
        self.page(Uuid::nil())
    }
}

/// Which rows are read: so many beyond one, in the order of the list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<C> {
    pub(crate) beyond: C,
    rows: usize,
}

impl<C> Window<C> {
    /// How many rows to read.
    pub(crate) fn rows(&self) -> i64 {
        i64::try_from(self.rows).unwrap_or(i64::MAX)
    }
}

/// A page that is being filled, a few rows at a time: it ends with as many as were asked for, or as soon as they are enough bytes, for
/// one row may be as large as hundreds of others.
pub(crate) struct Filling<C, T> {
    limit: usize,
    /// Where it begins.
    from: C,
    rows: Vec<(C, T)>,
    /// What they are in JSON.
    bytes: usize,
    /// How many rows were wanted last.
    asked: usize,
    end: Option<End>,
}

/// Why a page ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    OfRows,
    OfPage,
}

impl<C: Copy + Display, T: Serialize> Filling<C, T> {
    /// What to read next; nothing if the page is complete.
    pub(crate) fn wanted(&mut self) -> Option<Window<C>> {
        if self.end.is_some() {
            return None;
        }
        // One more tells whether there is a next page.
        let rows = self.limit + 1 - self.rows.len();
        self.asked = rows.min(self.at_once());
        let last = self.rows.last().map(|(at, _)| *at);
        Some(Window {
            beyond: last.unwrap_or(self.from),
            rows: self.asked,
        })
    }

    /// So many rows are about what is still wanted; the first few tell how large they are.
    fn at_once(&self) -> usize {
        let Some(average) = self.bytes.checked_div(self.rows.len()) else {
            return FIRST;
        };
        let rest = BYTES.saturating_sub(self.bytes);
        (rest / average.max(1)).clamp(1, AT_ONCE)
    }

    /// Adds what was read, each row with its place in the order.
    pub(crate) fn add(&mut self, rows: impl IntoIterator<Item = (C, T)>) {
        let mut found = 0;
        for (at, row) in rows {
            if self.rows.len() == self.limit || self.bytes >= BYTES {
                self.end = Some(End::OfPage);
                return;
            }
            found += 1;
            self.bytes += size(&row);
            self.rows.push((at, row));
        }
        if found < self.asked {
            self.end = Some(End::OfRows);
        }
    }

    /// The page, with the cursor of the next one.
    pub(crate) fn page(self) -> Page<T> {
        let last = self.rows.last().map(|(at, _)| at.to_string());
        Page {
            next: last.filter(|_| self.end == Some(End::OfPage)),
            items: self.rows.into_iter().map(|(_, row)| row).collect(),
        }
    }
}

/// How many bytes a row has in JSON.
fn size(row: &impl Serialize) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // What cannot be written is told when it is.
    let _ = serde_json::to_writer(&mut count, row);
    count.0
}

pub(crate) fn invalid_cursor() -> Error {
    Error::invalid(
        "/cursor",
        "this is not a cursor: pass the `next` of the page before, unchanged",
    )
}

/// How many rows a page has.
pub(crate) fn limit(asked: Option<u32>) -> Result<usize> {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    if limit == 0 || limit > MAX_LIMIT {
        return Err(Error::invalid(
            "/limit",
            format!("limit must be 1 to {MAX_LIMIT}"),
        ));
    }
    Ok(usize::try_from(limit).unwrap_or(1))
}

/// The page of rows that may be fewer than the `limit + 1` that were found.
pub(crate) fn clipped<T>(
    mut rows: Vec<T>,
    limit: usize,
    found: usize,
    cursor: impl Fn(&T) -> String,
) -> Page<T> {
    rows.truncate(limit);
    let more = found > rows.len();
    let next = if more { rows.last().map(cursor) } else { None };
    Page { items: rows, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a page of numbers from 1 on, up to a last one, each as a text of so many bytes.
    fn read(query: &PageQuery, last: u64, bytes: usize) -> (Vec<u64>, Option<String>, usize) {
        let mut page = query.page(0).expect("a page");
        let mut reads = 0;
        while let Some(window) = page.wanted() {
            reads += 1;
            let rows = usize::try_from(window.rows()).expect("a few");
            let numbers = (window.beyond + 1..=last).take(rows);
            page.add(numbers.map(|number| (number, (number, "x".repeat(bytes)))));
        }
        let Page { items, next } = page.page();
        let numbers = items.into_iter().map(|(number, _)| number);
        (numbers.collect(), next, reads)
    }

    fn query(limit: u32, cursor: Option<String>) -> PageQuery {
        PageQuery {
            limit: Some(limit),
            cursor,
        }
    }

    #[test]
    fn pages_have_every_row_once() {
        for (last, limit, bytes) in [
            (0, 5, 1),
            (5, 5, 1),
            (6, 5, 1),
            (500, 500, 1),
            (1_000, 500, 1),
            (300, 128, 40_000),
            (64, 500, BYTES / 64),
            (20, 500, BYTES),
            (3, 1, 2 * BYTES),
        ] {
            let (mut all, mut cursor) = (Vec::new(), None);
            loop {
                let (page, next, _) = read(&query(limit, cursor), last, bytes);
                assert!(page.len() <= limit as usize);
                assert!(
                    page.len() * bytes <= BYTES + bytes,
                    "{last} {limit} {bytes}"
                );
                assert!(next.is_none() || !page.is_empty());
                all.extend(page);
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(
                all,
                (1..=last).collect::<Vec<_>>(),
                "{last} {limit} {bytes}"
            );
        }
    }

    #[test]
    fn rows_are_read_a_few_at_a_time() {
        let (page, next, reads) = read(&query(500, None), 1_000, 1);
        assert_eq!((page.len(), next.as_deref()), (500, Some("500")));
        assert_eq!(reads, 1 + (501 - FIRST).div_ceil(AT_ONCE));
        let (page, _, reads) = read(&query(500, None), 1_000, BYTES);
        assert_eq!((page.len(), reads), (1, 1));
    }
}
