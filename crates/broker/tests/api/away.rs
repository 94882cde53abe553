use std::time::{Duration, Instant};

use brokkr_client::Poll;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::harness::*;

/// Refuses the broker its database, or gives it back.
pub async fn allow(url: &str, is_allowed: bool) {
    let server =
        std::env::var("BROKKR_TEST_POSTGRES").expect("BROKKR_TEST_POSTGRES: run `make test`");
    let mut connection = PgConnection::connect(&server)
        .await
        .expect("PostgreSQL answers");
    let name = postgres_name(url);
    let rights = format!("alter database {name} allow_connections {is_allowed}");
    sqlx::raw_sql(AssertSqlSafe(rights))
        .execute(&mut connection)
        .await
        .expect("altered");
    let end =
        format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
    sqlx::raw_sql(AssertSqlSafe(end))
        .execute(&mut connection)
        .await
        .expect("terminated");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn polls_are_served_while_the_database_is_away() {
    let database = Database::create(Engine::Postgres).await;
    let broker = database.start().await;
    let admin = broker.client(&database.admin_key());
    let agent = broker.client(&create_agent(&admin, "edge").await);
    create_stack(&admin, "shop").await;
    target(&admin, "edge", "shop").await;
    publish(&admin, "shop", config_map("a", "1")).await;
    let poll = agent
        .target_state(None, Duration::ZERO, Duration::ZERO)
        .await
        .expect("a state");
    let Poll::Changed { etag, .. } = poll else {
        panic!("a first poll has an answer")
    };
    allow(&database.url, false).await;

    let deadline = Instant::now() + Duration::from_secs(30);
    while readiness(&broker).await != (200, "degraded: the database does not answer\n".to_owned()) {
        assert!(Instant::now() < deadline, "{:?}", readiness(&broker).await);
        let asked = Instant::now();
        let poll = agent
            .target_state(Some(&etag), Duration::ZERO, Duration::ZERO)
            .await;
        assert!(matches!(poll, Ok(Poll::Unchanged)), "{poll:?}");
        assert!(
            asked.elapsed() < Duration::from_secs(4),
            "the poll waited for the database"
        );
    }
    let waits = agent
        .target_state(None, Duration::ZERO, Duration::ZERO)
        .await
        .expect("a state");
    assert!(
        matches!(waits, Poll::Changed { .. }),
        "the whole state is in memory too"
    );

    allow(&database.url, true).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while readiness(&broker).await != (200, "ok\n".to_owned()) {
        assert!(Instant::now() < deadline, "{:?}", readiness(&broker).await);
    }
    assert_eq!(
        publish(&admin, "shop", config_map("a", "2"))
            .await
            .deployment_object
            .sequence,
        2
    );
    broker.stop().await;
}

async fn readiness(broker: &TestBroker) -> (u16, String) {
    tokio::time::sleep(Duration::from_millis(100)).await;
    let answer = reqwest::get(format!("{}/readyz", broker.server))
        .await
        .expect("an answer");
    (
        answer.status().as_u16(),
        answer.text().await.expect("a body"),
    )
}
