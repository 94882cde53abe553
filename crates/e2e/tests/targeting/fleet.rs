//! The fleet in the story's own words: what each side carries, and for each stack a plain condition that
//! says what its rules should come to. Nothing here knows the product's way of judging.

use serde_json::{Value, json};

/// What an agent carries.
#[derive(Clone, Debug)]
pub struct Agent {
    pub name: String,
    pub env: &'static str,
    pub region: &'static str,
    pub gpu: bool,
    pub canary: bool,
    pub memory: Option<u32>,
    pub tier: Option<&'static str>,
    /// The minor version of its Kubernetes, and whether it serves certificates; none if it never reported.
    pub facts: Option<(u32, bool)>,
}

impl Agent {
    pub fn number(n: u32) -> Self {
        let one_of = |all: &[&'static str], n: u32| all[n as usize % all.len()];
        Self {
            name: format!("agent-{n:02}"),
            env: one_of(&["prod", "dev", "test"], n),
            region: one_of(&["eu", "us"], n),
            gpu: n.is_multiple_of(5),
            canary: n.is_multiple_of(7),
            memory: (!n.is_multiple_of(4)).then_some((n % 4) * 32),
            tier: (!n.is_multiple_of(3)).then_some(one_of(&["gold", "silver"], n / 3)),
            facts: (n % 10 < 9).then_some((28 + n % 6, n % 5 < 2)),
        }
    }

    pub fn labels(&self) -> Value {
        let mut labels = json!({ "env": self.env, "region": self.region });
        if self.gpu {
            labels["gpu"] = json!("");
        }
        if self.canary {
            labels["example.com/canary"] = json!("yes");
        }
        labels
    }

    pub fn annotations(&self) -> Value {
        let mut annotations = json!({});
        if let Some(memory) = self.memory {
            annotations["memory"] = json!(memory.to_string());
        }
        if let Some(tier) = self.tier {
            annotations["tier"] = json!(tier);
        }
        annotations
    }

    pub fn facts(&self) -> Option<Value> {
        self.facts.map(|(minor, has_certificates)| {
            let mut kinds = vec!["Pod", "apps/Deployment"];
            kinds.extend(has_certificates.then_some("cert-manager.io/Certificate"));
            json!({ "kubernetes_version": format!("v1.{minor}.3"), "kinds": kinds })
        })
    }
}

/// A stack, and which agents should run it as far as its own rules go.
pub struct Stack {
    pub name: &'static str,
    /// The generator that owns it; none for the operators.
    pub owner: Option<&'static str>,
    pub labels: Value,
    pub annotations: Value,
    pub targeting: Value,
    pub wants: fn(&Agent) -> bool,
}

fn stack(
    owner: Option<&'static str>,
    name: &'static str,
    targeting: Value,
    wants: fn(&Agent) -> bool,
) -> Stack {
    Stack {
        name,
        owner,
        labels: json!({}),
        annotations: json!({}),
        targeting,
        wants,
    }
}

pub fn stacks() -> Vec<Stack> {
    let (north, south) = (Some("north"), Some("south"));
    vec![
        stack(
            None,
            "everywhere",
            json!({ "rules": [{ "every_agent": true }], "exclude": [{ "labels": "example.com/canary" }] }),
            |agent| !agent.canary,
        ),
        Stack {
            labels: json!({ "region": "eu", "env": "prod" }),
            ..stack(
                None,
                "same",
                json!({ "rules": [{ "same": ["region", "env"] }] }),
                |agent| agent.region == "eu" && agent.env == "prod",
            )
        },
        stack(
            None,
            "modern",
            json!({ "rules": [{ "labels": "gpu", "facts": "kubernetes.version >= 1.30" }] }),
            |agent| agent.gpu && agent.facts.is_some_and(|(minor, _)| minor >= 30),
        ),
        stack(
            north,
            "shop",
            json!({
                "rules": [{ "labels": "env in (prod,dev),!gpu" }],
                "exclude": [{ "labels": "env=dev", "annotations": "memory >= 96" }],
            }),
            |agent| {
                let kept_out =
                    agent.env == "dev" && agent.memory.is_some_and(|memory| memory >= 96);
                agent.env != "test" && !agent.gpu && !kept_out
            },
        ),
        stack(
            north,
            "certificates",
            json!({ "rules": [{ "every_agent": true, "facts": "kinds has cert-manager.io/Certificate" }] }),
            |agent| {
                agent
                    .facts
                    .is_some_and(|(_, has_certificates)| has_certificates)
            },
        ),
        stack(
            south,
            "shop",
            json!({ "rules": [{ "annotations": "memory >= 64" }, { "labels": "gpu" }] }),
            |agent| agent.gpu || agent.memory.is_some_and(|memory| memory >= 64),
        ),
        Stack {
            annotations: json!({ "tier": "gold" }),
            ..stack(
                south,
                "premium",
                json!({ "rules": [{ "same_annotations": ["tier"] }] }),
                |agent| agent.tier == Some("gold"),
            )
        },
        stack(south, "nowhere", json!({}), |_| false),
    ]
}
