//! Rules judged by a model that knows nothing of texts, anchors or order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type Pairs = BTreeMap<&'static str, &'static str>;

const KEYS: [&str; 2] = ["env", "tier"];
const VALUES: [&str; 5] = ["", "a", "ab", "1", "10"];

#[derive(Clone, Debug)]
enum Term {
    OneOf(&'static str, Vec<&'static str>),
    NoneOf(&'static str, Vec<&'static str>),
    There(&'static str),
    NotThere(&'static str),
    AtLeast(&'static str, u8),
    NotVersion(&'static str, u8),
    Begins(&'static str, &'static str),
}

impl Term {
    fn text(&self) -> String {
        match self {
            Self::OneOf(key, values) => format!("{key} in ({})", values.join(",")),
            Self::NoneOf(key, values) => format!("{key} notin ({})", values.join(",")),
            Self::There(key) => (*key).to_owned(),
            Self::NotThere(key) => format!("!{key}"),
            Self::AtLeast(key, number) => format!("{key}>={number}"),
            Self::NotVersion(key, number) => format!("version({key})!={number}.0"),
            Self::Begins(key, prefix) => format!("{key} startswith {prefix}"),
        }
    }

    fn holds(&self, pairs: &Pairs) -> bool {
        let number = |key: &str| pairs.get(key).and_then(|value| value.parse::<u8>().ok());
        match self {
            Self::OneOf(key, values) => pairs.get(key).is_some_and(|value| values.contains(value)),
            Self::NoneOf(key, values) => {
                !pairs.get(key).is_some_and(|value| values.contains(value))
            }
            Self::There(key) => pairs.contains_key(key),
            Self::NotThere(key) => !pairs.contains_key(key),
            Self::AtLeast(key, least) => number(key).is_some_and(|number| number >= *least),
            Self::NotVersion(key, other) => number(key).is_some_and(|number| number != *other),
            Self::Begins(key, prefix) => pairs
                .get(key)
                .is_some_and(|value| value.starts_with(prefix)),
        }
    }
}

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&KEYS[..])
}

fn values() -> impl Strategy<Value = Vec<&'static str>> {
    // `in ()` is no expression.
    prop::sample::subsequence(&VALUES[..], 1..4)
        .prop_filter("a list with something in it", |values| values != &[""])
}

fn plain() -> impl Strategy<Value = Term> {
    prop_oneof![
        3 => (key(), values()).prop_map(|(key, values)| Term::OneOf(key, values)),
        1 => (key(), values()).prop_map(|(key, values)| Term::NoneOf(key, values)),
        1 => key().prop_map(Term::There),
        1 => key().prop_map(Term::NotThere),
    ]
}

fn rich() -> impl Strategy<Value = Term> {
    prop_oneof![
        2 => plain(),
        1 => (key(), 0..12_u8).prop_map(|(key, number)| Term::AtLeast(key, number)),
        1 => (key(), 0..12_u8).prop_map(|(key, number)| Term::NotVersion(key, number)),
        1 => (key(), prop::sample::select(&VALUES[1..])).prop_map(|(key, prefix)| Term::Begins(key, prefix)),
    ]
}

fn pairs() -> impl Strategy<Value = Pairs> {
    prop::collection::btree_map(key(), prop::sample::select(&VALUES[..]), 0..=2)
}

fn text(terms: &[Term]) -> Option<String> {
    let texts: Vec<_> = terms.iter().map(Term::text).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

#[derive(Clone, Debug)]
struct Case {
    labels: Vec<Term>,
    annotations: Vec<Term>,
    same: Vec<&'static str>,
    same_annotations: Vec<&'static str>,
    provider: Option<&'static str>,
    agent: (Pairs, Pairs, Option<Facts>),
    stack: (Pairs, Pairs),
}

fn case() -> impl Strategy<Value = Case> {
    let keys = || prop::sample::subsequence(&KEYS[..], 0..=1);
    let provider = || prop::option::of(prop::sample::select(vec!["aws", "gcp"]));
    let facts = provider().prop_map(|provider| read(json!({"provider": provider})));
    (
        prop::collection::vec(plain(), 0..3),
        prop::collection::vec(rich(), 0..3),
        keys(),
        keys(),
        provider(),
        (pairs(), pairs(), prop::option::of(facts)),
        // Mostly what the agent has too, or hardly any rule would match.
        prop::option::weighted(0.3, (pairs(), pairs())),
    )
        .prop_map(
            |(labels, annotations, same, same_annotations, provider, agent, stack)| Case {
                labels,
                annotations,
                same,
                same_annotations,
                provider,
                stack: stack.unwrap_or_else(|| (agent.0.clone(), agent.1.clone())),
                agent,
            },
        )
}

impl Case {
    fn exclusion(&self) -> Value {
        json!({
            "labels": text(&self.labels),
            "annotations": text(&self.annotations),
            "same": self.same,
            "same_annotations": self.same_annotations,
        })
    }

    fn rule(&self) -> Value {
        let mut rule = self.exclusion();
        rule["facts"] = json!(self.provider.map(|provider| format!("provider={provider}")));
        rule
    }

    fn scope(&self) -> Value {
        json!({"labels": text(&self.labels), "annotations": text(&self.annotations)})
    }

    fn selects(&self) -> bool {
        self.labels.iter().all(|term| term.holds(&self.agent.0))
            && self
                .annotations
                .iter()
                .all(|term| term.holds(&self.agent.1))
    }

    fn shares(&self) -> bool {
        let shared = |keys: &[&str], one: &Pairs, other: &Pairs| {
            keys.iter()
                .all(|key| one.contains_key(key) && one.get(key) == other.get(key))
        };
        shared(&self.same, &self.agent.0, &self.stack.0)
            && shared(&self.same_annotations, &self.agent.1, &self.stack.1)
    }

    fn verdict(&self) -> Verdict {
        if !self.selects() || !self.shares() {
            return Verdict::Misses;
        }
        let reported = self
            .agent
            .2
            .as_ref()
            .and_then(|facts| facts.provider.as_deref());
        if self.provider.is_none() || self.provider == reported {
            Verdict::Matches
        } else {
            Verdict::FactsMissing
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn rules_do_what_the_model_does(case in case()) {
        let (own, notes): (Labels, Annotations) = (read(json!(case.agent.0)), read(json!(case.agent.1)));
        let agent = AgentTraits { labels: &own, annotations: &notes, facts: case.agent.2.as_ref() };
        let (stack_labels, stack_notes): (Labels, Annotations) = (read(json!(case.stack.0)), read(json!(case.stack.1)));
        let stack = StackTraits { labels: &stack_labels, annotations: &stack_notes };

        if let Ok(rule) = serde_json::from_value::<Rule>(case.rule()) {
            let verdict = rule.judge(&agent, &stack);
            prop_assert_eq!(verdict, case.verdict(), "{}", rule);

            let findings = rule.explain(&agent, &stack);
            let explained = match findings.iter().find(|finding| !finding.holds) {
                None => Verdict::Matches,
                Some(_) if findings.iter().all(|f| f.holds || f.part == Part::Facts) => Verdict::FactsMissing,
                Some(_) => Verdict::Misses,
            };
            prop_assert_eq!(verdict, explained, "{}", rule);

            let anchors = rule.anchors(&stack);
            prop_assert!(anchors != Anchors::Any, "{}", rule);
            prop_assert!(verdict == Verdict::Misses || anchors.covers(&agent), "{rule}: {anchors:?}");
            // Nobody carries nothing and is reached: that is what the refusal of negative rules is for.
            let (none, nothing) = (Labels::new(), Annotations::new());
            let newcomer = AgentTraits { labels: &none, annotations: &nothing, facts: case.agent.2.as_ref() };
            prop_assert_eq!(rule.judge(&newcomer, &stack), Verdict::Misses, "{}", rule);
        }
        if let Ok(exclusion) = serde_json::from_value::<Exclusion>(case.exclusion()) {
            let matches = exclusion.matches(&agent, &stack);
            prop_assert_eq!(matches, case.selects() && case.shares(), "{}", exclusion);
            prop_assert_eq!(matches, exclusion.explain(&agent, &stack).iter().all(|finding| finding.holds));
        }
        if let Ok(scope) = serde_json::from_value::<AgentScope>(case.scope()) {
            let reaches = scope.reaches(&own, &notes);
            prop_assert_eq!(reaches, case.selects(), "{}", scope);
            prop_assert_eq!(reaches, scope.explain(&own, &notes).iter().all(|finding| finding.holds));
            prop_assert!(!reaches || scope.anchors().covers(&agent), "{}", scope);
        }
    }

    #[test]
    fn every_agent_is_every_agent(case in case()) {
        let (own, notes): (Labels, Annotations) = (read(json!(case.agent.0)), read(json!(case.agent.1)));
        let agent = AgentTraits { labels: &own, annotations: &notes, facts: None };
        let (stack_labels, stack_notes) = (Labels::new(), Annotations::new());
        let stack = StackTraits { labels: &stack_labels, annotations: &stack_notes };
        let rule: Rule = read(json!({"every_agent": true}));
        prop_assert_eq!(rule.judge(&agent, &stack), Verdict::Matches);
        let narrowed: Rule = read(json!({"every_agent": true, "facts": "provider!=aws"}));
        prop_assert_eq!(narrowed.judge(&agent, &stack), Verdict::FactsMissing);
        prop_assert!(AgentScope::AllAgents.reaches(&own, &notes));
    }
}
