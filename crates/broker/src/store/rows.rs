//! Many rows in one statement.

use brokkr_core::{AgentId, StackId};
use sqlx::postgres::PgHasArrayType;
use sqlx::{
    Database, Encode, Executor, FromRow, IntoArguments, Postgres, QueryBuilder, Sqlite, Type,
};
use uuid::Uuid;

/// The most rows of a statement: more gain nothing.
const MOST: usize = 256;

/// Cuts rows into pieces whose lengths are powers of two, largest first, so that few different statements are prepared
/// and each of them often used again.
pub(super) fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = 1 << rows.len().min(MOST).checked_ilog2()?;
        let (piece, rest) = rows.split_at(length);
        rows = rest;
        Some(piece)
    })
}

/// Rows that a statement brings along, as a query that it reads them from.
pub(super) trait BringRows<Row> {
    /// Adds them to the statement. Each engine has its own fastest way: SQLite takes a value at a time, PostgreSQL a column.
    fn bring(&mut self, rows: impl Iterator<Item = Row>) -> &mut Self;
}

macro_rules! bring_rows {
    ($($type:ident $value:ident),+) => {
        impl<'q, $($type: 'q + Encode<'q, Sqlite> + Type<Sqlite>),+> BringRows<($($type,)+)> for QueryBuilder<Sqlite> {
            fn bring(&mut self, rows: impl Iterator<Item = ($($type,)+)>) -> &mut Self {
                self.push_values(rows, |mut row, ($($value,)+)| {
                    $(row.push_bind($value);)+
                })
            }
        }

        impl<'q, $($type: 'q + Encode<'q, Postgres> + Type<Postgres> + PgHasArrayType),+> BringRows<($($type,)+)>
            for QueryBuilder<Postgres>
        {
            fn bring(&mut self, rows: impl Iterator<Item = ($($type,)+)>) -> &mut Self {
                let ($($value,)+): ($(Vec<$type>,)+) = rows.collect();
                self.push("select * from unnest(");
                let mut columns = self.separated(", ");
                $(columns.push_bind($value);)+
                self.push(")")
            }
        }
    };
}

bring_rows!(A a, B b);
bring_rows!(A a, B b, C c);
bring_rows!(A a, B b, C c, D d, E e, F f);
bring_rows!(A a, B b, C c, D d, E e, F f, G g, H h, I i, J j);
bring_rows!(A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k, L l);

/// Runs statements one after the other, and answers with all their rows. Each is put together while the database is busy
/// with the one before.
pub(super) async fn in_turn<DB, C, T>(
    mut statements: impl Iterator<Item = QueryBuilder<DB>>,
    connection: &mut C,
) -> sqlx::Result<Vec<T>>
where
    DB: Database,
    DB::Arguments: IntoArguments<DB>,
    for<'c> &'c mut C: Executor<'c, Database = DB>,
    T: for<'r> FromRow<'r, DB::Row> + Send + Unpin,
{
    let mut rows = Vec::new();
    let mut next = statements.next();
    while let Some(mut statement) = next {
        let answer = statement.build_query_as().fetch_all(&mut *connection);
        let (answer, following) = tokio::join!(answer, async { statements.next() });
        rows.extend(answer?);
        next = following;
    }
    Ok(rows)
}

/// Agents' stacks, as their columns are read.
pub(super) fn pairs(rows: Vec<(Uuid, Uuid)>) -> impl Iterator<Item = (AgentId, StackId)> {
    rows.into_iter()
        .map(|(agent, stack)| (agent.into(), stack.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_are_all_of_it_in_its_order_and_of_few_lengths(count in 0..1_000_usize) {
            let rows: Vec<_> = (0..count).collect();
            let pieces: Vec<_> = pieces(&rows).collect();
            prop_assert!(pieces.iter().all(|piece| piece.len().is_power_of_two() && piece.len() <= MOST));
            prop_assert!(pieces.len() <= count / MOST + 8);
            prop_assert_eq!(pieces.concat(), rows);
        }
    }
}
