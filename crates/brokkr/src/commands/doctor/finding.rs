//! One thing that was looked at.

use serde::Serialize;

/// What is looked at, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    Address,
    Connection,
    Broker,
    Clock,
    Key,
    Expiry,
    Rights,
    TargetState,
}

/// What a look came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    Ok,
    Warn,
    Fail,
    /// Nobody looked, because of what failed before.
    Skipped,
}

/// What was found where somebody looked, and what to do about it.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub check: Check,
    pub mark: Mark,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_do: Option<String>,
}

impl Check {
    /// In the order of looking, as people read them.
    pub const ALL: [(Self, &str); 8] = [
        (Self::Address, "address"),
        (Self::Connection, "connection"),
        (Self::Broker, "broker"),
        (Self::Clock, "clock"),
        (Self::Key, "key"),
        (Self::Expiry, "expiry"),
        (Self::Rights, "rights"),
        (Self::TargetState, "target state"),
    ];

    /// As people read it.
    pub fn name(self) -> &'static str {
        let named = Self::ALL.into_iter().find(|(check, _)| *check == self);
        named.map_or("", |(_, name)| name)
    }

    /// All is well.
    pub fn ok(self, found: impl Into<String>) -> Finding {
        self.finding(Mark::Ok, found.into(), None)
    }

    /// It works, and should not be left as it is.
    pub fn warn(self, found: impl Into<String>, to_do: impl Into<String>) -> Finding {
        self.finding(Mark::Warn, found.into(), Some(to_do.into()))
    }

    /// It does not work.
    pub fn fail(self, found: impl Into<String>, to_do: impl Into<String>) -> Finding {
        self.finding(Mark::Fail, found.into(), Some(to_do.into()))
    }

    /// It does not work, for a reason that may bring its own advice behind a dash.
    pub fn fail_by(self, reason: &str, to_do: &str) -> Finding {
        let (found, to_do) = reason.rsplit_once(" — ").unwrap_or((reason, to_do));
        self.fail(found, to_do)
    }

    /// Nobody looked.
    pub fn skipped(self) -> Finding {
        self.finding(Mark::Skipped, String::new(), None)
    }

    fn finding(self, mark: Mark, found: String, to_do: Option<String>) -> Finding {
        Finding {
            check: self,
            mark,
            found,
            to_do,
        }
    }
}
