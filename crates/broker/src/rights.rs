//! Who may do what: one table of operation × role, which is both the rule and its documentation.
//!
//! The [`Guard`] stands before every operation of the API. What has no row here is refused, so that a new
//! route opens nothing until somebody has said to whom. It runs before anything of the request is parsed.

mod admission;
mod guard;
mod own_page;
mod table;

use std::fmt::Write as _;

use brokkr_core::pak::Role;
use http::Method;

pub(crate) use admission::{Asking, BodyLimit, Itself, Keyholder, Reader};
pub(crate) use guard::Guard;
use table::TABLE;

/// How far an operation reaches for a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Refused.
    Nothing,
    /// The caller's own rows; all others do not exist for it.
    Own,
    /// Every row.
    All,
}

/// What each role may do with one operation.
#[derive(Debug)]
pub(crate) struct Right {
    pub(crate) method: Method,
    /// Below `/api/v1`, as the OpenAPI document writes it.
    pub(crate) path: &'static str,
    admin: Reach,
    generator: Reach,
    agent: Reach,
    /// Whether it answers with what it would do, and is made only as a plan says, if the request wants that.
    can_be_planned: bool,
    /// How large its body may be, in bytes.
    most: usize,
}

impl Right {
    const fn plannable(mut self) -> Self {
        self.can_be_planned = true;
        self
    }

    const fn taking(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    pub(crate) const fn reach(&self, role: Role) -> Reach {
        match role {
            Role::Admin => self.admin,
            Role::Generator => self.generator,
            Role::Agent => self.agent,
        }
    }

    /// The roles that may do it.
    pub(crate) fn roles(&self) -> impl Iterator<Item = Role> {
        [Role::Admin, Role::Generator, Role::Agent]
            .into_iter()
            .filter(|role| self.reach(*role) != Reach::Nothing)
    }
}

/// The rights to an operation of the OpenAPI document.
pub(crate) fn of(method: &Method, path: &str) -> Option<&'static Right> {
    TABLE
        .iter()
        .find(|right| right.method == *method && right.path == path)
}

/// All operations, as the OpenAPI document writes them.
pub(crate) fn operations() -> impl Iterator<Item = String> {
    TABLE
        .iter()
        .map(|right| format!("{} {}", right.method, right.path))
}

/// The table as a page of the documentation.
pub(crate) fn page() -> String {
    let mut page = String::from(PREFACE);
    for right in TABLE {
        let reach = |role| match right.reach(role) {
            Reach::Nothing => "–",
            Reach::Own => "own",
            Reach::All => "all",
        };
        let _ = writeln!(
            page,
            "| `{} {}` | {} | {} | {} |",
            right.method,
            right.path,
            reach(Role::Admin),
            reach(Role::Generator),
            reach(Role::Agent)
        );
    }
    page
}

const PREFACE: &str = "\
# Who may do what

Every request below `/api/v1` carries a key (PAK) as `Authorization: Bearer …`. The key's role and owner decide what it
may do, by this table and by nothing else. The broker looks here before it reads anything of the request; an operation
that has no row is refused to everybody. Without a key there are only `/healthz`, `/readyz` and `/api/v1/openapi.json`.

- **all**: every row.
- **own**: the caller's own rows. Another's row answers as one that does not exist: 404, with the same body.
  A generator's own rows are its stacks, with their deployment objects, agent targets, removals, status and events, its
  requests, and for reading and asking the agents in its scope. An agent's own rows are its target state, its reports,
  what it is asked, and the deployment objects of the stacks that it runs. Both have their keys.
- **–**: refused, 403.

Two options of a stack are an admin's alone, whoever owns the stack: `ignore_windows` and `service_account`. A generator
that changes one of them, or sets it with a new stack, is refused with 403.

Who signed in to the console may do what the key may that it was done with; a change needs the `Origin` of the broker's own address and
the header `Brokkr-Console` besides, which no other site can send along, and is refused with 403 without.

No key, an unknown, a revoked, an expired and a mistyped one all answer 401 with the same body.

| operation | admin | generator | agent |
|---|---|---|---|
";
