//! What agents advise, ready to be pasted: an agent does not know its own name, nor whose a stack is, and writes
//! `STACK` and `AGENT` in the commands that it tells.

use std::fmt::Display;

/// The names of a reason's commands put in.
pub fn filled(reason: &str, stack: impl Display, agent: impl Display) -> String {
    let mut in_command = false;
    let words = reason.split(' ').map(|word| {
        in_command |= word.trim_start_matches(['`', '(']) == "brokkr";
        let bare = word.trim_end_matches(['`', ';', ',', ')', ':', '.']);
        let rest = &word[bare.len()..];
        let named = match bare {
            "STACK" if in_command => format!("{stack}{rest}"),
            "AGENT" if in_command => format!("{agent}{rest}"),
            _ => word.to_owned(),
        };
        in_command &= rest.is_empty();
        named
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_get_their_names_and_nothing_else_does() {
        let filled = |reason| filled(reason, "ci:shop", "eu-1");
        insta::assert_snapshot!(filled("paused (the agent is paused: brokkr agent resume AGENT; the stack is paused: brokkr stack resume STACK): AGENT differs"), @"paused (the agent is paused: brokkr agent resume eu-1; the stack is paused: brokkr stack resume ci:shop): AGENT differs");
        insta::assert_snapshot!(filled("take it over: `brokkr stack set STACK --adopt always`; STACK of AGENT"), @"take it over: `brokkr stack set ci:shop --adopt always`; STACK of AGENT");
        insta::assert_snapshot!(filled("the label STACK is missing"), @"the label STACK is missing");
    }
}
