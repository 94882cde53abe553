//! Signing in to the console: a cookie in the place of the key, for a while, and for the broker's own page alone.

use brokkr_core::ambient::{Ambient as _, System};
use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::{AuditAction, CreateKey, KeyOwner, Me, SignedIn};
use jiff::SignedDuration;
use reqwest::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method, Response};

use crate::harness::*;

on_both_engines!(
    a_sign_in_is_as_good_as_its_key,
    a_sign_in_by_tls_is_nobody_elses_to_set,
    a_sign_in_ends_no_later_than_its_key,
    only_the_own_page_changes_anything,
    a_sign_in_ends_after_twelve_hours_and_with_its_key,
    who_signs_out_is_out,
    a_sign_in_outlives_a_restart,
    the_oldest_of_many_ends,
);

/// Somebody who signed in, as a browser keeps it.
struct Browser {
    server: String,
    cookie: String,
}

impl Browser {
    async fn signed_in(broker: &TestBroker, key: &Pak) -> Self {
        let answer = sign_in(broker, key).await;
        assert_eq!(answer.status(), 201);
        let set = answer.headers()[SET_COOKIE]
            .to_str()
            .expect("text")
            .to_owned();
        for attribute in ["Path=/api/v1", "HttpOnly", "SameSite=Strict"] {
            assert!(set.split("; ").any(|part| part == attribute), "{attribute}");
        }
        let told: SignedIn = answer.json().await.expect("an answer");
        assert!(told.expires_at > System.now());
        assert_eq!(told.me.key, key.id());
        let cookie = set.split(';').next().expect("a cookie").to_owned();
        assert!(!cookie.contains(key.expose()));
        Self {
            server: broker.server.clone(),
            cookie,
        }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
        let is_create = path == "/stacks";
        let request = Client::new().request(method, format!("{}/api/v1{path}", self.server));
        let mut request = request.header(COOKIE, &self.cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if is_create {
            request = request.json(&serde_json::json!({"name": "shop"}));
        }
        request.send().await.expect("an answer")
    }

    async fn reads(&self) -> u16 {
        self.ask(Method::GET, "/me", &[]).await.status().as_u16()
    }

    async fn does(&self, method: Method, path: &str) -> u16 {
        let headers = [
            (ORIGIN.as_str(), self.server.as_str()),
            ("brokkr-console", "1"),
        ];
        self.ask(method, path, &headers).await.status().as_u16()
    }
}

async fn sign_in(broker: &TestBroker, key: &Pak) -> Response {
    let url = format!("{}/api/v1/session", broker.server);
    let request = Client::new().post(url).bearer_auth(key.expose());
    request.send().await.expect("an answer")
}

async fn a_sign_in_is_as_good_as_its_key(engine: Engine) {
    let Scene {
        broker,
        admin,
        admin_key,
        ..
    } = Scene::set(engine).await;
    let browser = Browser::signed_in(&broker, &admin_key).await;
    let me: Me = browser
        .ask(Method::GET, "/me", &[])
        .await
        .json()
        .await
        .expect("me");
    assert_eq!((me.role, me.key), (Role::Admin, admin_key.id()));
    assert_eq!(browser.does(Method::POST, "/stacks").await, 201);
    // What it holds is no key, and makes no other sign-in.
    let token = browser.cookie.split_once('=').expect("a value").1;
    let as_key = browser
        .ask(Method::GET, "/me", &[(AUTHORIZATION.as_str(), token)])
        .await;
    assert_eq!(as_key.status(), 401);
    assert_eq!(browser.does(Method::POST, "/session").await, 403);
    assert_eq!(browser.does(Method::POST, "/me/rotate").await, 403);
    // Nothing stays in the browser's cache.
    let listed = browser.ask(Method::GET, "/stacks", &[]).await;
    assert_eq!(listed.headers()[CACHE_CONTROL], "no-store");
    // A generator sees what is its own, and an agent has nothing to look at.
    let generator = create_generator(&admin, "ci").await;
    let theirs = Browser::signed_in(&broker, &generator).await;
    let stacks = theirs.ask(Method::GET, "/stacks", &[]).await.text().await;
    assert!(!stacks.expect("a list").contains("shop"));
    assert_eq!(theirs.ask(Method::GET, "/audit", &[]).await.status(), 403);
    let agent = create_agent(&admin, "other").await;
    assert_eq!(sign_in(&broker, &agent).await.status(), 403);
    assert_eq!(
        sign_in(&broker, &Pak::generate(Role::Admin, &System))
            .await
            .status(),
        401
    );
    let audit = admin.audit(&[]).await.expect("an audit");
    let signed_in = audit
        .iter()
        .filter(|entry| entry.entry.action == AuditAction::KeySignIn);
    assert_eq!(signed_in.count(), 2);
    broker.stop().await;
}

async fn a_sign_in_by_tls_is_nobody_elses_to_set(engine: Engine) {
    let Scene {
        broker, admin_key, ..
    } = Scene::set(engine).await;
    let url = format!("{}/api/v1/session", broker.server);
    let request = Client::new().post(url).bearer_auth(admin_key.expose());
    let answer = request
        .header(ORIGIN, "https://brokkr.example")
        .send()
        .await;
    let answer = answer.expect("an answer");
    let set = answer.headers()[SET_COOKIE].to_str().expect("text");
    assert!(set.starts_with("__Host-brokkr_session="), "{set}");
    for attribute in ["Path=/", "Secure", "HttpOnly"] {
        assert!(set.split("; ").any(|part| part == attribute), "{attribute}");
    }
    broker.stop().await;
}

async fn a_sign_in_ends_no_later_than_its_key(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    let create = CreateKey {
        owner: KeyOwner::Admin,
        name: "visitor".parse().expect("a name"),
        expires_in: Some(3_600),
        expires_at: None,
    };
    let created = admin.create_key(&create).await.expect("a key");
    let pak = created.pak.parse().expect("a key");
    let told: SignedIn = sign_in(&broker, &pak)
        .await
        .json()
        .await
        .expect("an answer");
    assert!(told.expires_at < System.now() + SignedDuration::from_hours(2));
    broker.stop().await;
}

async fn only_the_own_page_changes_anything(engine: Engine) {
    let Scene {
        broker, admin_key, ..
    } = Scene::set(engine).await;
    let browser = Browser::signed_in(&broker, &admin_key).await;
    let (own, console) = (browser.server.as_str(), ("brokkr-console", "1"));
    let origin = ORIGIN.as_str();
    let elsewhere = own.replace("127.0.0.1", "localhost");
    for headers in [
        vec![],
        vec![console],
        vec![(origin, own)],
        vec![(origin, "null"), console],
        vec![(origin, "http://evil.example"), console],
        vec![(origin, elsewhere.as_str()), console],
    ] {
        let answer = browser.ask(Method::POST, "/stacks", &headers).await;
        assert_eq!(answer.status(), 403, "{headers:?}");
    }
    assert_eq!(browser.does(Method::POST, "/stacks").await, 201);
    broker.stop().await;
}

async fn a_sign_in_ends_after_twelve_hours_and_with_its_key(engine: Engine) {
    let timed = Timed::set(engine).await;
    let key = timed.database.admin_key();
    let browser = Browser::signed_in(&timed.broker, &key).await;
    timed.clock.pass(SignedDuration::from_mins(12 * 60 - 1));
    assert_eq!(browser.reads().await, 200);
    timed.clock.pass(SignedDuration::from_mins(2));
    assert_eq!(browser.reads().await, 401);
    let generator = create_generator(&timed.admin, "ci").await;
    let theirs = Browser::signed_in(&timed.broker, &generator).await;
    assert_eq!(theirs.reads().await, 200);
    timed
        .admin
        .revoke_key(generator.id())
        .await
        .expect("revoked");
    assert_eq!(theirs.reads().await, 401);
    timed.broker.stop().await;
}

async fn who_signs_out_is_out(engine: Engine) {
    let Scene {
        broker, admin_key, ..
    } = Scene::set(engine).await;
    let browser = Browser::signed_in(&broker, &admin_key).await;
    let other = Browser::signed_in(&broker, &admin_key).await;
    let watch = browser.ask(Method::GET, "/watch", &[]).await;
    assert_eq!(watch.status(), 200);
    let headers = [
        (ORIGIN.as_str(), browser.server.as_str()),
        ("brokkr-console", "1"),
    ];
    let answer = browser.ask(Method::DELETE, "/session", &headers).await;
    assert_eq!(answer.status(), 204);
    let set = answer.headers()[SET_COOKIE].to_str().expect("text");
    assert!(
        set.starts_with("brokkr_session=; ") && set.contains("Max-Age=0"),
        "{set}"
    );
    assert_eq!((browser.reads().await, other.reads().await), (401, 200));
    // What it watches ends too.
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), watch.text()).await;
    ended.expect("the watch goes on").expect("a whole answer");
    // With the key itself there is nothing to sign out of.
    let url = format!("{}/api/v1/session", broker.server);
    let answer = Client::new()
        .delete(url)
        .bearer_auth(admin_key.expose())
        .send()
        .await;
    assert_eq!(answer.expect("an answer").status(), 404);
    broker.stop().await;
}

async fn a_sign_in_outlives_a_restart(engine: Engine) {
    let timed = Timed::set(engine).await;
    let key = timed.database.admin_key();
    let mut browser = Browser::signed_in(&timed.broker, &key).await;
    assert_eq!(
        timed.database.number("select count(*) from sign_ins").await,
        1
    );
    let timed = timed.restarted().await;
    browser.server.clone_from(&timed.broker.server);
    assert_eq!(browser.reads().await, 200);
    // What ended is forgotten.
    timed.clock.pass(SignedDuration::from_hours(13));
    let timed = timed.restarted().await;
    eventually("it is forgotten", async || {
        timed.database.number("select count(*) from sign_ins").await == 0
    })
    .await;
    timed.broker.stop().await;
}

async fn the_oldest_of_many_ends(engine: Engine) {
    let Scene {
        broker, admin_key, ..
    } = Scene::set(engine).await;
    let mut browsers = Vec::new();
    for _ in 0..=100 {
        browsers.push(Browser::signed_in(&broker, &admin_key).await);
    }
    let reads = [
        browsers[0].reads().await,
        browsers[1].reads().await,
        browsers[100].reads().await,
    ];
    assert_eq!(reads, [401, 200, 200]);
    broker.stop().await;
}
