//! OAuth 2.0 (RFC 6749) for machines: client credentials and refresh tokens, one refresh at a time, ahead of expiry.
//!
//! A rotated refresh token is durable before the access token that came with it is used, so a crash in between costs
//! nothing; a vendor's answer that is lost on the way is repeated with the token that is known.

mod answer;
mod endpoint;
mod registry;
mod secrets;
mod settings;
#[cfg(test)]
mod tests;
mod tokens;

pub(super) use registry::TokenRegistry;
pub use settings::{ClientStyle, OAuth, OAuthGrant};
pub(super) use tokens::{Tokens, Trouble};
