//! What a step of the demo promises, compared with what happened.

use std::fmt::Display;

/// Collects the figures of one step that are not as promised.
pub(super) struct Promise {
    step: &'static str,
    wrong: Vec<String>,
}

impl Promise {
    /// Of the step with this title.
    pub(super) const fn of(step: &'static str) -> Self {
        Self { step, wrong: Vec::new() }
    }

    /// Expects a figure.
    pub(super) fn that<T: PartialEq + Display>(&mut self, what: &str, got: T, expected: T) -> &mut Self {
        if got != expected {
            self.wrong.push(format!("{what} {got}, expected {expected}"));
        }
        self
    }

    /// # Errors
    /// When a figure was not as promised.
    pub(super) fn keep(&self) -> anyhow::Result<()> {
        if self.wrong.is_empty() { Ok(()) } else { Err(super::broken(self.step, &self.wrong)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_figure_breaks_it() {
        let mut promise = Promise::of("a step");
        assert!(promise.that("added", 10, 10).keep().is_ok());
        let error = promise.that("removed", 2, 3).that("requests", 0, 0).keep().unwrap_err();
        assert_eq!(error.to_string(), "the demo's step \"a step\" is not as promised: removed 2, expected 3");
    }
}
