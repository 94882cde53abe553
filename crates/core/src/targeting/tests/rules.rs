//! What is a rule, and how it is shown.

use utoipa::{PartialSchema, ToSchema};

use super::*;

#[test]
fn rules_have_one_line() {
    for (rule, line) in [
        (json!({"labels": "!gpu,env=prod"}), "labels env=prod,!gpu"),
        (json!({"same": ["tier", "env", "tier"]}), "same env,tier"),
        (json!({"every_agent": true}), "every agent"),
        (
            json!({"every_agent": true, "facts": "kinds has Pod"}),
            "every agent; facts kinds has Pod",
        ),
        (
            json!({
                "labels": "env=prod,!gpu",
                "same": ["env"],
                "annotations": "note=\"a; b\"",
                "same_annotations": ["region"],
                "facts": "kubernetes.version >= 1.33",
            }),
            "labels env=prod,!gpu; same env; annotations note=\"a; b\"; same annotations region; facts kubernetes.version>=1.33",
        ),
    ] {
        let rule: Rule = read(rule);
        assert_eq!(rule.to_string(), line);
        assert_eq!(read::<Rule>(json!(rule)), rule);
    }
    let scope: AgentScope = read(json!({"labels": "team=a", "annotations": "zone startswith eu"}));
    assert_eq!(
        scope.to_string(),
        "labels team=a; annotations zone startswith eu"
    );
}

#[test]
fn a_rule_shows_only_what_it_has() {
    let rule: Rule =
        read(json!({"labels": "b,a", "every_agent": false, "same": [], "facts": null}));
    assert_eq!(json!(rule), json!({"labels": "a,b"}));
    let targeting: Targeting = read(json!({"rules": [{"every_agent": true}]}));
    assert_eq!(json!(targeting), json!({"rules": [{"every_agent": true}]}));
    assert_eq!(json!(Targeting::default()), json!({}));
    assert!(Targeting::default().is_empty());
}

#[test]
fn what_is_no_rule_is_refused_with_advice() {
    for (rule, why) in [
        (json!({}), "the rule is empty"),
        (
            json!({"every_agent": false, "same": []}),
            "the rule is empty",
        ),
        (
            json!({"every_agent": true, "labels": "a"}),
            "`every_agent` stands alone or with `facts`",
        ),
        (
            json!({"every_agent": true, "same": ["a"]}),
            "`every_agent` stands alone or with `facts`",
        ),
        (
            json!({"every_agent": true, "annotations": "a"}),
            "`every_agent` stands alone",
        ),
        (
            json!({"every_agent": true, "same_annotations": ["a"]}),
            "`every_agent` stands alone",
        ),
        (
            json!({"facts": "provider=aws"}),
            "`facts` alone would let an agent choose",
        ),
        (
            json!({"labels": "!a"}),
            "the rule only says what an agent must not have",
        ),
        (
            json!({"labels": "a!=b", "annotations": "c notin (d)"}),
            "the rule only says",
        ),
        (
            json!({"labels": "a!=b", "facts": "kinds has Pod"}),
            "the rule only says",
        ),
        (json!({"labels": "a="}), "it was taken"),
        (json!({"labels": "!a", "same": ["b"]}), "it was taken"),
        (
            json!({"labels": "!a", "same_annotations": ["b"]}),
            "it was taken",
        ),
        (
            json!({"labels": "!a", "annotations": "version(b)!=1"}),
            "it was taken",
        ),
        (
            json!({"labels": ""}),
            "expected something like `env=prod,tier in (a,b),!gpu`",
        ),
        (json!({"labels": "a b"}), "column 3: expected"),
        (json!({"label": "a"}), "unknown field `label`"),
        (json!({"same": ["a b"]}), "`a b` is not a key"),
        (
            json!({"same": (0..17).map(|i| format!("k{i}")).collect::<Vec<_>>()}),
            "`same` and",
        ),
    ] {
        let refusal = refusal::<Rule>(rule.clone());
        assert!(refusal.starts_with(why), "{rule}: {refusal}");
    }
}

