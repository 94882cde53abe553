use brokkr_core::Epoch;
use brokkr_core::mutant::Mutant;
use brokkr_core::wire::TargetState;

use crate::inventory::Accepted;

/// What to do with a target state that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Act upon it.
    Accept,
    /// Drop it: a newer one of the same history was accepted.
    Older {
        /// The accepted revision.
        accepted: u64,
    },
    /// Drop it: it is of a history that nobody declared to continue the accepted one.
    OtherHistory {
        /// The accepted epoch.
        accepted: Epoch,
    },
}

/// The first state ever is trusted; later ones must follow from the accepted one.
pub(super) fn judge(accepted: Option<&Accepted>, state: &TargetState) -> Judgement {
    let Some(accepted) = accepted else {
        return Judgement::Accept;
    };
    if accepted.epoch == state.epoch {
        if state.revision >= accepted.revision || Mutant::OlderAccepted.is_on() {
            return Judgement::Accept;
        }
        return Judgement::Older {
            accepted: accepted.revision,
        };
    }
    if state.succeeds.contains(&accepted.epoch) || Mutant::OtherHistoryAccepted.is_on() {
        return Judgement::Accept;
    }
    Judgement::OtherHistory {
        accepted: accepted.epoch,
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;
    use brokkr_core::wire::TargetAgent;

    use super::*;

    #[test]
    fn a_state_is_accepted_only_if_it_follows_from_the_last_one() {
        let [ours, other] = [0; 2].map(|_| Epoch::generate(&System));
        let accepted = Accepted {
            epoch: ours,
            revision: 7,
            state_token: String::new(),
            kept: None,
        };
        let older = Judgement::Older { accepted: 7 };
        let foreign = || Judgement::OtherHistory { accepted: ours };
        let cases = [
            (None, other, 1, vec![], Judgement::Accept),
            (Some(&accepted), ours, 8, vec![], Judgement::Accept),
            (Some(&accepted), ours, 7, vec![], Judgement::Accept),
            (Some(&accepted), ours, 6, vec![], older),
            (Some(&accepted), other, 9, vec![], foreign()),
            (Some(&accepted), other, 9, vec![other], foreign()),
            (Some(&accepted), other, 1, vec![ours], Judgement::Accept),
        ];
        for (accepted, epoch, revision, succeeds, expected) in cases {
            let state = TargetState {
                epoch,
                revision,
                state_token: String::new(),
                succeeds,
                agent: TargetAgent::default(),
                stacks: Vec::new(),
                removals: Vec::new(),
                conditional_removals: Vec::new(),
                requests: Vec::new(),
            };
            assert_eq!(judge(accepted, &state), expected, "{state:?}");
        }
    }
}
