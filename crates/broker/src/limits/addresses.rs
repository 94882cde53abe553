use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use super::bucket::{Bucket, Rate};

/// How many addresses share a place.
const WAYS: usize = 8;
const SETS: usize = 1024;

/// From where bad keys came lately. It has one size, however many addresses there are: where room is short,
/// the one that was quiet for longest is forgotten.
pub(super) struct Addresses {
    sets: Box<[[Slot; WAYS]]>,
    /// With a key of its own, so that nobody can choose addresses that meet in one place.
    hasher: RandomState,
    rate: Rate,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    network: u128,
    bucket: Bucket,
}

impl Addresses {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            sets: vec![[Slot::default(); WAYS]; SETS].into(),
            hasher: RandomState::new(),
            rate,
        }
    }

    /// Notes a bad key; if there were too many from there, says how long to wait.
    pub(super) fn note(&mut self, address: IpAddr, now: Duration) -> Result<(), Duration> {
        let network = network(address);
        let place = usize::try_from(self.hasher.hash_one(network) % SETS as u64).unwrap_or(0);
        let set = &mut self.sets[place];
        let known = set.iter().position(|slot| slot.network == network);
        let way = known.unwrap_or_else(|| quietest(set));
        if known.is_none() {
            set[way] = Slot {
                network,
                bucket: Bucket::default(),
            };
        }
        self.rate.take(&mut set[way].bucket, now)
    }
}

fn quietest(set: &[Slot; WAYS]) -> usize {
    (0..WAYS).min_by_key(|way| set[*way].bucket).unwrap_or(0)
}

/// Who has one IPv6 address has 2^64 of them.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    fn refused(addresses: &mut Addresses, address: &str, times: usize) -> usize {
        let address = address.parse().expect("an address");
        (0..times)
            .filter(|_| addresses.note(address, NOW).is_err())
            .count()
    }

    #[test]
    fn an_address_pays_for_itself_and_for_its_network() {
        let mut addresses = Addresses::new(Rate::new(1, 3));
        assert_eq!(refused(&mut addresses, "192.0.2.1", 10), 7);
        assert_eq!(refused(&mut addresses, "192.0.2.2", 3), 0);
        assert_eq!(refused(&mut addresses, "::ffff:192.0.2.1", 1), 1);
        assert_eq!(refused(&mut addresses, "2001:db8::1", 10), 7);
        assert_eq!(refused(&mut addresses, "2001:db8::2:1", 1), 1);
        assert_eq!(refused(&mut addresses, "2001:db8:0:1::1", 3), 0);
    }

    #[test]
    fn a_flood_of_addresses_needs_no_more_room() {
        let mut addresses = Addresses::new(Rate::new(1, 3));
        for bits in 0..200_000 {
            let _ = addresses.note(Ipv4Addr::from_bits(bits).into(), NOW);
        }
        assert_eq!(addresses.sets.len(), SETS);
        assert_eq!(refused(&mut addresses, "192.0.2.1", 10), 7);
    }
}