#[test]
fn an_exclusion_may_be_negative_and_knows_no_facts() {
    for (exclusion, why) in [
        (json!({"labels": "!a"}), "it was taken"),
        (json!({"same": ["a"]}), "it was taken"),
        (
            json!({"annotations": "a>1", "same_annotations": ["b"]}),
            "it was taken",
        ),
        (json!({}), "the exclusion is empty"),
        (json!({"facts": "kinds has Pod"}), "unknown field `facts`"),
        (json!({"every_agent": true}), "unknown field `every_agent`"),
    ] {
        let refusal = refusal::<Exclusion>(exclusion.clone());
        assert!(refusal.starts_with(why), "{exclusion}: {refusal}");
    }
}

#[test]
fn a_scope_is_everything_or_something() {
    assert_eq!(
        read::<AgentScope>(json!("all_agents")),
        AgentScope::AllAgents
    );
    assert_eq!(json!(AgentScope::AllAgents), json!("all_agents"));
    let scope: AgentScope = read(json!({"labels": "team=a,!gpu"}));
    assert_eq!(json!(scope), json!({"labels": "!gpu,team=a"}));
    assert_eq!(read::<AgentScope>(json!(scope)), scope);
    for (scope, why) in [
        (json!({}), "the scope is empty"),
        (
            json!({"labels": "!a", "annotations": "b!=c"}),
            "the scope only says",
        ),
        (json!({"every": 1}), "unknown field `every`"),
        (
            json!("all"),
            "invalid value: string \"all\", expected \"all_agents\" or an object",
        ),
        (
            json!(true),
            "invalid type: boolean `true`, expected \"all_agents\" or an object",
        ),
        (json!({"labels": "a,"}), "column 3: expected a key"),
    ] {
        let refusal = refusal::<AgentScope>(scope.clone());
        assert!(refusal.starts_with(why), "{scope}: {refusal}");
    }
}

#[test]
fn a_stack_has_few_rules_and_none_twice() {
    let rules = |count: usize| -> Value {
        (0..count)
            .map(|i| json!({"labels": format!("k{i}")}))
            .collect()
    };
    for (targeting, why) in [
        (
            json!({"rules": rules(32), "exclude": rules(32)}),
            "it was taken",
        ),
        (
            json!({"rules": rules(33)}),
            "a stack has at most 32 rules, these are 33",
        ),
        (
            json!({"exclude": rules(33)}),
            "a stack has at most 32 exclusions, these are 33",
        ),
        (
            json!({"rules": [{"labels": "a,b"}, {"labels": "b,a"}]}),
            "this is there twice, take one away: labels a,b",
        ),
        (
            json!({"exclude": [{"same": ["a"]}, {"same": ["a", "a"]}]}),
            "this is there twice",
        ),
        (json!({"rule": []}), "unknown field `rule`"),
    ] {
        let refusal = refusal::<Targeting>(targeting.clone());
        assert!(refusal.starts_with(why), "{targeting}: {refusal}");
    }
}

#[test]
fn every_predicate_is_explained() {
    let rule: Rule = read(json!({
        "labels": "env=prod,!gpu",
        "same": ["env", "tier"],
        "annotations": "memory>=64",
        "facts": "kinds has Pod,kinds has x.io/Y,provider=aws",
    }));
    let (own, notes) = (
        labels(&[("env", "prod"), ("gpu", "a")]),
        annotations(&[("memory", "32")]),
    );
    let facts: Facts = read(json!({"kinds": ["Pod", "Secret"]}));
    let agent = AgentTraits {
        labels: &own,
        annotations: &notes,
        facts: Some(&facts),
    };
    let (theirs, none) = (labels(&[("env", "test")]), annotations(&[]));
    let stack = StackTraits {
        labels: &theirs,
        annotations: &none,
    };
    assert_eq!(
        json!(rule.explain(&agent, &stack)),
        json!([
            {"part": "labels", "predicate": "env=prod", "found": "prod", "holds": true},
            {"part": "labels", "predicate": "!gpu", "found": "a", "holds": false},
            {"part": "same", "predicate": "env", "found": "prod", "wanted": "test", "holds": false},
            {"part": "same", "predicate": "tier", "holds": false},
            {"part": "annotations", "predicate": "memory>=64", "found": "32", "holds": false},
            {"part": "facts", "predicate": "provider=aws", "holds": false},
            {"part": "facts", "predicate": "kinds has Pod", "found": "2 kinds, this one too", "holds": true},
            {"part": "facts", "predicate": "kinds has x.io/Y", "found": "2 kinds, not this one", "holds": false},
        ])
    );
    let unreported = AgentTraits {
        facts: None,
        ..agent
    };
    let findings = rule.explain(&unreported, &stack);
    assert!(
        findings
            .iter()
            .filter(|f| f.part == Part::Facts)
            .all(|f| !f.holds && f.found.as_deref() == Some("nothing reported yet"))
    );
}

