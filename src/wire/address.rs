//! Which addresses may be reached. A destination's URL comes from the configuration, but the addresses behind its name
//! come from whoever runs that name's DNS; without this check a name could point the daemon at the inside of the network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// IANA's registry of special-purpose IPv4 addresses, less those that are globally reachable.
const PRIVATE_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 0, 8),       // this network
    v4(10, 0, 0, 0, 8),      // RFC 1918
    v4(100, 64, 0, 0, 10),   // carrier-grade NAT
    v4(127, 0, 0, 0, 8),     // loopback
    v4(169, 254, 0, 0, 16),  // link local
    v4(172, 16, 0, 0, 12),   // RFC 1918
    v4(192, 0, 0, 0, 24),    // protocol assignments
    v4(192, 0, 2, 0, 24),    // documentation
    v4(192, 88, 99, 0, 24),  // 6to4 relays
    v4(192, 168, 0, 0, 16),  // RFC 1918
    v4(198, 18, 0, 0, 15),   // benchmarking
    v4(198, 51, 100, 0, 24), // documentation
    v4(203, 0, 113, 0, 24),  // documentation
    v4(224, 0, 0, 0, 4),     // multicast
    v4(240, 0, 0, 0, 4),     // reserved, broadcast
];

/// All global unicast IPv6 addresses lie in here.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

/// What is special within [`GLOBAL_V6`].
const PRIVATE_V6: [Ipv6Net; 4] = [
    v6(0x2001, 0, 23),     // protocol assignments: Teredo, ORCHID, benchmarking
    v6(0x2001, 0xdb8, 32), // documentation
    v6(0x2002, 0, 16),     // 6to4: holds any IPv4 address
    v6(0x3fff, 0, 20),     // documentation
];

/// NAT64 (RFC 6052): the last 32 bits are an IPv4 address.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 96);

/// Where clouds hand out credentials to whoever asks from inside.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Why a URL or an address may not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A private or otherwise special address.
    #[error("`{0}` is a private address that `allow_private` does not list")]
    Private(IpAddr),
    /// An address that hands out credentials.
    #[error("`{0}` is a metadata address, which only its exact address in `allow_private` allows")]
    Metadata(IpAddr),
    /// A public address without TLS.
    #[error("`{0}` is a public address, which needs `https://`")]
    PlainHttp(IpAddr),
    /// Another server than the destination's.
    #[error("the request goes to another scheme, host or port than `base_url`")]
    Origin,
    /// A user name or password in the URL.
    #[error("the URL holds a user name or password")]
    UserInfo,
}

/// What one destination may reach.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    allow: Vec<IpNet>,
    public: bool,
}

impl Policy {
    /// `public`: whether public addresses may be reached, which plain HTTP may not.
    pub(super) fn new(allow: Vec<IpNet>, public: bool) -> Self {
        Self { allow, public }
    }

    /// Whether this address may be reached.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let real = unwrap(address);
        let exact = IpNet::from(real);
        if METADATA.contains(&real) {
            return if self.allow.contains(&exact) { Ok(()) } else { Err(Refused::Metadata(real)) };
        }
        match (self.allow.iter().any(|net| net.contains(&real)), is_public(real)) {
            (true, _) => Ok(()),
            (false, false) => Err(Refused::Private(real)),
            (false, true) if self.public => Ok(()),
            (false, true) => Err(Refused::PlainHttp(real)),
        }
    }

    /// Whether this URL may be reached as far as it shows by itself: the resolver, which checks names, never sees literal
    /// addresses. One with further dots behind it is a name to the URL standard.
    pub(super) fn check_url(&self, url: &Url) -> Result<(), Refused> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::UserInfo);
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(address.into()),
            Some(Host::Ipv6(address)) => self.check(address.into()),
            Some(Host::Domain(name)) => {
                name.trim_end_matches('.').parse().map_or(Ok(()), |address| self.check(address))
            }
            None => Ok(()),
        }
    }
}

/// The IPv4 address inside an IPv6 one that only stands for it.
fn unwrap(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if NAT64.contains(&v6) => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        IpAddr::V4(_) | IpAddr::V6(_) => address.to_canonical(),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !PRIVATE_V4.iter().any(|net| net.contains(&v4)),
        IpAddr::V6(v6) => GLOBAL_V6.contains(&v6) && !PRIVATE_V6.iter().any(|net| net.contains(&v6)),
    }
}
