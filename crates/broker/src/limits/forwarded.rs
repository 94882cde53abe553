//! Where a request really comes from, behind proxies.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The last hop before our own proxies. What is left of it in the header, anybody may have written.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut client = peer.to_canonical();
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    let mut hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    while is_trusted(client) {
        match hops.next().and_then(|hop| address(hop.trim())) {
            Some(hop) => client = hop.to_canonical(),
            None => break,
        }
    }
    client
}

/// An address, with or without a port.
fn address(hop: &str) -> Option<IpAddr> {
    let alone = hop.trim_matches(['[', ']']).parse().ok();
    alone.or_else(|| hop.parse::<SocketAddr>().ok().map(|hop| hop.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_proxies_are_believed() {
        let trusted = ["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().expect("one"));
        for (peer, lines, expected) in [
            ("192.0.2.1", vec![], "192.0.2.1"),
            ("192.0.2.1", vec!["198.51.100.1"], "192.0.2.1"),
            ("10.0.0.1", vec![], "10.0.0.1"),
            ("10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", vec!["[2001:db9::1]:4711"], "2001:db9::1"),
            (
                "10.0.0.1",
                vec!["203.0.113.9, 198.51.100.1"],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                vec!["203.0.113.9", "198.51.100.1"],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                vec!["198.51.100.1, 10.0.0.2,10.0.0.3"],
                "198.51.100.1",
            ),
            ("2001:db8::1", vec!["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", vec!["10.0.0.7"], "10.0.0.7"),
        ] {
            let headers = lines
                .iter()
                .map(|line| {
                    (
                        X_FORWARDED_FOR.parse().expect("a name"),
                        line.parse().expect("a value"),
                    )
                })
                .collect();
            let found = client(peer.parse().expect("an address"), &headers, &trusted);
            assert_eq!(found.to_string(), expected, "{peer} {lines:?}");
        }
    }
}
