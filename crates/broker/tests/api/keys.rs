use std::time::Duration;

use brokkr_client::{Client, KeyFilter, Poll};
use brokkr_core::KeyId;
use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::{Code, CreateKey, CreatedKey, Key, KeyOwner, KeyState, RotateKey};
use jiff::SignedDuration;

use crate::harness::*;

on_both_engines!(
    keys_are_listed_by_owner_and_never_shown,
    the_last_good_admin_key_stays,
    the_last_use_is_shown_at_once_and_kept,
);

mod ending;
mod limit;
mod rotating;

const LONG: Duration = Duration::from_secs(40);

impl Timed {
    async fn state(&self, key: KeyId) -> KeyState {
        self.admin.key(key).await.expect("a key").state
    }

    /// Whether a key opens; asking is using it.
    async fn opens(&self, pak: &Pak) -> bool {
        opens(&self.broker.client(pak)).await
    }

    async fn ends(&self, pak: &Pak, why: &str) {
        eventually(why, async || !self.opens(pak).await).await;
    }
}

async fn opens(client: &Client) -> bool {
    match client.me().await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.code(), Some(Code::Unauthenticated), "{error}");
            false
        }
    }
}

fn create(owner: KeyOwner, key: &str) -> CreateKey {
    CreateKey {
        owner,
        name: key.parse().expect("a name"),
        expires_in: None,
        expires_at: None,
    }
}

fn pak(text: &str) -> Pak {
    text.parse().expect("a key")
}

async fn another(admin: &Client, agent: &str) -> (Key, Pak) {
    let create = create(KeyOwner::Agent(name(agent)), "spare");
    let CreatedKey { key, pak: text } = admin.create_key(&create).await.expect("a key");
    (key, pak(&text))
}

async fn etag(client: &Client) -> String {
    let poll = client
        .target_state(None, Duration::ZERO, Duration::from_secs(10))
        .await;
    match poll.expect("a state") {
        Poll::Changed { etag, .. } => etag,
        Poll::Unchanged => panic!("a first poll has an answer"),
    }
}

async fn keys_are_listed_by_owner_and_never_shown(engine: Engine) {
    let timed = Timed::set(engine).await;
    let Timed { admin, broker, .. } = &timed;
    let first = create_agent(admin, "edge").await;
    let generator = create_generator(admin, "ci").await;
    let (spare, spare_pak) = another(admin, "edge").await;
    let expiring = CreateKey {
        expires_in: Some(60),
        ..create(KeyOwner::Generator(name("ci")), "weekly")
    };
    let expiring = admin.create_key(&expiring).await.expect("a key").key;

    let edge = KeyFilter {
        agent: Some(name("edge")),
        ..KeyFilter::default()
    };
    let of = async |client: &Client, filter: &KeyFilter| -> Vec<KeyId> {
        let keys = client.keys(filter).await.expect("keys");
        keys.into_iter().map(|key| key.id).collect()
    };
    assert_eq!(of(admin, &edge).await, [first.id(), spare.id]);
    let ci = KeyFilter {
        generator: Some(name("ci")),
        ..KeyFilter::default()
    };
    assert_eq!(of(admin, &ci).await, [generator.id(), expiring.id]);
    let admins = KeyFilter {
        role: Some(Role::Admin),
        ..KeyFilter::default()
    };
    assert_eq!(of(admin, &admins).await.len(), 1);
    let all = KeyFilter::default();
    assert_eq!(of(admin, &all).await.len(), 5);
    assert_eq!(
        of(&broker.client(&spare_pak), &all).await,
        [first.id(), spare.id],
        "an agent sees its own"
    );
    assert_eq!(expiring.expires_in, Some(60));
    let lasts = expiring
        .ends_at
        .expect("an end")
        .duration_since(expiring.created_at);
    assert_eq!(lasts, SignedDuration::from_secs(60));

    let url = format!("{}/api/v1/keys", broker.server);
    let mut pages = 0;
    let mut cursor = String::new();
    loop {
        let url = format!("{url}?limit=2{cursor}");
        let request = reqwest::Client::new().get(url);
        let request = request.bearer_auth(timed.database.admin_key().expose());
        let text = request
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("a page");
        assert!(
            !text.contains("hash") && !text.contains("brokkr_"),
            "{text}"
        );
        pages += 1;
        let page: serde_json::Value = serde_json::from_str(&text).expect("a page");
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(pages, 3, "five keys, two a page");
    timed.broker.stop().await;
}

async fn the_last_good_admin_key_stays(engine: Engine) {
    let timed = Timed::set(engine).await;
    let Timed {
        admin,
        database,
        broker,
        ..
    } = &timed;
    let first = database.admin_key().id();
    let refused = async |key| {
        let refusal = admin.revoke_key(key).await.expect_err("the last one stays");
        assert_eq!(refusal.code(), Some(Code::LastAdminKey), "{refusal}");
    };
    refused(first).await;
    // Neither a key that was never used nor one that is over counts.
    let unused = admin
        .rotate_key(first, &RotateKey::default())
        .await
        .expect("a new key");
    refused(first).await;
    let short = CreateKey {
        expires_in: Some(60),
        ..create(KeyOwner::Admin, "short")
    };
    admin.create_key(&short).await.expect("a key");
    timed.clock.pass(SignedDuration::from_secs(60));
    refused(first).await;
    let other = admin
        .create_key(&create(KeyOwner::Admin, "other"))
        .await
        .expect("a key");
    let other_client = broker.client(&pak(&other.pak));
    // The key in use, by itself.
    admin.revoke_key(first).await.expect("another one is good");
    assert!(!opens(admin).await);
    let refusal = other_client
        .revoke_key(other.key.id)
        .await
        .expect_err("the last one");
    assert_eq!(refusal.code(), Some(Code::LastAdminKey), "{refusal}");
    other_client
        .revoke_key(unused.key.id)
        .await
        .expect("revoked");
    other_client
        .revoke_key(unused.key.id)
        .await
        .expect("it is over already");
    timed.broker.stop().await;
}

async fn the_last_use_is_shown_at_once_and_kept(engine: Engine) {
    let Timed {
        admin,
        database,
        broker,
        ..
    } = Timed::set(engine).await;
    let agent = create_agent(&admin, "edge").await;
    assert_eq!(
        admin.key(agent.id()).await.expect("a key").last_used_at,
        None
    );
    let client = broker.client(&agent);
    let tag = etag(&client).await;
    let reads = broker.broker.database_reads();
    let writes = ingest(&database).await;
    for _ in 0..500 {
        let poll = client
            .target_state(Some(&tag), Duration::ZERO, Duration::from_secs(10))
            .await;
        assert!(matches!(poll.expect("an answer"), Poll::Unchanged));
    }
    assert_eq!(
        broker.broker.database_reads(),
        reads,
        "no request reads for it"
    );
    let written = ingest(&database).await - writes;
    // Beside a flush or two there may be what a start looks through to forget it.
    assert!(written <= 15, "fewer than polls: {written}");
    let used = admin
        .key(agent.id())
        .await
        .expect("a key")
        .last_used_at
        .expect("a use");
    broker.stop().await;
    let broker = database.start().await;
    let admin = broker.client(&database.admin_key());
    let kept = admin.key(agent.id()).await.expect("a key").last_used_at;
    assert_eq!(kept, Some(used));
    broker.stop().await;
}

/// How many groups of reports were ever written.
async fn ingest(database: &Database) -> i64 {
    database.number("select ingest from broker").await
}
