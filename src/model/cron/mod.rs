//! Cron schedules in a time zone: which moments they mean, also where the zone's clock is set forward or back.

mod segment;
#[cfg(test)]
mod tests;

use std::fmt;

use croner::parser::{CronParser, Seconds, Year};
use jiff::{
    civil::DateTime,
    tz::{TimeZone, TimeZoneDatabase},
};

use self::segment::Segment;
use super::{Timestamp, nearest};

/// Offsets of a zone that are looked through for the next time: more than any schedule that ever occurs needs (a 29th
/// of February that must be a Monday is 40 years away at most).
const MAX_SEGMENTS: usize = 200;

/// A cron pattern in a time zone, as croner reads patterns: five fields, names, lists, ranges, steps, `L`, `#`, `W`.
///
/// Where the zone's clock changes, a schedule with fixed minutes and hours and one with a `*` in either differ:
///
/// - The clock is set forward: times that are skipped come once, at the first moment after the gap; with `*` they come
///   when they would have come without the change.
/// - The clock is set back: times that are repeated come once, the first time; with `*` they come both times.
///
/// The zone data is the one compiled into the program, so that all installations of a version agree.
#[derive(Clone)]
pub struct Cron {
    pattern: croner::Cron,
    text: String,
    zone: TimeZone,
    zone_name: String,
    /// Minutes or hours are a `*`: it follows elapsed time.
    elapsed: bool,
}

/// Why a cron schedule is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronProblem {
    /// The pattern cannot be read.
    #[error("{reason}")]
    Pattern {
        /// Why.
        reason: String,
    },
    /// The pattern has another number of fields.
    #[error("got {got} fields, expected 5: minute, hour, day of month, month, day of week")]
    Fields {
        /// How many.
        got: usize,
    },
    /// No such date exists.
    #[error("it never occurs: no such date exists")]
    Never,
    /// The zone is not in the database.
    #[error("no time zone has this name")]
    Zone {
        /// A zone of a similar name.
        near: Option<String>,
    },
}

impl Cron {
    /// Reads a pattern of five fields (or a nickname such as `@daily`) and the IANA name of a zone.
    ///
    /// # Errors
    /// [`CronProblem`].
    pub fn parse(text: &str, zone: &str) -> Result<Self, CronProblem> {
        let zones = TimeZoneDatabase::bundled();
        let Ok(found) = zones.get(zone) else {
            let names: Vec<String> = zones.available().map(|name| name.to_string()).collect();
            let near = nearest(zone, names.iter().map(String::as_str)).map(str::to_owned);
            return Err(CronProblem::Zone { near });
        };
        let fields = text.split_whitespace().count();
        if fields != 5 && !text.trim_start().starts_with('@') {
            return Err(CronProblem::Fields { got: fields });
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let pattern = parser.parse(text.trim()).map_err(|error| CronProblem::Pattern { reason: in_style(&error) })?;
        let elapsed = pattern.pattern.minutes.from_wildcard || pattern.pattern.hours.from_wildcard;
        let zone_name = found.iana_name().unwrap_or(zone).to_owned();
        let cron = Self { pattern, text: text.trim().to_owned(), zone: found, zone_name, elapsed };
        // Any time will do: what occurs at all, occurs after it. One look at the calendar before each offset of the zone is
        // looked through.
        cron.next_local(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).ok_or(CronProblem::Never)?;
        cron.after(Timestamp::default()).map(|_| cron.clone()).ok_or(CronProblem::Never)
    }

    /// The first time after `at`; `None` when there is none any more.
    pub fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let second = at.as_micros().div_euclid(1_000_000).checked_add(1)?;
        let mut floor = jiff::Timestamp::from_second(second).ok()?;
        for _ in 0..MAX_SEGMENTS {
            let segment = Segment::at(&self.zone, floor);
            if let Some(found) = self.within(&segment, floor) {
                return Some(Timestamp::from_micros(found.as_microsecond()));
            }
            floor = segment.end?;
        }
        None
    }

    /// The first time from `floor` on, before the segment ends.
    fn within(&self, segment: &Segment, floor: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let skipped = self.skipped(segment, floor);
        let mut local = segment.offset.to_datetime(floor);
        if let Some((start, before)) = segment.set_back().filter(|_| !self.elapsed) {
            // The repeated hour has had its runs.
            local = local.max(before.to_datetime(start));
        }
        let regular = self.next_local(local).and_then(|at| segment.offset.to_timestamp(at).ok());
        let first = [skipped, regular].into_iter().flatten().min()?;
        segment.end.is_none_or(|end| first < end).then_some(first)
    }

    /// When a time that the segment's beginning has skipped comes.
    fn skipped(&self, segment: &Segment, floor: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let (start, before) = segment.set_forward()?;
        let end = segment.offset.to_datetime(start);
        if self.elapsed {
            let local = Some(before.to_datetime(floor)).filter(|local| *local < end)?;
            let at = self.next_local(local).filter(|at| *at < end)?;
            return before.to_timestamp(at).ok();
        }
        let missed = floor <= start && self.next_local(before.to_datetime(start)).is_some_and(|at| at < end);
        missed.then_some(start)
    }

    /// The first matching time of a clock that never changes.
    fn next_local(&self, from: DateTime) -> Option<DateTime> {
        self.pattern.find_next_occurrence(&from, true).ok()
    }

    /// The pattern as it was written.
    pub fn pattern(&self) -> &str {
        &self.text
    }

    /// The IANA name of the zone.
    pub fn zone(&self) -> &str {
        &self.zone_name
    }
}

/// croner's messages in ours: lower-case, without a period.
fn in_style(error: &croner::errors::CronError) -> String {
    let text = error.to_string();
    let text =
        ["Component error: ", "Invalid pattern: "].iter().find_map(|head| text.strip_prefix(head)).unwrap_or(&text);
    let mut chars = text.trim_end_matches('.').chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.zone_name)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.zone_name == other.zone_name
    }
}

impl Eq for Cron {}
