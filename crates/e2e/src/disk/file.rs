use fastrand::Rng;

/// What a disk writes at once.
const SECTOR: usize = 512;

/// One file: what is sure to be on the disk, and what it was told since.
#[derive(Default)]
pub(super) struct File {
    kept: Vec<u8>,
    loose: Vec<Loose>,
}

pub(super) enum Loose {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

impl File {
    pub(super) fn sure(kept: Vec<u8>) -> Self {
        let loose = Vec::new();
        Self { kept, loose }
    }

    pub(super) fn tell(&mut self, loose: Loose) {
        self.loose.push(loose);
    }

    /// All that was told is sure now.
    pub(super) fn keep(&mut self) {
        for loose in self.loose.drain(..) {
            loose.put_into(&mut self.kept);
        }
    }

    /// As those see it who read it now.
    pub(super) fn now(&self) -> Vec<u8> {
        let mut content = self.kept.clone();
        for loose in &self.loose {
            loose.put_into(&mut content);
        }
        content
    }

    /// As it may be after a loss of power: each sector that was not kept is there at these odds, or in part, or as zeros
    /// because the file had become longer already, or not at all.
    pub(super) fn after_a_loss(&self, odds: f64, random: &mut Rng) -> Vec<u8> {
        let mut content = self.kept.clone();
        for loose in &self.loose {
            let Loose::Bytes(offset, bytes) = loose else {
                if random.f64() < odds {
                    loose.put_into(&mut content);
                }
                continue;
            };
            let (mut from, end) = (*offset, offset + bytes.len());
            while from < end {
                let to = end.min((from / SECTOR + 1) * SECTOR);
                let part = &bytes[from - offset..to - offset];
                let is_there = random.f64() < odds;
                let has_traces = random.f64() * 2.0 < odds;
                match (is_there, has_traces, random.bool()) {
                    (true, ..) => put(part, from, &mut content),
                    (_, true, true) => {
                        put(&part[..random.usize(..part.len())], from, &mut content);
                    }
                    (_, true, false) => content.resize(content.len().max(to), 0),
                    (false, false, _) => {}
                }
                from = to;
            }
        }
        content
    }
}

impl Loose {
    fn put_into(&self, content: &mut Vec<u8>) {
        match self {
            Self::Bytes(offset, bytes) => put(bytes, *offset, content),
            Self::Length(length) => content.resize(*length, 0),
        }
    }
}

fn put(bytes: &[u8], offset: usize, content: &mut Vec<u8>) {
    let end = offset + bytes.len();
    content.resize(content.len().max(end), 0);
    content[offset..end].copy_from_slice(bytes);
}
