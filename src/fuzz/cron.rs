//! Cron patterns with a zone behind a `|`.

use crate::model::{Cron, Timestamp};

/// Times that are asked from: 1970, 2026 with both changes of the clock in Europe and America, far away.
const FROM: [i64; 7] = [
    0,
    1_774_742_400_000_000,
    1_772_928_000_000_000,
    1_792_886_400_000_000,
    1_793_491_200_000_000,
    -62_000_000_000_000_000,
    250_000_000_000_000_000,
];

/// Every time is after the one that was asked from, and none is skipped: asked from between, the same comes.
pub(super) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (pattern, zone) = text.split_once('|').unwrap_or((&text, "Europe/Zurich"));
    let cron = match Cron::parse(pattern, zone) {
        Ok(cron) => cron,
        Err(problem) => return assert!(!problem.to_string().is_empty(), "refused without a reason"),
    };
    drop(cron.to_string());
    for from in FROM.map(Timestamp::from_micros) {
        let Some(first) = cron.after(from) else { continue };
        assert!(first > from, "the next time is not later");
        let between = Timestamp::from_micros(from.as_micros() + (first.as_micros() - from.as_micros()) / 2);
        assert_eq!(cron.after(between), Some(first), "a time was skipped");
        let before = Timestamp::from_micros(first.as_micros() - 1);
        assert_eq!(cron.after(before), Some(first), "the time itself is not found");
        assert!(cron.after(first).is_none_or(|second| second > first), "time stands still");
    }
}
