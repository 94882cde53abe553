//! Lists in pages: a window into rows ordered by id, and the cursor of the next one.

use brokkr_core::wire::Page;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::error::{Error, Result};

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 500;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// At most so many rows: 1 to 500, 100 if absent.
    #[param(minimum = 1, maximum = 500)]
    pub(crate) limit: Option<u32>,
    /// The `next` of the page before.
    pub(crate) cursor: Option<String>,
}

/// Rows after one id, and one more than asked for, which tells whether there is a next page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) after: Uuid,
    limit: usize,
}

impl PageQuery {
    pub(crate) fn window(&self) -> Result<Window> {
        let after = match &self.cursor {
            None => Uuid::nil(),
            Some(cursor) => cursor.parse().map_err(|_| invalid_cursor())?,
        };
        Ok(Window {
            after,
            limit: limit(self.limit)?,
        })
    }
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

impl Window {
    /// How many rows to read.
    pub(crate) fn rows(&self) -> i64 {
        i64::try_from(self.limit)
            .unwrap_or(i64::MAX)
            .saturating_add(1)
    }

    /// Whether so many rows are all that a page needs.
    pub(crate) const fn is_full(&self, rows: usize) -> bool {
        rows > self.limit
    }

    /// The page of the rows that were read.
    pub(crate) fn page<T>(&self, rows: Vec<T>, id: impl Fn(&T) -> Uuid) -> Page<T> {
        paged(rows, self.limit, |row| id(row).to_string())
    }
}

/// The page of `limit + 1` rows.
pub(crate) fn paged<T>(rows: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Page<T> {
    let found = rows.len();
    clipped(rows, limit, found, cursor)
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
