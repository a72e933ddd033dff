//! Which fault strikes a request.

use std::collections::{BTreeMap, HashMap};

use super::{
    Fault,
    call::Call,
    chaos::Dice,
    script::{Action, Match, Phase, PropertyMatch, Rejection},
    vendor::Row,
};

/// The scripted faults with their counters, and the dice.
pub(super) struct FaultBook {
    rules: Vec<Rule>,
    dice: Option<Dice>,
    fired: BTreeMap<&'static str, u64>,
}

struct Rule {
    fault: Fault,
    matched: u64,
    fired: u64,
}

/// What strikes one request.
#[derive(Default)]
pub(super) struct Strike {
    /// The first scripted fault that concerns the whole request, else what the dice gave.
    pub(super) action: Option<(Phase, Action)>,
    /// Refused rows, by position.
    pub(super) rejections: HashMap<usize, Rejection>,
}

impl FaultBook {
    /// Faults in the order in which they are asked.
    pub(super) fn new(faults: Vec<Fault>, dice: Option<Dice>) -> Self {
        let mut book = Self { rules: Vec::new(), dice, fired: BTreeMap::new() };
        book.append(faults);
        book
    }

    /// Adds faults behind the others.
    pub(super) fn append(&mut self, faults: Vec<Fault>) {
        self.rules.extend(faults.into_iter().map(|fault| Rule { fault, matched: 0, fired: 0 }));
    }

    /// Removes every fault, the seeded ones too.
    pub(super) fn clear(&mut self) {
        self.rules.clear();
        self.dice = None;
    }

    /// How often each kind struck.
    pub(super) fn fired(&self) -> &BTreeMap<&'static str, u64> {
        &self.fired
    }

    /// Forgets the counts, keeps the faults.
    pub(super) fn reset_counts(&mut self) {
        self.fired.clear();
    }

    /// Decides what strikes a call. `rows` is asked only when a fault looks at rows.
    pub(super) fn strike(&mut self, call: &Call, rows: impl Fn() -> Vec<Row>) -> Strike {
        let mut strike = Strike::default();
        let mut parsed: Option<Vec<Row>> = None;
        for rule in &mut self.rules {
            let needs_rows = rule.fault.when.concerns_rows() || matches!(rule.fault.action, Action::RejectRow(_));
            let rows = if needs_rows { parsed.get_or_insert_with(&rows).as_slice() } else { &[] };
            if rule.concerns(call, rows) && rule.due() && rule.hit(rows, &mut strike) {
                rule.fired += 1;
                *self.fired.entry(rule.fault.action.name()).or_default() += 1;
            }
        }
        if strike.action.is_none() {
            strike.action = self.dice.as_mut().and_then(Dice::roll);
            if let Some((_, action)) = &strike.action {
                *self.fired.entry(action.name()).or_default() += 1;
            }
        }
        strike
    }
}

impl Rule {
    fn concerns(&self, call: &Call, rows: &[Row]) -> bool {
        let when = &self.fault.when;
        when.path_contains.as_ref().is_none_or(|part| call.path.contains(part.as_str()))
            && when.method.as_ref().is_none_or(|method| call.method.as_str().eq_ignore_ascii_case(method))
            && (!when.concerns_rows() || rows.iter().any(|row| concerns_row(when, row)))
    }

    /// Counts the match and tells whether it is this one's turn.
    fn due(&mut self) -> bool {
        self.matched += 1;
        let when = &self.fault.when;
        when.nth.is_none_or(|nth| self.matched == nth)
            && when.every.is_none_or(|every| every > 0 && self.matched.is_multiple_of(every))
            && when.after.is_none_or(|after| self.matched > after)
            && when.times.is_none_or(|times| self.fired < times)
    }

    /// Adds the fault to the strike; `false` when another one has taken the request already.
    fn hit(&self, rows: &[Row], strike: &mut Strike) -> bool {
        let Action::RejectRow(rejection) = &self.fault.action else {
            let free = strike.action.is_none();
            if free {
                strike.action = Some((self.fault.phase, self.fault.action.clone()));
            }
            return free;
        };
        let when = &self.fault.when;
        for (position, row) in rows.iter().enumerate().filter(|(_, row)| concerns_row(when, row)) {
            strike.rejections.insert(position, worded(rejection, when, row));
        }
        true
    }
}

fn concerns_row(when: &Match, row: &Row) -> bool {
    when.row_key_contains.as_ref().is_none_or(|part| row.key.contains(part.as_str()))
        && when
            .property
            .as_ref()
            .is_none_or(|wanted| row.property(&wanted.name).is_some_and(|value| fits(wanted, value)))
}

fn fits(wanted: &PropertyMatch, value: &str) -> bool {
    wanted.equals.as_ref().is_none_or(|whole| whole == value)
        && wanted.contains.as_ref().is_none_or(|part| value.contains(part.as_str()))
}

fn worded(rejection: &Rejection, when: &Match, row: &Row) -> Rejection {
    let value = when.property.as_ref().and_then(|wanted| row.property(&wanted.name)).unwrap_or_default();
    let message = rejection.message.replace("{key}", &row.key).replace("{value}", value);
    Rejection { category: rejection.category.clone(), message }
}
