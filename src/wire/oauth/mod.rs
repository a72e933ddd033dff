//! OAuth 2.0 (RFC 6749) for machines: client credentials and refresh tokens, one refresh at a time, ahead of expiry.
//!
//! A rotated refresh token is durable before the access token that came with it is used. An answer that is lost, on the
//! way or because the process is killed before its token is durable, is made up for with the token that is known. A vendor
//! that voids this one at once then refuses it for good, and no client can help that: the grant must be given anew.

mod answer;
mod endpoint;
#[cfg(feature = "proof")]
mod fuzz;
mod registry;
mod secrets;
mod settings;
#[cfg(test)]
mod tests;
mod tokens;

#[cfg(feature = "proof")]
pub(super) use fuzz::TARGET as FUZZ_TARGET;
pub(super) use registry::TokenRegistry;
pub use settings::{ClientStyle, OAuth, OAuthGrant};
pub(super) use tokens::{Tokens, Trouble};
