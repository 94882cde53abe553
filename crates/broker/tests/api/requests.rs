use std::time::Duration;

use brokkr_client::{Client, Poll};
use brokkr_core::RequestId;
use brokkr_core::ambient::System;
use brokkr_core::wire::{
    Ask, AuditAction, Code, Description, LogLines, MAX_REQUESTS, OpenSession, RequestAnswer,
    RequestKind, RequestTask, TargetState,
};
use jiff::SignedDuration;

use crate::harness::*;

on_both_engines!(
    what_is_asked_ends_a_wait_and_changes_nothing_that_is_desired,
    what_is_in_hand_ends_no_wait,
    an_answer_is_waited_for_wherever_it_was_asked,
    who_does_not_answer_is_not_asked,
    requests_are_the_askers_and_the_agents_own,
    what_a_stack_has_is_asked_of_agents_that_run_it,
    which_logs_are_asked_for_is_told_to_the_agent,
    who_no_longer_knows_what_is_asked_is_not_asked_again,
    there_are_only_so_many,
    a_request_ends_after_a_quarter_of_an_hour,
);

const INTERVAL: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(45);

/// A poll that waits from now on, and is known to wait.
struct Waiting(tokio::task::JoinHandle<brokkr_client::Result<Poll>>);

impl Waiting {
    async fn begin(agent: &Client, etag: &str) -> Self {
        let (agent, etag) = (agent.clone(), etag.to_owned());
        let poll = async move { agent.target_state(Some(&etag), LONG, INTERVAL).await };
        let waiting = Self(tokio::spawn(poll));
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!waiting.0.is_finished(), "it waits");
        waiting
    }

    async fn end(self) -> (String, TargetState) {
        let ended = tokio::time::timeout(Duration::from_secs(10), self.0).await;
        match ended.expect("at once").expect("a poll").expect("an answer") {
            Poll::Changed { etag, state } => (etag, *state),
            Poll::Unchanged => panic!("it was asked nothing"),
        }
    }
}

async fn first_poll(agent: &Client) -> (String, TargetState) {
    match agent.target_state(None, Duration::ZERO, INTERVAL).await {
        Ok(Poll::Changed { etag, state }) => (etag, *state),
        other => panic!("a first poll has an answer: {other:?}"),
    }
}

async fn ask(admin: &Client) -> RequestId {
    let asked = admin.ask(&name("edge"), &Ask::Sync { stack: None }).await;
    asked.expect("a request").id
}

/// A broker with an agent that is there and runs the stack `shop`.
async fn a_shop(engine: Engine) -> (Scene, Client) {
    let scene = Scene::set(engine).await;
    let agent = be_there(&scene.agent).await;
    create_stack(&scene.admin, "shop").await;
    target(&scene.admin, "edge", "shop").await;
    publish(&scene.admin, "shop", config_map("a", "1")).await;
    (scene, agent)
}

async fn what_is_asked_ends_a_wait_and_changes_nothing_that_is_desired(engine: Engine) {
    let (scene, agent) = a_shop(engine).await;
    let (etag, before) = first_poll(&agent).await;
    let waiting = Waiting::begin(&agent, &etag).await;
    let id = ask(&scene.admin).await;
    let (same, state) = waiting.end().await;
    assert_eq!(same, etag);
    let asked = &state.requests[..];
    assert!(
        matches!(asked, [one] if one.id == id && one.kind == RequestKind::Sync),
        "{asked:?}"
    );
    let desired = TargetState {
        requests: Vec::new(),
        state_token: before.state_token.clone(),
        ..state
    };
    assert_eq!(desired, before);

    let stack = before.stacks[0].stack;
    let task = agent.request_task(id).await.expect("a task");
    assert_eq!(
        task,
        RequestTask::Sync {
            stacks: vec![stack]
        }
    );
    let answer = RequestAnswer::Sync { stacks: 1 };
    agent.answer_request(id, &answer).await.expect("a receipt");
    let (same, state) = first_poll(&agent).await;
    assert_eq!((same, state.requests), (etag, vec![]));
    let known = scene
        .admin
        .agent_request(id, Duration::ZERO)
        .await
        .expect("a request");
    assert_eq!(known.answer, Some(answer));
    // The first answer counts.
    let other = RequestAnswer::Sync { stacks: 7 };
    agent.answer_request(id, &other).await.expect("a receipt");
    let again = scene
        .admin
        .agent_request(id, Duration::ZERO)
        .await
        .expect("a request");
    assert_eq!(again, known);
    for (action, times) in [(AuditAction::AgentAsk, 1), (AuditAction::AgentAnswer, 1)] {
        let entries = scene.admin.audit(&[]).await.expect("an audit");
        let entries = entries
            .iter()
            .filter(|chained| chained.entry.action == action);
        assert_eq!(entries.count(), times, "{action}");
    }
    scene.broker.stop().await;
}

