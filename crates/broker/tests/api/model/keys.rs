//! An agent's keys, and what the broker must say of each.

use std::time::{Duration, Instant};

use brokkr_client::Client;
use brokkr_core::name::Reference;
use brokkr_core::pak::Pak;
use brokkr_core::wire::{Code, CreateKey, KeyOwner, RotateKey};
use proptest::prelude::*;

use crate::harness::{TestBroker, name};

/// What happens to keys.
#[derive(Debug, Clone, Copy)]
pub enum KeyStep {
    Create,
    Revoke,
    Rotate,
    /// The newest key of a rotation is used first.
    Use,
}

pub fn step() -> impl Strategy<Value = KeyStep> {
    prop_oneof![
        2 => Just(KeyStep::Create),
        2 => Just(KeyStep::Revoke),
        3 => Just(KeyStep::Rotate),
        3 => Just(KeyStep::Use),
    ]
}

/// An agent's keys.
pub struct Keys {
    good: Vec<Pak>,
    /// The keys of rotations that nobody has used, with the key that each will end.
    unused: Vec<(Pak, Pak)>,
    dead: Vec<Pak>,
}

impl Keys {
    pub fn of(first: Pak) -> Self {
        Self {
            good: vec![first],
            unused: Vec::new(),
            dead: Vec::new(),
        }
    }

    pub fn in_use(&self) -> Pak {
        self.good[0].clone()
    }

    pub async fn take(&mut self, step: KeyStep, admin: &Client, here: &TestBroker, agent: &str) {
        match step {
            KeyStep::Create => {
                let agent: Reference = name(agent);
                let create = CreateKey {
                    owner: KeyOwner::Agent(agent),
                    name: "another".parse().expect("a name"),
                    expires_in: None,
                    expires_at: None,
                };
                let created = admin.create_key(&create).await.expect("a key");
                self.good.push(created.pak.parse().expect("a key"));
            }
            KeyStep::Revoke => {
                if self.good.len() > 1 {
                    let dead = self.good.remove(0);
                    admin.revoke_key(dead.id()).await.expect("revoked");
                    self.dead.push(dead);
                }
            }
            KeyStep::Rotate => {
                let old = self.in_use();
                says(here, &old, true).await;
                let client = here.client(&old);
                let rotated = client.rotate_own_key(&RotateKey::default()).await;
                let new = rotated.expect("a new key").pak;
                let gave_way = self
                    .unused
                    .extract_if(.., |(_, rotated)| rotated.id() == old.id());
                self.dead.extend(gave_way.map(|(unused, _)| unused));
                self.unused.push((new.parse().expect("a key"), old));
            }
            KeyStep::Use => {
                if let Some((new, old)) = self.unused.pop() {
                    says(here, &new, true).await;
                    self.good.retain(|good| good.id() != old.id());
                    self.good.push(new);
                    self.dead.push(old);
                }
            }
        }
    }

    /// Every replica says so of every key, those that were not used apart: to ask would be to use them.
    pub async fn check(&self, replicas: &[TestBroker]) {
        for replica in replicas {
            for good in &self.good {
                says(replica, good, true).await;
            }
            for dead in self.dead.iter().rev().take(3) {
                says(replica, dead, false).await;
            }
        }
    }
}

/// The first use of a key is recorded behind its answer, and other replicas follow.
async fn says(replica: &TestBroker, key: &Pak, is_good: bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let answer = replica.client(key).me().await;
        match answer {
            Ok(_) if is_good => return,
            Err(error) if !is_good && error.code() == Some(Code::Unauthenticated) => return,
            answer => assert!(
                Instant::now() < deadline,
                "{key:?} should open: {is_good}, but {answer:?}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
