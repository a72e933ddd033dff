//! The places where a crash or an error leaves the state, or the destination, halfway.

use super::named::named;

named! {
    /// A place where something becomes durable, or is about to.
    Boundary {
        /// A batch of the model's rows has been read.
        ReadRow = "read-row",
        /// The source has said that the result is complete.
        ReadEnd = "read-end",
        /// The plan is spooled, not yet judged.
        PlanDone = "plan-done",
        /// The guard has judged; what it held is about to be saved.
        Guard = "guard",
        /// A batch is formed, its intents are not written.
        IntentBefore = "intent-before",
        /// The intents of a batch are durable.
        IntentAfter = "intent-after",
        /// A request is about to leave.
        SendBefore = "send-before",
        /// The answer has come, nobody has looked at it.
        SendAfter = "send-after",
        /// Every row of a batch has its outcome.
        AnswerParsed = "answer-parsed",
        /// A group of writes is about to be committed.
        SettleBefore = "settle-before",
        /// Half of a transaction's writes are made.
        SettleInside = "settle-inside",
        /// A group of writes is durable, nobody has been told.
        SettleAfter = "settle-after",
        /// A rejected row is durable.
        RejectStored = "reject-stored",
        /// A range of pages is about to be replaced.
        CompactionBefore = "compaction-before",
        /// A range of pages has been replaced; others follow.
        CompactionAfter = "compaction-after",
        /// Everything is settled, the run is not closed.
        RunClose = "run-close",
        /// A process is about to show that it lives, and to renew its leases.
        LeaseRenewal = "lease-renewal",
        /// A vendor has answered with a new token, which is not saved.
        TokenBefore = "token-before",
        /// A token is durable, nobody has used it.
        TokenSaved = "token-saved",
        /// A step of a migration is about to be made; its backup stands.
        Migration = "migration",
        /// An operator's request has been taken, not carried out.
        RequestTaken = "request-taken",
        /// An operator's request is carried out, not answered.
        RequestDone = "request-done",
    }
}

/// The error of a boundary that was told to fail.
#[cfg(feature = "proof")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the boundary `{}` was told to fail", .0.name())]
pub struct Injected(pub(super) Boundary);

/// No boundary fails without the feature `proof`.
#[cfg(not(feature = "proof"))]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Injected {}

impl From<Injected> for std::io::Error {
    fn from(injected: Injected) -> Self {
        Self::other(injected)
    }
}

/// Passes a boundary: does what the harness has armed it with.
///
/// # Errors
/// When the boundary is armed with an error.
#[cfg(feature = "proof")]
pub async fn reach(boundary: Boundary) -> Result<(), Injected> {
    super::armed::pass(boundary).await
}

/// Passes a boundary. Nothing happens.
///
/// # Errors
/// None.
#[cfg(not(feature = "proof"))]
pub fn reach(_boundary: Boundary) -> std::future::Ready<Result<(), Injected>> {
    std::future::ready(Ok(()))
}