async fn what_is_in_hand_ends_no_wait(engine: Engine) {
    let (scene, agent) = a_shop(engine).await;
    let (etag, _) = first_poll(&agent).await;
    let first = ask(&scene.admin).await;
    let holding = agent.holding(&[first]);
    let reads = scene.broker.broker.database_reads();
    for (client, is_news) in [(&agent, true), (&holding, false)] {
        let poll = client
            .target_state(Some(&etag), Duration::ZERO, INTERVAL)
            .await;
        let is_changed = matches!(poll.expect("an answer"), Poll::Changed { .. });
        assert_eq!(is_changed, is_news);
    }
    assert_eq!(scene.broker.broker.database_reads(), reads);
    let waiting = Waiting::begin(&holding, &etag).await;
    let second = ask(&scene.admin).await;
    let (_, state) = waiting.end().await;
    let asked: Vec<_> = state.requests.iter().map(|request| request.id).collect();
    assert_eq!(asked, [first, second]);
    // A restarted broker asks the same.
    let many: Vec<_> = (0..=MAX_REQUESTS)
        .map(|_| RequestId::generate(&System))
        .collect();
    let error = agent
        .holding(&many)
        .target_state(None, Duration::ZERO, INTERVAL)
        .await;
    assert_eq!(error.expect_err("too many").code(), Some(Code::Malformed));
    scene.broker.stop().await;
}

