//! How a command ends: 0 when it did what was asked, 1 when it could not, 2 when it was asked wrongly (of `diff`: 1 when there
//! are differences, 2 when it could not tell), 78 when
//! what it is set up with must not be used, 124 when it waited for as long as it should.

use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use brokkr_client::Error;
use brokkr_core::wire::{Code, Problem};

use crate::terminal;

/// The command line makes no sense as it is. `clap` finds most of these; this is for the rest.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// It was waited for, as long as was asked for, and has not come.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TimedOut(pub String);

/// What was compared differs, which is no failure and needs no words.
#[derive(Debug, thiserror::Error)]
#[error("there are differences")]
pub struct Different;

/// Whether it differs is not known.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NotCompared(pub anyhow::Error);

/// As `timeout` of the GNU coreutils ends.
const TIMED_OUT: u8 = 124;

/// `EX_CONFIG` of `sysexits.h`: whoever starts us again need not try.
const CONFIGURATION: u8 = 78;

/// Says what went wrong, if anything did, and turns it into the exit code.
pub fn exit_code(outcome: anyhow::Result<()>) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    if is_broken_pipe(&error) {
        return ExitCode::SUCCESS;
    }
    if error.is::<Different>() {
        return ExitCode::FAILURE;
    }
    let error = match error.downcast::<NotCompared>() {
        Ok(NotCompared(error)) => {
            terminal::say(&describe(&error));
            return ExitCode::from(2);
        }
        Err(error) => error,
    };
    terminal::say(&describe(&error));
    if error.downcast_ref::<Usage>().is_some() {
        ExitCode::from(2)
    } else if error.is::<TimedOut>() {
        ExitCode::from(TIMED_OUT)
    } else if is_about_configuration(&error) {
        ExitCode::from(CONFIGURATION)
    } else {
        ExitCode::FAILURE
    }
}

/// Whether another start would end the same.
fn is_about_configuration(error: &anyhow::Error) -> bool {
    let of_broker = error.downcast_ref();
    matches!(of_broker, Some(brokkr_broker::StartError::Configuration(_)))
        || error.is::<brokkr_agent::ConfigurationError>()
}

/// Whoever reads our output has seen enough (`brokkr events | head`).
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

fn describe(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error:#}");
    let Some(refusal) = error.downcast_ref::<Error>() else {
        return text;
    };
    if let Some(advice) = advice(refusal) {
        let _ = write!(text, " — {advice}");
    }
    if let Error::Refused(problem) = refusal {
        text.push_str(&details(problem));
    }
    text
}

/// What to do, where the message of the client or the broker cannot know it.
fn advice(error: &Error) -> Option<&'static str> {
    match error {
        Error::Unreachable { .. } => Some("is it running, and is the address right?"),
        Error::Refused(problem) if problem.code == Code::Unauthenticated => {
            Some("sign in with `brokkr login`, or set BROKKR_KEY_FILE")
        }
        _ => None,
    }
}

fn details(problem: &Problem) -> String {
    let mut text = String::new();
    if let Some(pointer) = &problem.pointer {
        let _ = write!(text, "\n  at {pointer}");
    }
    let _ = write!(text, "\n  code {}", problem.code);
    if let Some(request) = &problem.request_id {
        let _ = write!(text, ", request {request}");
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn refused(code: Code, detail: &str) -> Error {
        Error::Refused(Box::new(Problem {
            kind: format!("urn:brokkr:problem:{code}"),
            title: "Refused".to_owned(),
            status: 400,
            code,
            detail: detail.to_owned(),
            agent: None,
            pointer: Some("/name".to_owned()),
            document: None,
            line: None,
            column: None,
            retry_after: None,
            request_id: Some("r-1".to_owned()),
        }))
    }

    #[test]
    fn a_refusal_says_what_where_and_what_to_do() {
        let error = anyhow!(refused(Code::Invalid, "`A` is not a name: use a-z"));
        insta::assert_snapshot!(describe(&error), @r"
        error: `A` is not a name: use a-z
          at /name
          code invalid, request r-1
        ");
        let error = anyhow!(refused(Code::Unauthenticated, "the key is not known"));
        assert!(describe(&error).contains("brokkr login"));
    }

    #[test]
    fn causes_stand_behind_what_they_caused() {
        let error = anyhow!("no such file").context("a.yaml cannot be read");
        insta::assert_snapshot!(describe(&error), @"error: a.yaml cannot be read: no such file");
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_failure() {
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(exit_code(Err(broken.into())), ExitCode::SUCCESS);
        assert_eq!(exit_code(Err(Usage("no".into()).into())), ExitCode::from(2));
        assert_eq!(
            exit_code(Err(TimedOut("no".into()).into())),
            ExitCode::from(124)
        );
        assert_eq!(exit_code(Err(anyhow!("no"))), ExitCode::FAILURE);
        assert_eq!(exit_code(Err(Different.into())), ExitCode::FAILURE);
        let unknown = NotCompared(anyhow!("no"));
        assert_eq!(exit_code(Err(unknown.into())), ExitCode::from(2));
    }
}
