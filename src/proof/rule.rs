//! Single rules of safety that can be broken on purpose: whoever does not notice proves nothing.

use super::named::named;

named! {
    /// A rule that the harness may break.
    Rule {
        /// Outcomes are recorded after the send.
        SettleAfterSend = "settle-before-send",
        /// What is about to be sent is noted first.
        Intents = "no-intents",
        /// A reject leaves the key dirty.
        RejectStaysDirty = "reject-settles",
        /// A settle clears only the marks that it has loaded, by intent.
        SettleByIntent = "settle-clears-by-key",
        /// After an ambiguous send other changes wait.
        LateWindow = "no-late-window",
        /// A result that was not read to its end removes nothing.
        CompleteRead = "removals-on-partial-read",
        /// Removals follow when all else has settled.
        RemovalsLast = "removals-before-upserts",
        /// One record has one owner.
        Ownership = "ownership-off",
        /// The guard holds what is out of proportion.
        Guard = "guard-off",
        /// Commits carry the epoch of a lease.
        Epoch = "lease-without-epoch",
        /// A row that an answer leaves out is not delivered.
        NamedRows = "batch-success",
        /// Every attempt asks the limiter.
        LimitEachAttempt = "limiter-outside-retry",
        /// Nothing is held while waiting for another attempt.
        WaitEmptyHanded = "sleep-with-permit",
        /// An outage ends attempts, of which there are few anyway.
        BoundedRetries = "retries-unbounded",
        /// A request that was not answered has delivered nothing.
        AnswerNeeded = "unanswered-settles",
        /// A batch that is refused as a whole is halved until the row to blame stands alone.
        RefusedIsHalved = "refused-unsplit",
        /// A blob of the state that fails its checksum is damage.
        Checksum = "checksum-off",
        /// What all fingerprints hang on stands twice, and both are compared.
        IdsTwice = "ids-once",
        /// A state older than its mark is suspect.
        HighWaterMark = "mark-off",
        /// What a vendor says is masked before it is kept.
        WordsMasked = "words-unmasked",
        /// A lock that another program holds for a while is waited for.
        LocksAwaited = "locks-not-awaited",
        /// An error says what caused it and what to do.
        CausesTold = "causes-untold",
    }
}

/// Whether the harness has broken this rule.
#[cfg(feature = "proof")]
pub fn is_broken(rule: Rule) -> bool {
    BROKEN.get() == Some(&rule)
}

/// No rule is ever broken without the feature `proof`.
#[cfg(not(feature = "proof"))]
pub const fn is_broken(_rule: Rule) -> bool {
    false
}

#[cfg(feature = "proof")]
static BROKEN: std::sync::OnceLock<Rule> = std::sync::OnceLock::new();

/// Breaks one rule in this process, for good. Later calls change nothing.
#[cfg(feature = "proof")]
pub fn break_rule(rule: Rule) {
    BROKEN.get_or_init(|| rule);
}