#[test]
fn the_narrowest_part_is_the_anchor() {
    let (theirs, none) = (labels(&[("env", "prod")]), annotations(&[]));
    let stack = StackTraits {
        labels: &theirs,
        annotations: &none,
    };
    let anchor = |kind, key: &str, value: Option<&str>| Anchor {
        kind,
        key: key.parse().expect("a key"),
        value: value.map(str::to_owned),
    };
    let (label, annotation) = (TraitKind::Label, TraitKind::Annotation);
    for (rule, anchors) in [
        (json!({"every_agent": true}), Anchors::Any),
        (
            json!({"labels": "a,b in (x,y)"}),
            Anchors::OneOf(vec![
                anchor(label, "b", Some("x")),
                anchor(label, "b", Some("y")),
            ]),
        ),
        (
            json!({"labels": "b in (x,y)", "annotations": "c=z"}),
            Anchors::OneOf(vec![anchor(annotation, "c", Some("z"))]),
        ),
        (
            json!({"labels": "!a", "annotations": "c>=1"}),
            Anchors::OneOf(vec![anchor(annotation, "c", None)]),
        ),
        (
            json!({"annotations": "c startswith x,version(d)!=1"}),
            Anchors::OneOf(vec![anchor(annotation, "c", None)]),
        ),
        (
            json!({"labels": "a", "same": ["env"]}),
            Anchors::OneOf(vec![anchor(label, "env", Some("prod"))]),
        ),
        (
            json!({"labels": "a=b", "same": ["env", "tier"]}),
            Anchors::Never,
        ),
        (json!({"same_annotations": ["env"]}), Anchors::Never),
        (
            json!({"labels": "a=,b"}),
            Anchors::OneOf(vec![anchor(label, "a", Some(""))]),
        ),
    ] {
        assert_eq!(
            read::<Rule>(rule.clone()).anchors(&stack),
            anchors,
            "{rule}"
        );
    }
    assert_eq!(AgentScope::AllAgents.anchors(), Anchors::Any);
    let scope: AgentScope = read(json!({"labels": "team=a,!gpu"}));
    assert_eq!(
        scope.anchors(),
        Anchors::OneOf(vec![anchor(label, "team", Some("a"))])
    );
}

#[test]
fn the_description_of_the_api_says_what_is_taken() {
    let described = |schema: utoipa::openapi::RefOr<utoipa::openapi::Schema>| json!(schema);
    assert_eq!(
        described(AgentScope::schema())["oneOf"],
        json!([
            {"type": "string", "description": "Every agent.", "enum": ["all_agents"]},
            {"$ref": "#/components/schemas/AgentSelection"},
        ])
    );
    for closed in [
        Rule::schema(),
        Exclusion::schema(),
        Targeting::schema(),
        AgentSelection::schema(),
    ] {
        assert_eq!(described(closed)["additionalProperties"], json!(false));
    }
    assert_eq!(Rule::name(), "Rule");
    assert_eq!(Selector::name(), "Selector");
    assert_eq!(Labels::name(), "Labels");
    let mut schemas = Vec::new();
    Targeting::schemas(&mut schemas);
    AgentScope::schemas(&mut schemas);
    for name in [
        "Rule",
        "Exclusion",
        "Selector",
        "Conditions",
        "FactConditions",
        "LabelKey",
        "AgentSelection",
    ] {
        assert!(schemas.iter().any(|(found, _)| found == name), "{name}");
    }
}

#[test]
fn the_examples_of_the_reference_are_taken() {
    const REFERENCE: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/targeting.md"
    );
    let text = std::fs::read_to_string(REFERENCE).expect("the reference is there");
    let examples: Vec<Value> = text
        .split("```json")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .map(|example| serde_json::from_str(example).expect(example))
        .collect();
    assert_eq!(examples.len(), 5);
    for mut example in examples {
        if example.get("rules").is_some() {
            assert!(!read::<Targeting>(example).is_empty());
        } else if let Some(scope) = example.get_mut("scope") {
            read::<AgentScope>(scope.take());
        } else {
            assert!(!read::<Labels>(example["labels"].take()).is_empty());
            assert!(!read::<Annotations>(example["annotations"].take()).is_empty());
        }
    }
}
