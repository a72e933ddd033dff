//! The resolver that the client itself uses, so that what is checked is what is connected to: a name that answers
//! differently a moment later gains nothing.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{Policy, Refused};

/// Asks for the addresses of a name.
#[async_trait]
pub(super) trait Lookup: Send + Sync {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Asks the operating system.
pub(super) struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Leaves out every address that the policy does not allow; an error when none is left.
pub(super) struct GuardedResolver {
    pub(super) policy: Policy,
    pub(super) lookup: Arc<dyn Lookup>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, lookup) = (self.policy.clone(), self.lookup.clone());
        Box::pin(async move {
            let found = lookup.lookup(name.as_str()).await?;
            let allowed = allowed(&policy, &found)?;
            let addresses: Addrs = Box::new(allowed.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

fn allowed(policy: &Policy, found: &[IpAddr]) -> Result<Vec<IpAddr>, Refused> {
    let mut refused = None;
    let allowed: Vec<_> = found
        .iter()
        .copied()
        .filter(|address| policy.check(*address).map_err(|why| refused = Some(why)).is_ok())
        .collect();
    match refused {
        Some(why) if allowed.is_empty() => Err(why),
        Some(_) | None => Ok(allowed),
    }
}
