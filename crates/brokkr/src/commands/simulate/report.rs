use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{bail, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::fleet::Shape;
use super::tally::Tally;
use crate::output::{Cell, Row};

/// What a simulation has to show, when it is over.
pub struct Measured<'a> {
    pub shape: Shape,
    pub tally: &'a Tally,
    /// From the first agent's start until all had what they should run.
    pub in_state: Duration,
    /// How many publishes should have been measured.
    pub due: usize,
    /// How long publishing took, with what came before the measuring.
    pub took: Duration,
    /// How many polls were answered meanwhile.
    pub polls: u64,
    /// Who still lacks what, long after the last publish.
    pub late: Option<String>,
}

/// What a simulation saw.
#[derive(Serialize)]
pub struct Report {
    agents: usize,
    stacks: usize,
    reach: usize,
    /// From the agents' start until each had what it should run.
    in_state_seconds: f64,
    publishes_due: usize,
    /// From the request, or from when it was due if the one before was not answered yet, to the answer.
    publishes: Quantiles,
    /// From there until an agent had fetched the content and found it right.
    deliveries: Quantiles,
    /// From there until all agents of the stack had; of those that were not superseded before.
    deliveries_to_all: Quantiles,
    /// Versions that an agent did not fetch because there was a newer one.
    skipped: u64,
    polls_per_second: f64,
    polls_unchanged: u64,
    polls_changed: u64,
    contents: u64,
    content_bytes: u64,
    events: u64,
    statuses: u64,
    /// How long agents could not ask.
    outages: Quantiles,
    /// Requests that came to nothing, by what they came to.
    failures: BTreeMap<String, u64>,
    wrong: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    first_wrong: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    late: Option<String>,
}

/// How long something took, in milliseconds.
#[derive(Clone, Copy, Serialize)]
struct Quantiles {
    count: u64,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// A line of the table.
#[derive(Serialize)]
pub struct Line {
    figure: String,
    count: Option<u64>,
    times: Option<Quantiles>,
}

impl Report {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 polls")]
    pub fn of(measured: &Measured) -> Self {
        let Measured { shape, tally, .. } = *measured;
        let wrong = tally.all_wrong();
        Self {
            agents: shape.agents,
            stacks: shape.stacks,
            reach: shape.reach,
            in_state_seconds: measured.in_state.as_secs_f64(),
            publishes_due: measured.due,
            publishes: Quantiles::of(&tally.published.seen()),
            deliveries: Quantiles::of(&tally.delivered.seen()),
            deliveries_to_all: Quantiles::of(&tally.delivered_to_all.seen()),
            skipped: tally.skipped.get(),
            polls_per_second: measured.polls as f64 / measured.took.as_secs_f64(),
            polls_unchanged: tally.unchanged.get(),
            polls_changed: tally.changed.get(),
            contents: tally.contents.get(),
            content_bytes: tally.content_bytes.get(),
            events: tally.events.get(),
            statuses: tally.statuses.get(),
            outages: Quantiles::of(&tally.away.seen()),
            failures: tally.failures(),
            wrong: wrong.count,
            first_wrong: wrong.first,
            late: measured.late.clone(),
        }
    }

    /// What a person reads.
    pub fn rows(&self) -> Vec<Line> {
        let count = |figure: &str, count| Line {
            figure: figure.to_owned(),
            count: Some(count),
            times: None,
        };
        let times = |figure: &str, times: Quantiles| Line {
            figure: figure.to_owned(),
            count: Some(times.count),
            times: Some(times),
        };
        let mut rows = vec![
            times("publishes answered", self.publishes),
            times("deliveries to an agent", self.deliveries),
            times("deliveries to all", self.deliveries_to_all),
            times("agents cut off", self.outages),
            count("versions skipped", self.skipped),
            count("polls, nothing new", self.polls_unchanged),
            count("polls, something new", self.polls_changed),
            count("contents fetched", self.contents),
            count("bytes of them", self.content_bytes),
            count("events reported", self.events),
            count("statuses reported", self.statuses),
            count("wrong answers", self.wrong),
        ];
        let failures = self.failures.iter();
        rows.extend(failures.map(|(kind, number)| count(&format!("failed: {kind}"), *number)));
        rows
    }

    /// Whether it was a measurement, and the broker right.
    pub fn verdict(&self) -> anyhow::Result<()> {
        if self.wrong > 0 {
            bail!(
                "{} answer(s) of the broker were wrong: {}",
                self.wrong,
                self.first_wrong.join("; ")
            );
        }
        if let Some(late) = &self.late {
            bail!("a minute after the last publish {late}");
        }
        ensure!(
            self.publishes_due > 0,
            "nothing was to be published while it was measured: take a longer --duration, or a higher rate of --publishes"
        );
        let expected = self.publishes_due as u64 * self.reach as u64;
        ensure!(
            2 * self.deliveries.count >= expected,
            "only {} of {expected} deliveries happened, which measures nothing: there is always a newer version; publish less often",
            self.deliveries.count
        );
        Ok(())
    }
}

impl Quantiles {
    fn of(histogram: &Histogram<u64>) -> Self {
        let quantile = |quantile| millis(histogram.value_at_quantile(quantile));
        Self {
            count: histogram.len(),
            p50_ms: quantile(0.5),
            p90_ms: quantile(0.9),
            p99_ms: quantile(0.99),
            max_ms: millis(histogram.max()),
        }
    }
}

fn millis(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64() * 1_000.0
}

impl Row for Line {
    fn name(&self) -> String {
        self.figure.clone()
    }

    fn cells(&self) -> Vec<Cell> {
        let times = self.times.filter(|times| times.count > 0);
        let shown = |of: fn(&Quantiles) -> f64| {
            let time = times.as_ref().map(of);
            time.map(|millis| format!("{millis:.1} ms"))
        };
        vec![
            Cell::text("FIGURE", &self.figure),
            Cell::optional("COUNT", self.count),
            Cell::optional("P50", shown(|times| times.p50_ms)),
            Cell::optional("P90", shown(|times| times.p90_ms)),
            Cell::optional("P99", shown(|times| times.p99_ms)),
            Cell::optional("MAX", shown(|times| times.max_ms)),
        ]
    }
}
