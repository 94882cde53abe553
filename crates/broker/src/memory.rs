//! How a broker divides the memory that it may use: each part is bounded, and what does not fit is refused until there is room.
//! What grows with the fleet and not with the load, the index, has no part: `docs/how-to/scale.md` says what it takes.

mod answer;
mod body;
mod callers;
mod room;

pub(crate) use answer::{Accounted, Answers, LARGE, held, under_way};
pub(crate) use body::{Bodies, BodyRoom, Largest};
pub(crate) use room::{Room, Taken};

use brokkr_core::pak::Role;

use crate::snapshot::Reading;

const MIB: u64 = 1024 * 1024;
/// What a broker has without clients: its code, SQLite's own, the allocator's.
const BASE: u64 = 40 * MIB;
/// From so much on, each part is as large as it ever is.
const ENOUGH: u64 = 1536 * MIB;
/// Of the whole, connections have this part.
const CONNECTIONS: u64 = 4;

/// What requests share.
pub(crate) struct Rooms {
    /// Large bodies of agents' requests, and of all others': neither side can shut the other out.
    pub(crate) report_bodies: Bodies,
    pub(crate) change_bodies: Bodies,
    /// Texts of manifests that are being read. With enough memory there is room for any text.
    pub(crate) reading: Reading,
    /// Answers under way, to agents and to all others: who reads slowly must not fill the memory.
    pub(crate) agent_answers: Answers,
    pub(crate) answers: Answers,
}

impl Rooms {
    /// The memory for answers to a role.
    pub(crate) const fn answers_to(&self, role: Role) -> &Answers {
        match role {
            Role::Agent => &self.agent_answers,
            Role::Admin | Role::Generator => &self.answers,
        }
    }

    /// The memory for bodies of a role's requests.
    pub(crate) const fn bodies_of(&self, role: Role) -> &Bodies {
        match role {
            Role::Agent => &self.report_bodies,
            Role::Admin | Role::Generator => &self.change_bodies,
        }
    }

    pub(crate) fn new(memory: Memory) -> Self {
        let room = |most| Room::new(memory.part(most));
        Self {
            report_bodies: Bodies::new(room(64 * MIB), Largest::Alone),
            // The largest one that is taken at all, twice.
            change_bodies: Bodies::new(room(66 * MIB), Largest::Refused),
            reading: Reading::new(room(416 * MIB)),
            agent_answers: Answers::new(room(64 * MIB)),
            answers: Answers::new(room(64 * MIB)),
        }
    }
}

/// How much memory a broker may use: all that it wants, unless a number is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory(Option<u64>);

impl Memory {
    /// The least, in bytes, with which a broker does its work.
    pub const LEAST: u64 = 128 * MIB;

    /// A limit in bytes.
    pub const fn limited(bytes: u64) -> Self {
        Self(Some(bytes))
    }

    /// The limit in bytes, if there is one.
    pub const fn limit(self) -> Option<u64> {
        self.0
    }

    /// How many connections there is memory for, each with the agent that waits on it.
    pub fn connections(self, with_tls: bool) -> usize {
        // Measured, with what a publish to all leaves: `docs/benchmarks.md`.
        let one = if with_tls { 64 * 1024 } else { 32 * 1024 };
        let most = |bytes: u64| usize::try_from(bytes / CONNECTIONS / one).unwrap_or(usize::MAX);
        self.0.map_or(usize::MAX, most)
    }

    /// Contents that are held because somebody may want them again.
    pub(crate) fn contents(self) -> usize {
        self.part(32 * MIB)
    }

    /// SQLite's cache of pages that are being written.
    pub(crate) fn pages(self) -> usize {
        self.part(64 * MIB)
    }

    /// Changes that wait to be written, in one lane.
    pub(crate) fn lane(self) -> Room {
        Room::new(self.part(64 * MIB))
    }

    /// A part that has so many bytes if there is enough.
    fn part(self, most: u64) -> usize {
        let limit = self.0.unwrap_or(ENOUGH).clamp(Self::LEAST, ENOUGH);
        usize::try_from(most * (limit - BASE) / (ENOUGH - BASE)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::manifest;

    use super::*;

    fn parts(memory: Memory) -> u64 {
        let Rooms {
            report_bodies,
            change_bodies,
            reading,
            agent_answers,
            answers,
        } = Rooms::new(memory);
        let rooms = [
            report_bodies.room,
            change_bodies.room,
            reading.room,
            agent_answers.room,
            answers.room,
            memory.lane(),
            memory.lane(),
        ];
        let rooms: usize = rooms.iter().map(Room::size).sum();
        let bytes = memory.contents() + memory.pages() + rooms;
        u64::try_from(bytes).expect("it is not that large")
    }

    #[test]
    fn the_parts_are_less_than_the_whole() {
        for limit in [Memory::LEAST, 200 * MIB, 512 * MIB, ENOUGH] {
            let memory = Memory::limited(limit);
            let connections = memory.connections(false) as u64 * 32 * 1024;
            let all = parts(memory) + BASE + connections;
            assert!(all <= limit, "{all} of {limit}");
        }
    }

    #[test]
    fn with_enough_memory_any_text_can_be_read() {
        let reading = Rooms::new(Memory::default()).reading;
        let dense = ":".repeat(manifest::MAX_BYTES);
        assert!(reading.room.fits(manifest::Cost::of(&dense).bytes));
        assert_eq!(parts(Memory::default()), parts(Memory::limited(u64::MAX)));
    }
}
