use brokkr_core::manifest::MAX_BYTES;
use http::Method;

use super::Reach::{All, Nothing, Own};
use super::{Reach, Right};

const BODY: usize = 1024 * 1024;
/// JSON may escape every byte of a text; what the text itself may have is checked when it is read.
const PUBLISH: usize = 2 * MAX_BYTES + 64 * 1024;
/// A batch of events with all their objects, or of statuses with all that is held.
const REPORT: usize = 8 * 1024 * 1024;

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

const fn right(
    method: Method,
    path: &'static str,
    admin: Reach,
    generator: Reach,
    agent: Reach,
) -> Right {
    Right {
        method,
        path,
        admin,
        generator,
        agent,
        can_be_planned: false,
        most: BODY,
    }
}

/// One row an operation: what an admin, a generator and an agent may do with it.
#[rustfmt::skip]
pub(super) static TABLE: &[Right] = &[
    // everyone, about itself
    right(GET,    "/me",                                 Own,     Own,     Own),
    right(POST,   "/me/rotate",                          Own,     Own,     Own),
    right(POST,   "/session",                            Own,     Own,     Nothing),
    right(DELETE, "/session",                            Own,     Own,     Nothing),
    right(GET,    "/keys",                               All,     Own,     Own),
    right(GET,    "/keys/{key}",                         All,     Own,     Own),
    // operators
    right(POST,   "/keys",                               All,     Nothing, Nothing),
    right(DELETE, "/keys/{key}",                         All,     Nothing, Nothing),
    right(POST,   "/keys/{key}/rotate",                  All,     Nothing, Nothing),
    right(POST,   "/agents",                             All,     Nothing, Nothing).plannable(),
    right(DELETE, "/agents/{agent}",                     All,     Nothing, Nothing).plannable(),
    right(PATCH,  "/agents/{agent}",                     All,     Nothing, Nothing).plannable(),
    right(POST,   "/agents/{agent}/rebind",              All,     Nothing, Nothing),
    right(GET,    "/generators",                         All,     Nothing, Nothing),
    right(POST,   "/generators",                         All,     Nothing, Nothing),
    right(GET,    "/generators/{generator}",             All,     Nothing, Nothing),
    right(PATCH,  "/generators/{generator}",             All,     Nothing, Nothing).plannable(),
    right(DELETE, "/generators/{generator}",             All,     Nothing, Nothing).plannable(),
    right(GET,    "/settings",                           All,     Nothing, Nothing),
    right(PATCH,  "/settings",                           All,     Nothing, Nothing),
    right(GET,    "/windows",                            All,     Nothing, Nothing),
    right(POST,   "/windows",                            All,     Nothing, Nothing),
    right(GET,    "/windows/{window}",                   All,     Nothing, Nothing),
    right(DELETE, "/windows/{window}",                   All,     Nothing, Nothing),
    right(GET,    "/epochs",                             All,     Nothing, Nothing),
    right(POST,   "/epochs/{epoch}/accept",              All,     Nothing, Nothing),
    right(GET,    "/audit",                              All,     Nothing, Nothing),
    // operators and generators
    right(GET,    "/agents",                             All,     Own,     Nothing),
    right(GET,    "/agents/{agent}",                     All,     Own,     Nothing),
    right(GET,    "/agents/{agent}/status",              All,     Own,     Nothing),
    right(GET,    "/fleet",                              All,     Own,     Nothing),
    right(GET,    "/fleet/{agent}",                      All,     Own,     Nothing),
    right(GET,    "/stacks",                             All,     Own,     Nothing),
    right(POST,   "/stacks",                             All,     Own,     Nothing).plannable(),
    right(GET,    "/stacks/{stack}",                     All,     Own,     Nothing),
    right(PATCH,  "/stacks/{stack}",                     All,     Own,     Nothing).plannable(),
    right(DELETE, "/stacks/{stack}",                     All,     Own,     Nothing).plannable(),
    right(POST,   "/stacks/{stack}/undelete",            All,     Own,     Nothing),
    right(GET,    "/stacks/{stack}/status",              All,     Own,     Nothing),
    right(GET,    "/stacks/{stack}/deployment-objects",  All,     Own,     Nothing),
    right(POST,   "/stacks/{stack}/deployment-objects",  All,     Own,     Nothing).plannable().taking(PUBLISH),
    right(POST,   "/stacks/{stack}/rollback",            All,     Own,     Nothing).plannable(),
    right(GET,    "/deployment-objects/{id}",            All,     Own,     Nothing),
    right(GET,    "/agent-targets",                      All,     Own,     Nothing),
    right(POST,   "/agent-targets",                      All,     Own,     Nothing).plannable(),
    right(DELETE, "/agent-targets/{target}",             All,     Own,     Nothing).plannable(),
    right(GET,    "/removals",                           All,     Own,     Nothing),
    right(POST,   "/removals/{target}/approve",          All,     Own,     Nothing),
    right(POST,   "/removals/{target}/refuse",           All,     Own,     Nothing),
    right(GET,    "/explain",                            All,     Own,     Nothing),
    right(GET,    "/events",                             All,     Own,     Nothing),
    right(GET,    "/watch",                              All,     Own,     Nothing),
    right(POST,   "/agents/{agent}/requests",            All,     Own,     Nothing).taking(PUBLISH),
    right(GET,    "/requests/{request}",                 All,     Own,     Nothing),
    // operators, generators, and agents that run the stack
    right(GET,    "/deployment-objects/{id}/manifests",  All,     Own,     Own),
    // the agent itself
    right(POST,   "/agent/session",                      Nothing, Nothing, Own),
    right(GET,    "/agent/target-state",                 Nothing, Nothing, Own),
    right(POST,   "/agent/removals",                     Nothing, Nothing, Own),
    right(POST,   "/agent/events",                       Nothing, Nothing, Own).taking(REPORT),
    right(PUT,    "/agent/status",                       Nothing, Nothing, Own).taking(REPORT),
    right(PUT,    "/agent/facts",                        Nothing, Nothing, Own),
    right(GET,    "/agent/requests/{request}",           Nothing, Nothing, Own),
    right(POST,   "/agent/requests/{request}",           Nothing, Nothing, Own),
];
