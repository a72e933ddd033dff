//! A stretch of time in which a zone keeps one offset.

use jiff::{
    Timestamp,
    tz::{Offset, TimeZone},
};

/// One offset of a zone: since when, until when, and the offset before it.
pub(super) struct Segment {
    pub(super) offset: Offset,
    pub(super) end: Option<Timestamp>,
    start: Option<(Timestamp, Offset)>,
}

impl Segment {
    /// The segment that holds this moment.
    pub(super) fn at(zone: &TimeZone, moment: Timestamp) -> Self {
        let offset = zone.to_offset(moment);
        // Changes of the name alone are none.
        let changed = |at: &Timestamp| {
            let before = Timestamp::from_second(at.as_second().saturating_sub(1)).map(|before| zone.to_offset(before));
            before.is_ok_and(|before| before != zone.to_offset(*at))
        };
        let end = zone.following(moment).map(|change| change.timestamp()).find(changed);
        let next = Timestamp::from_second(moment.as_second().saturating_add(1)).unwrap_or(moment);
        let start = zone.preceding(next).map(|change| change.timestamp()).find(changed);
        let before = |at: Timestamp| {
            let before = Timestamp::from_second(at.as_second().saturating_sub(1)).unwrap_or(at);
            (at, zone.to_offset(before))
        };
        Self { offset, end, start: start.map(before) }
    }

    /// When and from which offset the clock was set forward to begin this segment.
    pub(super) fn set_forward(&self) -> Option<(Timestamp, Offset)> {
        self.start.filter(|(_, before)| *before < self.offset)
    }

    /// When and from which offset the clock was set back to begin this segment.
    pub(super) fn set_back(&self) -> Option<(Timestamp, Offset)> {
        self.start.filter(|(_, before)| *before > self.offset)
    }
}
