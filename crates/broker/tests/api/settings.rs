//! What operators settle for the whole broker, and what it does by it.

mod retention;

use brokkr_client::Client;
use brokkr_core::targeting::AgentScope;
use brokkr_core::wire::{
    AuditAction, Code, CreateGenerator, PatchGenerator, PatchSettings, Problem, Quota, Settings,
};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::harness::*;

on_both_engines!(
    settings_are_edited_like_everything_else,
    what_cannot_be_settled_is_refused,
    a_new_generator_has_the_quota_that_is_settled,
    every_replica_obeys_at_once,
);

pub(super) async fn settle(admin: &Client, patch: Value) -> Settings {
    let patch: PatchSettings = serde_json::from_value(patch).expect("a patch");
    admin.patch_settings(&patch).await.expect("settled")
}

impl Scene {
    async fn settings(&self, method: Method, if_match: &str, body: &Value) -> Response {
        let url = format!("{}/api/v1/settings", self.broker.server);
        let mut request = reqwest::Client::new()
            .request(method, url)
            .bearer_auth(self.admin_key.expose());
        if !if_match.is_empty() {
            request = request.header("if-match", if_match);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        request.send().await.expect("an answer")
    }
}

fn tag(answer: &Response) -> String {
    let tag = answer.headers().get("etag").expect("an ETag");
    tag.to_str().expect("text").to_owned()
}

async fn settings_are_edited_like_everything_else(engine: Engine) {
    let database = Database::create(engine).await;
    let broker = database.start().await;
    let admin_key = database.admin_key();
    let admin = broker.client(&admin_key);
    let agent = broker.client(&create_agent(&admin, "edge").await);
    let scene = Scene {
        broker,
        admin,
        admin_key,
        agent,
    };
    let nothing = Value::Null;
    let read = scene.settings(Method::GET, "", &nothing).await;
    let untouched = tag(&read);
    let usual = json!({
        "revision": 0,
        "retention": {"agent_events_days": null, "audit_days": null},
        "limits": {
            "keys_per_identity": 20,
            "default_quota": {"stacks": 1_000, "bytes": 10_737_418_240_u64, "publishes_per_minute": 600},
        },
        "guard": {"agents": 10, "agents_percent": 10},
        "paused": false,
    });
    assert_eq!(read.json::<Value>().await.expect("settings"), usual);

    let patch = json!({"retention": {"agent_events_days": 90}});
    let edited = scene.settings(Method::PATCH, &untouched, &patch).await;
    assert_eq!(edited.status(), 200);
    let newer = tag(&edited);
    let settings: Settings = edited.json().await.expect("settings");
    assert_eq!(newer, format!("\"{}\"", settings.revision));
    assert_eq!(scene.admin.settings().await.expect("settings"), settings);
    assert_eq!(
        settings.limits,
        Settings::default().limits,
        "what is absent stays"
    );
    let again = scene.settings(Method::PATCH, &newer, &patch).await;
    assert_eq!(tag(&again), newer, "what makes no difference is no edit");
    let late = scene.settings(Method::PATCH, &untouched, &patch).await;
    assert_eq!(late.status(), 412);
    let problem: Problem = late.json().await.expect("a problem");
    assert_eq!(problem.code, Code::EditedMeanwhile);
    let forever = json!({"retention": null, "limits": {"keys_per_identity": null}});
    let forever = scene.settings(Method::PATCH, "*", &forever).await;
    let forever: Settings = forever.json().await.expect("settings");
    assert_eq!(forever.retention, Settings::default().retention);

    let filter = [("action", AuditAction::SettingsChange.to_string())];
    let entries = scene.admin.audit(&filter).await.expect("entries");
    let [back, there] = entries.as_slice() else {
        panic!("{entries:?}")
    };
    assert_eq!(there.entry.subject.name.as_deref(), Some("settings"));
    assert_eq!(there.entry.revision, settings.revision);
    let days = |side: &Option<Value>| side.clone().expect("a side")["retention"].clone();
    let (forever, ninety) = (
        json!({"agent_events_days": null, "audit_days": null}),
        json!({"agent_events_days": 90, "audit_days": null}),
    );
    assert_eq!(
        (days(&there.entry.before), days(&there.entry.after)),
        (forever.clone(), ninety.clone())
    );
    assert_eq!(
        (days(&back.entry.before), days(&back.entry.after)),
        (ninety, forever)
    );
    scene.broker.stop().await;
    brokkr_broker::verify(&database.url)
        .await
        .expect("a whole audit");
}

async fn what_cannot_be_settled_is_refused(engine: Engine) {
    let scene = Scene::set(engine).await;
    for (patch, pointer) in [
        (
            json!({"retention": {"agent_events_days": 0}}),
            "/retention/agent_events_days",
        ),
        (
            json!({"retention": {"agent_events_days": 3_651}}),
            "/retention/agent_events_days",
        ),
        (
            json!({"retention": {"audit_days": 3_651}}),
            "/retention/audit_days",
        ),
        (
            json!({"limits": {"keys_per_identity": 1}}),
            "/limits/keys_per_identity",
        ),
        (
            json!({"limits": {"keys_per_identity": "20"}}),
            "/limits/keys_per_identity",
        ),
        (
            json!({"limits": {"default_quota": {"stacks": -1}}}),
            "/limits/default_quota/stacks",
        ),
        (
            json!({"limits": {"default_quota": {"stack": 1}}}),
            "/limits/default_quota/stack",
        ),
        (json!({"colour": 1}), "/colour"),
        (json!({"revision": 1}), "/revision"),
    ] {
        let refused = scene.settings(Method::PATCH, "", &patch).await;
        assert_eq!(refused.status(), 422, "{patch}");
        let problem: Problem = refused.json().await.expect("a problem");
        assert_eq!(problem.pointer.as_deref(), Some(pointer), "{problem:?}");
    }
    let settings = scene.admin.settings().await.expect("settings");
    assert_eq!(settings, Settings::default());
    scene.broker.stop().await;
}

async fn a_new_generator_has_the_quota_that_is_settled(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    let quota = async |generator: &str| {
        let found = admin.generator(&name(generator)).await;
        found.expect("a generator").quota
    };
    let of = |stacks, bytes, publishes_per_minute| Quota {
        stacks,
        bytes,
        publishes_per_minute,
    };
    create_generator(&admin, "early").await;
    let patch = json!({"limits": {"default_quota": {"stacks": 1, "bytes": 2_000_000}}});
    settle(&admin, patch).await;
    let ci = broker.client(&create_generator(&admin, "ci").await);
    assert_eq!(quota("early").await, Quota::default(), "it keeps its own");
    assert_eq!(quota("ci").await, of(1, 2_000_000, 600));
    create_stack(&ci, "shop").await;
    let one_more = brokkr_core::wire::CreateStack::named("mail".parse().expect("a name"));
    let refused = ci.create_stack(&one_more).await.expect_err("one too many");
    assert_eq!(refused.code(), Some(Code::QuotaExceeded));

    // Who says a part gets the rest.
    let create = CreateGenerator {
        quota: serde_json::from_value(json!({"stacks": 9})).expect("a quota"),
        ..CreateGenerator::new("cd".parse().expect("a name"), AgentScope::AllAgents)
    };
    admin.create_generator(&create).await.expect("a generator");
    assert_eq!(quota("cd").await, of(9, 2_000_000, 600));
    settle(&admin, json!({"limits": {"default_quota": {"stacks": 5}}})).await;
    assert_eq!(quota("ci").await, of(1, 2_000_000, 600));
    for (patch, after) in [
        (json!({"bytes": 7}), of(9, 7, 600)),
        (json!({"stacks": null}), of(5, 7, 600)),
    ] {
        let patch: PatchGenerator =
            serde_json::from_value(json!({"quota": patch})).expect("a patch");
        let patched = admin.patch_generator(&name("cd"), &patch).await;
        assert_eq!(patched.expect("patched").quota, after);
    }
    broker.stop().await;
}

/// On SQLite there is only one, which obeys after a restart too.
async fn every_replica_obeys_at_once(engine: Engine) {
    let database = Database::create(engine).await;
    let mut here = database.start().await;
    settle(
        &here.client(&database.admin_key()),
        json!({"limits": {"default_quota": {"stacks": 3}}}),
    )
    .await;
    let there = match engine {
        Engine::Sqlite => {
            here.stop().await;
            here = database.start().await;
            None
        }
        Engine::Postgres => Some(database.start().await),
    };
    let at = there.as_ref().unwrap_or(&here);
    let (admin, there_admin) = (
        here.client(&database.admin_key()),
        at.client(&database.admin_key()),
    );
    for stacks in 10..20 {
        let patch = json!({"limits": {"default_quota": {"stacks": stacks}}});
        let settled = settle(&admin, patch).await;
        let generator = format!("ci-{stacks}");
        create_generator(&there_admin, &generator).await;
        let generator = admin.generator(&name(&generator)).await;
        assert_eq!(generator.expect("a generator").quota.stacks, stacks);
        let read = there_admin.settings().await.expect("settings");
        assert_eq!(read, settled);
    }
    here.stop().await;
    if let Some(there) = there {
        there.stop().await;
    }
}
