//! What a user can see of Brokkr, told with the real binary on both database engines and a real
//! Kubernetes API. One file tells one behaviour.

/// Makes two tests of each story: one on SQLite, one on PostgreSQL.
macro_rules! on_both_engines {
    (without a cluster: $($story:ident),+ $(,)?) => {
        mod on_sqlite {$(test!($story on Sqlite);)+}
        mod on_postgres {$(test!(#[ignore = "needs PostgreSQL: make test"] $story on Postgres);)+}
    };
    ($($story:ident),+ $(,)?) => {
        mod on_sqlite {$(
            test!(#[ignore = "needs a cluster: make test"] $story on Sqlite);
        )+}
        mod on_postgres {$(
            test!(#[ignore = "needs PostgreSQL and a cluster: make test"] $story on Postgres);
        )+}
    };
}

macro_rules! test {
    ($(#[$attribute:meta])? $story:ident on $engine:ident) => {
        #[tokio::test(flavor = "multi_thread")]
        $(#[$attribute])?
        async fn $story() -> Result<(), brokkr_e2e::Failure> {
            brokkr_e2e::perform(brokkr_e2e::Engine::$engine, super::$story).await
        }
    };
}

mod agent_key;
mod answers;
mod backup;
mod bad_fields;
mod bad_keys;
mod bad_manifests;
mod bad_requests;
mod bad_types;
mod broken_inside;
mod broker_away;
mod busy_api_server;
mod bystanders;
mod cli;
mod conflict;
mod disasters;
mod doctor;
mod environment;
mod example;
mod facts;
mod fail_points;
mod failing_disk;
mod finalizer;
mod foreign_history;
mod foreign_rows;
mod health;
mod identity;
mod injection;
mod isolation;
mod kept;
mod keys;
mod kill_agent;
mod kill_broker;
mod limits;
mod losses;
mod lost_api_server;
mod migrating;
mod network;
mod one_history;
mod orphan;
mod pauses;
mod poison;
mod power_loss;
mod prune;
mod raw_requests;
mod rbac;
mod removal;
mod replicas;
mod reports;
mod requests;
mod retarget;
mod retiring;
mod retry;
mod roles;
mod service_accounts;
mod settings;
mod simulating;
mod targeting;
mod targeting_by_hand;
mod tls;
mod too_much;
mod trouble;
mod update;
mod upgrade;
mod victim;
mod watch;
mod windows;
