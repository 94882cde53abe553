use brokkr_client::EventFilter;
use brokkr_core::name::Reference;
use brokkr_core::wire::{Action, ObjectOutcome, ObjectResult, Outcome, RecordedEvent};
use clap::{Args, ValueEnum};

use super::advice::filled;
use crate::connection::Connection;
use crate::output::{Cell, Output, Row};

/// So many objects are named in the reason of an event that has none of its own.
const NAMED: usize = 3;

/// Show what agents did and how it ended, newest first
#[derive(Args)]
#[command(after_help = "Example:
  brokkr events --stack checkout
  brokkr events --outcome failed
  brokkr events --agent eu-1 --limit 1 -o yaml")]
pub struct Events {
    /// Only of this stack, which may be deleted
    #[arg(long, value_name = "STACK")]
    stack: Option<Reference>,

    /// Only of this agent
    #[arg(long, value_name = "AGENT")]
    agent: Option<Reference>,

    /// Only what ended so
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<Ended>,

    /// How many
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,

    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Ended {
    Succeeded,
    Failed,
    Held,
}

impl Ended {
    const fn outcome(self) -> Outcome {
        match self {
            Self::Succeeded => Outcome::Succeeded,
            Self::Failed => Outcome::Failed,
            Self::Held => Outcome::Held,
        }
    }
}

impl Events {
    pub async fn run(self) -> anyhow::Result<()> {
        let filter = EventFilter {
            stack: self.stack,
            agent: self.agent,
            outcome: self.outcome.map(Ended::outcome),
        };
        let client = self.connection.client()?;
        self.output
            .list(&client.events(&filter, self.limit.into()).await?)
    }
}

impl Row for RecordedEvent {
    fn name(&self) -> String {
        self.event.id.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        let event = &self.event;
        let action = match event.action {
            Action::Apply => "apply",
            Action::Remove => "remove",
        };
        let outcome = match event.outcome {
            Outcome::Succeeded => "succeeded",
            Outcome::Failed => "failed",
            Outcome::Held => "held",
        };
        let stack = Reference::of(self.generator.as_ref(), &self.stack_name);
        let reason = event.reason.clone().or_else(|| of_objects(&event.objects));
        let reason = reason.map(|reason| filled(&reason, &stack, &self.agent_name));
        vec![
            Cell::time("LAST", event.last),
            Cell::time("FIRST", event.first).wide(),
            Cell::text("AGENT", &self.agent_name),
            Cell::text("STACK", &stack),
            Cell::text("ACTION", action),
            Cell::optional("SEQUENCE", event.sequence),
            Cell::text("OUTCOME", outcome),
            Cell::text("COUNT", event.count),
            Cell::text("OBJECTS", objects(self)),
            Cell::text("ID", event.id).wide(),
            Cell::optional("REASON", reason),
        ]
    }
}

/// What is said of single objects, such as who had changed one that was changed back: the first few, for one line.
fn of_objects(objects: &[ObjectOutcome]) -> Option<String> {
    let mut said: Vec<_> = objects
        .iter()
        .filter_map(|outcome| Some(format!("{}: {}", outcome.object, outcome.reason.as_ref()?)))
        .collect();
    let more = said.len().saturating_sub(NAMED);
    said.truncate(NAMED);
    if more > 0 {
        said.push(format!("and {more} more"));
    }
    (!said.is_empty()).then(|| said.join("; "))
}

/// Such as `2 created, 1 pruned`; what was so already is left out unless there is nothing else.
fn objects(event: &RecordedEvent) -> String {
    let all = [
        (ObjectResult::Created, "created"),
        (ObjectResult::Changed, "changed"),
        (ObjectResult::Pruned, "pruned"),
        (ObjectResult::Kept, "kept"),
        (ObjectResult::Conflict, "in conflict"),
        (ObjectResult::Invalid, "invalid"),
        (ObjectResult::Failed, "failed"),
        (ObjectResult::Skipped, "skipped"),
        (ObjectResult::Unchanged, "unchanged"),
    ];
    let counted: Vec<_> = all
        .into_iter()
        .map(|(result, word)| {
            let has = |object: &&ObjectOutcome| object.result == result;
            (event.event.objects.iter().filter(has).count(), word)
        })
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    counted.join(", ")
}

#[cfg(test)]
mod tests {
    use brokkr_core::ObjectKey;

    use super::*;

    #[test]
    fn the_first_few_objects_say_what_was_done_to_them() {
        let outcome = |name: &str, reason: Option<&str>| ObjectOutcome {
            object: ObjectKey {
                group: String::new(),
                kind: "ConfigMap".into(),
                namespace: Some("shop".into()),
                name: name.into(),
            },
            result: ObjectResult::Changed,
            reason: reason.map(Into::into),
        };
        assert_eq!(of_objects(&[outcome("a", None)]), None);
        let [edited, other] = [
            outcome("b", Some("somebody had set data.a")),
            outcome("c", None),
        ];
        assert_eq!(
            of_objects(&[other, edited]).as_deref(),
            Some("ConfigMap shop/b: somebody had set data.a")
        );
        let many: Vec<_> = (0..5).map(|_| outcome("d", Some("so"))).collect();
        let said = of_objects(&many).unwrap_or_default();
        assert!(said.ends_with("; and 2 more"), "{said}");
    }
}
