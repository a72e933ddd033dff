//! Delivery: batches with durable intents, one retry loop that knows rows, and settling of what was acknowledged.

mod ahead;
mod attempt;
mod batcher;
mod claims;
mod context;
mod former;
mod item;
mod lost;
mod mask;
mod pass;
mod read_back;
mod settle;
mod stop;
mod takeover;

pub use claims::{Claim, Claims};
pub use context::{Context, Tallied, Tally, least};
pub use item::{Item, TakenOver};
pub use mask::mask;
pub use pass::{DeliveryError, deliver, deliver_again};
pub use settle::{refuse_without_request, settle_without_request};
pub use stop::{Stop, StopReason};
pub use takeover::is_in_doubt;
