//! Problems of settings, found without network.

/// A sync that its destination cannot serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {message}")]
pub struct SyncProblem {
    /// The sync's setting, as the configuration names it (`object`, `match`, `on_removed`).
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl SyncProblem {
    pub(super) fn new(key: &'static str, message: &str, hint: &str) -> Self {
        Self { key, message: message.to_owned(), hint: hint.to_owned() }
    }
}
