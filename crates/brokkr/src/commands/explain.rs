use std::fmt::Write as _;

use brokkr_core::name::Reference;
use brokkr_core::targeting::{Finding, Part};
use brokkr_core::wire::Explanation;
use clap::Args;

use crate::connection::Connection;
use crate::output::{self, Output, printable};

/// Say why an agent runs a stack, or why it does not
///
/// Shows every part of every rule, exclusion and scope: whether it holds, and what the agent has there.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr explain --agent eu-1 --stack checkout
  brokkr explain --agent eu-1 --stack ci:checkout -o json")]
pub struct Explain {
    /// The agent's name or id
    #[arg(long)]
    agent: Reference,

    /// The stack's name or id
    #[arg(long)]
    stack: Reference,

    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Explain {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let explanation = client.explain(&self.agent, &self.stack).await?;
        if self.output.is_structured() {
            return self.output.whole(&explanation);
        }
        output::write(&told(&explanation))
    }
}

/// The verdict, then what it was made of.
fn told(explained: &Explanation) -> String {
    let verb = if explained.targeted {
        "runs"
    } else {
        "does not run"
    };
    let mut text = format!(
        "Agent {} {verb} stack {}: {}.\n",
        explained.agent_name,
        Reference::of(explained.generator.as_ref(), &explained.stack_name),
        printable(&explained.reason)
    );
    for (number, rule) in (1..).zip(&explained.rules) {
        let verdict = match (rule.matches, rule.facts_held_before) {
            (true, true) => "matches, because its facts held once",
            (true, false) => "matches",
            (false, _) => "does not match",
        };
        tell(
            &mut text,
            &format!("Rule {number} {verdict}"),
            &rule.findings,
        );
    }
    for (number, exclusion) in (1..).zip(&explained.exclude) {
        let verdict = if exclusion.matches {
            "keeps the agent out"
        } else {
            "does not match"
        };
        tell(
            &mut text,
            &format!("Exclusion {number} {verdict}"),
            &exclusion.findings,
        );
    }
    if let Some(scope) = &explained.scope {
        let verdict = if scope.reaches {
            "reaches the agent"
        } else {
            "does not reach the agent"
        };
        tell(
            &mut text,
            &format!("The scope of generator {} {verdict}", scope.generator),
            &scope.findings,
        );
    }
    text
}

fn tell(text: &mut String, title: &str, findings: &[Finding]) {
    let asked: Vec<String> = findings.iter().map(asked).collect();
    let width = asked
        .iter()
        .map(|asked| asked.chars().count())
        .max()
        .unwrap_or_default();
    let _ = writeln!(text, "\n{title}:");
    for (finding, asked) in findings.iter().zip(asked) {
        let mark = if finding.holds { '✓' } else { '✗' };
        let line = format!("  {mark} {asked:width$}   {}", found(finding));
        let _ = writeln!(text, "{}", printable(line.trim_end()));
    }
}

fn asked(finding: &Finding) -> String {
    format!("{} {}", finding.part, finding.predicate)
        .trim_end()
        .to_owned()
}

fn found(finding: &Finding) -> String {
    let agent = finding.found.as_deref().unwrap_or("nothing");
    match finding.part {
        Part::EveryAgent => String::new(),
        Part::Same | Part::SameAnnotations => {
            let stack = finding.wanted.as_deref().unwrap_or("nothing");
            format!(
                "the agent has {}, the stack has {}",
                value(agent),
                value(stack)
            )
        }
        Part::Labels | Part::Annotations => format!("the agent has {}", value(agent)),
        Part::Facts => finding
            .found
            .clone()
            .unwrap_or_else(|| "not reported".to_owned()),
    }
}

/// A label without a value is there all the same.
fn value(text: &str) -> &str {
    if text.is_empty() {
        "it, without a value"
    } else {
        text
    }
}

#[cfg(test)]
mod tests;
