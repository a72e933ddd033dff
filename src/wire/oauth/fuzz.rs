//! Target of the fuzzer: answers of a token endpoint.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::answer::read;
use crate::{
    proof::Target,
    wire::{Response, Sent},
};

pub(in crate::wire) const TARGET: Target = Target::of_text("token-answer", run);

const STATUSES: [u16; 10] = [200, 201, 204, 302, 400, 401, 403, 408, 429, 503];

/// A token or a reason; no reason holds what the answer says, and no life is longer than what is believed.
fn run(bytes: &[u8]) {
    let status = STATUSES[bytes.len() % STATUSES.len()];
    let statuses = [200, status].into_iter().filter_map(|status| StatusCode::from_u16(status).ok());
    for status in statuses {
        match read(&Response::new(status, HeaderMap::new(), Bytes::copy_from_slice(bytes))) {
            Ok(issued) => {
                assert!(issued.life.is_none_or(|life| life <= Duration::from_secs(30 * 86_400)), "an absurd life");
                assert!(issued.header.is_sensitive() && issued.header.len() > "Bearer ".len(), "no token");
            }
            Err(trouble) => {
                assert!(trouble.fault.sent == Sent::No, "the request has not left");
                let said = format!("{:?} {}", trouble.fault, trouble.fault);
                assert!(!said.contains("canary"), "a fault holds what the answer says");
            }
        }
    }
}
