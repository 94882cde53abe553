use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use brokkr_broker::{Broker, LimitSettings, ListenerSettings, Settings};
use brokkr_core::ambient::System;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::*;

/// Something that is well, or not.
struct Fake(Result<(), String>);

impl Watched for Fake {
    fn register(&self, _: &mut Registry) {}

    fn health(&self) -> Result<(), String> {
        self.0.clone()
    }

    fn readiness(&self) -> Result<&'static str, String> {
        self.0.clone().map(|()| "ready")
    }
}

/// A listener for something, and the way to end it.
async fn start(fake: Fake) -> (SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    tokio::spawn(serve(listener, Arc::new(Desk::new(fake)), shutdown.clone()));
    (address, shutdown)
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A refusal may come before the whole request is sent.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")
}

#[tokio::test]
async fn it_answers_three_questions_and_nothing_else() {
    let (well, _) = start(Fake(Ok(()))).await;
    let (ill, _) = start(Fake(Err("the loop `polls` is stuck".to_owned()))).await;
    let post = "POST /metrics HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
    let cases = [
        (well, get("/healthz"), "200", "\r\n\r\nok\n"),
        (well, get("/readyz"), "200", "\r\n\r\nready\n"),
        (ill, get("/healthz"), "503", "the loop `polls` is stuck"),
        (ill, get("/readyz"), "503", "stuck"),
        (ill, get("/metrics"), "200", "brokkr_build_info{version="),
        (well, get("/metrics?a=b"), "200", "# EOF\n"),
        (well, get("/"), "404", "/readyz"),
        (well, get("/api/v1/me"), "404", ""),
        (well, post.to_owned(), "405", "allow: GET, HEAD"),
        (well, "nonsense\r\n\r\n".to_owned(), "400", ""),
    ];
    for (address, request, status, words) in cases {
        let answer = ask(address, &request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(words),
            "{request}: {answer}"
        );
    }
}

#[tokio::test]
async fn nobody_can_make_it_hold_much_or_wait_long() {
    let (address, shutdown) = start(Fake(Ok(()))).await;
    let head = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(2 * HEAD));
    let answer = ask(address, &head).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    let begun = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    // All places are taken, until those who say nothing have had their time.
    let mut answer = String::new();
    while answer.is_empty() {
        assert!(begun.elapsed() < 3 * PATIENCE, "never");
        sleep(REST).await;
        answer = ask(address, &get("/healthz")).await;
    }
    assert!(begun.elapsed() > PATIENCE / 2, "{:?}", begun.elapsed());
    shutdown.cancel();
}

/// A table of all figures of a process.
fn table(watched: &impl Watched) -> String {
    let mut text = String::new();
    text::encode(&mut text, &registry(watched)).unwrap();
    let mut labels: BTreeMap<&str, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    for (name, rest) in samples.filter_map(|line| line.split_once('{')) {
        let (pairs, _) = rest.rsplit_once('}').unwrap();
        for pair in pairs.split("\",").filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once("=\"").unwrap();
            let values = labels.entry(name).or_default();
            let values = values.entry(key.to_owned()).or_default();
            values.insert(value.trim_end_matches('"').to_owned());
        }
    }
    let mut table = String::from("| name | kind | labels | meaning |\n|---|---|---|---|\n");
    let mut help = "";
    for line in text.lines() {
        if let Some(said) = line.strip_prefix("# HELP ") {
            help = said.split_once(' ').unwrap().1.trim_end_matches('.');
        }
        let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' '))
        else {
            continue;
        };
        let name = match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        };
        let sample = match kind {
            "histogram" => format!("{name}_bucket"),
            _ => name.clone(),
        };
        let labels = labels.get(sample.as_str()).map(told).unwrap_or_default();
        writeln!(table, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
    }
    table
}

fn told(labels: &BTreeMap<String, BTreeSet<String>>) -> String {
    let told: Vec<_> = labels
        .iter()
        .map(|(key, values)| match key.as_str() {
            "version" | "le" => format!("`{key}`"),
            "operation" => format!("`{key}`: each of [these](permissions.md)"),
            _ => {
                let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
                format!("`{key}`: {}", values.join(", "))
            }
        })
        .collect();
    told.join("; ")
}

async fn reference() -> String {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        database: format!("sqlite:{}", folder.path().join("brokkr.db").display()),
        admin_key_file: folder.path().join("admin.key"),
        listener: ListenerSettings::default(),
        limits: LimitSettings::default(),
    };
    let broker = Broker::open(&settings, Arc::new(System)).await.unwrap();
    let agent = Arc::new(brokkr_agent::Monitor::default());
    format!(
        "# Metrics\n\nWhat `/metrics` has, with all values of all labels. A test holds this page to the code.\n\
         [Monitor](../how-to/monitor.md) says where that is, and what to make of it.\n\n\
         ## Agent\n\n{}\n## Broker\n\n{}",
        table(&agent),
        table(&broker)
    )
}

#[tokio::test]
async fn the_reference_has_every_figure_and_the_how_to_names_no_other() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
    let path = format!("{docs}/reference/metrics.md");
    let page = reference().await;
    if std::env::var_os("BROKKR_UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/reference/metrics.md is not what the code has: look at the change, then run\n  BROKKR_UPDATE=1 cargo test -p brokkr monitoring"
    );
    let how_to = std::fs::read_to_string(format!("{docs}/how-to/monitor.md")).unwrap();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = how_to.split(|c| !is_name(c));
    let named: BTreeSet<_> = words
        .filter(|word| word.starts_with("brokkr_") || word.starts_with("process_"))
        .collect();
    assert!(named.len() > 5, "{named:?}");
    for name in named {
        let name = name.trim_end_matches("_bucket");
        assert!(page.contains(&format!("`{name}`")), "{name} is no metric");
    }
}