/// Here, and on PostgreSQL at another replica, where the agent polls.
async fn an_answer_is_waited_for_wherever_it_was_asked(engine: Engine) {
    let database = Database::create(engine).await;
    let here = database.start().await;
    let admin = here.client(&database.admin_key());
    let key = create_agent(&admin, "edge").await;
    let there = match engine {
        Engine::Sqlite => None,
        Engine::Postgres => Some(database.start().await),
    };
    for polled in [Some(&here), there.as_ref()].into_iter().flatten() {
        let agent = be_there(&polled.client(&key)).await;
        let (etag, _) = first_poll(&agent).await;
        let waiting = Waiting::begin(&agent, &etag).await;
        let id = ask(&admin).await;
        let (_, state) = waiting.end().await;
        assert_eq!(state.requests[0].id, id);
        let asker = admin.clone();
        let answered = tokio::spawn(async move { asker.agent_request(id, LONG).await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!answered.is_finished(), "it waits");
        let answer = RequestAnswer::Sync { stacks: 0 };
        agent.answer_request(id, &answer).await.expect("a receipt");
        let answered = tokio::time::timeout(Duration::from_secs(10), answered).await;
        let answered = answered
            .expect("at once")
            .expect("no panic")
            .expect("a request");
        assert_eq!(answered.answer, Some(answer));
    }
    if let Some(there) = there {
        there.stop().await;
    }
    here.stop().await;
}

async fn who_does_not_answer_is_not_asked(engine: Engine) {
    let timed = Timed::set(engine).await;
    let key = create_agent(&timed.admin, "edge").await;
    let agent = timed.broker.client(&key);
    let refused = async |words: &str| {
        let asked = timed
            .admin
            .ask(&name("edge"), &Ask::Sync { stack: None })
            .await;
        let error = asked.expect_err(words);
        assert_eq!(error.code(), Some(Code::CannotAsk), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    refused("never polled").await;
    let old = OpenSession {
        cluster: "one".parse().expect("a UID"),
        version: "0.2.0".to_owned(),
        features: Vec::new(),
    };
    let old = agent.in_session(agent.open_session(&old).await.expect("a session"));
    state_of(&old).await;
    refused("of version 0.2.0").await;
    be_there(&agent).await;
    ask(&timed.admin).await;
    timed.clock.pass(SignedDuration::from_mins(3));
    refused("silent since").await;
    timed.broker.stop().await;
}

async fn requests_are_the_askers_and_the_agents_own(engine: Engine) {
    let (scene, agent) = a_shop(engine).await;
    let [mine, other] = ["mine", "other"].map(|generator| (generator, &scene.admin));
    let mine = scene.broker.client(&create_generator(mine.1, mine.0).await);
    let other = scene
        .broker
        .client(&create_generator(other.1, other.0).await);
    let stranger = scene
        .broker
        .client(&create_agent(&scene.admin, "stranger").await);
    create_stack(&mine, "own").await;
    target(&mine, "edge", "own").await;
    let own = mine.stack(&name("own")).await.expect("a stack").id;
    let asked = mine.ask(&name("edge"), &Ask::Sync { stack: None }).await;
    let id = asked.expect("a request").id;
    // All stacks are all of its own.
    let task = agent.request_task(id).await.expect("a task");
    assert_eq!(task, RequestTask::Sync { stacks: vec![own] });
    for stack in ["shop", "nothing"] {
        let stack = Some(name(stack));
        let error = mine.ask(&name("edge"), &Ask::Sync { stack }).await;
        assert_eq!(error.expect_err("not its own").code(), Some(Code::NotFound));
    }
    let stack = Some(name("own"));
    be_there(&stranger).await;
    let error = mine.ask(&name("stranger"), &Ask::Sync { stack }).await;
    assert_eq!(
        error.expect_err("it does not run it").code(),
        Some(Code::Invalid)
    );

    let missing = Some(Code::NotFound);
    let error = other.agent_request(id, Duration::ZERO).await;
    assert_eq!(error.expect_err("another generator").code(), missing);
    let error = stranger.request_task(id).await;
    assert_eq!(error.expect_err("another agent").code(), missing);
    let answer = RequestAnswer::Sync { stacks: 0 };
    let error = stranger.answer_request(id, &answer).await;
    assert_eq!(error.expect_err("another agent").code(), missing);
    for asker in [&mine, &scene.admin] {
        let found = asker
            .agent_request(id, Duration::ZERO)
            .await
            .expect("a request");
        assert_eq!((found.answer, found.agent_name.as_str()), (None, "edge"));
    }
    scene.broker.stop().await;
}

async fn what_a_stack_has_is_asked_of_agents_that_run_it(engine: Engine) {
    let (scene, agent) = a_shop(engine).await;
    let generator = scene
        .broker
        .client(&create_generator(&scene.admin, "ci").await);
    create_stack(&generator, "own").await;
    let describe = |stack: &str| Ask::Describe { stack: name(stack) };
    // It is its own, but does not run there.
    let error = generator.ask(&name("edge"), &describe("own")).await;
    assert_eq!(error.expect_err("not there").code(), Some(Code::Invalid));
    target(&generator, "edge", "own").await;
    let stack = generator.stack(&name("own")).await.expect("a stack").id;
    let asked = generator.ask(&name("edge"), &describe("own")).await;
    let asked = asked.expect("a request");
    assert_eq!(
        (asked.kind, asked.stack),
        (RequestKind::Describe, Some(stack))
    );
    let task = agent.request_task(asked.id).await.expect("a task");
    assert_eq!(task, RequestTask::Describe { stack });
    let answer = RequestAnswer::Describe(Description {
        more: 7,
        ..Description::default()
    });
    agent
        .answer_request(asked.id, &answer)
        .await
        .expect("a receipt");
    let known = generator.agent_request(asked.id, Duration::ZERO).await;
    assert_eq!(known.expect("a request").answer, Some(answer));
    // Somebody else's stacks are nobody's business.
    for stack in ["shop", "nothing"] {
        let error = generator.ask(&name("edge"), &describe(stack)).await;
        assert_eq!(error.expect_err("not its own").code(), Some(Code::NotFound));
    }
    scene.broker.stop().await;
}

async fn which_logs_are_asked_for_is_told_to_the_agent(engine: Engine) {
    let (scene, agent) = a_shop(engine).await;
    let logs = |container: &str, tail| Ask::Logs {
        stack: name("shop"),
        all: true,
        container: Some(container.to_owned()),
        tail: LogLines::new(tail).expect("a number"),
        previous: true,
    };
    let asked = scene.admin.ask(&name("edge"), &logs("main", 7)).await;
    let asked = asked.expect("a request");
    assert_eq!(asked.kind, RequestKind::Logs);
    let task = agent.request_task(asked.id).await.expect("a task");
    let RequestTask::Logs { which, .. } = task else {
        panic!("{task:?}");
    };
    assert!(which.all && which.previous);
    assert_eq!(
        (which.container.as_deref(), which.tail.get()),
        (Some("main"), 7)
    );
    for bad in ["", "a b", "A", &"a".repeat(64)] {
        let error = scene.admin.ask(&name("edge"), &logs(bad, 1)).await;
        assert_eq!(error.expect_err(bad).code(), Some(Code::Invalid));
    }
    scene.broker.stop().await;
}

/// It was put back to an older version while it was asked.
async fn who_no_longer_knows_what_is_asked_is_not_asked_again(engine: Engine) {
    let (scene, agent) = a_shop(engine).await;
    let describe = Ask::Describe {
        stack: name("shop"),
    };
    let described = scene.admin.ask(&name("edge"), &describe).await;
    let described = described.expect("a request").id;
    let synced = ask(&scene.admin).await;
    let older = OpenSession {
        cluster: "one".parse().expect("a UID"),
        version: "0.1.5".to_owned(),
        features: vec!["requests/sync".to_owned()],
    };
    let session = agent.open_session(&older).await.expect("a session");
    let older = agent.in_session(session);
    let (etag, state) = first_poll(&older).await;
    let open: Vec<_> = state.requests.iter().map(|request| request.id).collect();
    assert_eq!(open, [synced]);
    let known = scene.admin.agent_request(described, Duration::ZERO).await;
    let answer = known.expect("a request").answer;
    let Some(RequestAnswer::Failed { reason }) = &answer else {
        panic!("{answer:?}");
    };
    assert!(reason.contains("of version 0.1.5"), "{reason}");
    // Whose version has no sessions reads no requests, and waits as if there were none.
    let oldest = &scene.agent;
    let poll = oldest
        .target_state(Some(&etag), Duration::ZERO, INTERVAL)
        .await;
    assert!(matches!(poll.expect("an answer"), Poll::Unchanged));
    scene.broker.stop().await;
}

async fn there_are_only_so_many(engine: Engine) {
    let (scene, agent) = a_shop(engine).await;
    let mut ids = Vec::new();
    for _ in 0..MAX_REQUESTS {
        ids.push(ask(&scene.admin).await);
    }
    let sync = Ask::Sync { stack: None };
    let error = scene.admin.ask(&name("edge"), &sync).await;
    assert_eq!(error.expect_err("one too many").code(), Some(Code::TooMany));
    let answer = RequestAnswer::Sync { stacks: 0 };
    agent
        .answer_request(ids[0], &answer)
        .await
        .expect("a receipt");
    ask(&scene.admin).await;
    scene.broker.stop().await;
}

async fn a_request_ends_after_a_quarter_of_an_hour(engine: Engine) {
    let timed = Timed::set(engine).await;
    let agent = timed
        .broker
        .client(&create_agent(&timed.admin, "edge").await);
    let agent = be_there(&agent).await;
    let [open, answered] = [ask(&timed.admin).await, ask(&timed.admin).await];
    let answer = RequestAnswer::Sync { stacks: 0 };
    agent
        .answer_request(answered, &answer)
        .await
        .expect("a receipt");
    timed.clock.pass(SignedDuration::from_mins(14));
    assert_eq!(first_poll(&agent).await.1.requests.len(), 1);
    timed.clock.pass(SignedDuration::from_mins(1));
    assert!(first_poll(&agent).await.1.requests.is_empty());
    for id in [open, answered] {
        let error = timed.admin.agent_request(id, Duration::ZERO).await;
        assert_eq!(error.expect_err("it is gone").code(), Some(Code::NotFound));
    }
    let error = agent.answer_request(open, &answer).await;
    assert_eq!(error.expect_err("too late").code(), Some(Code::NotFound));
    // It is looked every minute, and at the start.
    let rows = "select count(*) from requests";
    assert_eq!(timed.database.number(rows).await, 2);
    let timed = timed.restarted().await;
    let is_gone = async || timed.database.number(rows).await == 0;
    eventually("the rows are gone", is_gone).await;
    timed.broker.stop().await;
}
