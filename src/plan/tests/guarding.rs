use std::time::Duration;

use proptest::prelude::*;

use crate::{
    model::{
        ChangeKind,
        spec::{FirstRun, FreshSpec, GuardSpec},
    },
    plan::{DataAge, Emptied, HeldKinds, Limit, Measured, Rule, Verdict, judge},
};

const ALL: HeldKinds = HeldKinds::ALL;

fn usual() -> Measured<'static> {
    Measured { snapshot_rows: 10_000, result_rows: 10_000, first_run_complete: true, ..Measured::default() }
}

fn verdict(measured: Measured<'_>) -> Verdict {
    judge(&GuardSpec::default(), FirstRun::Ask, &measured)
}

fn rules(verdict: &Verdict) -> Vec<Rule> {
    verdict.tripped.iter().map(|trip| trip.rule).collect()
}

#[test]
fn at_the_limit_passes_and_one_more_row_trips() {
    let cases = [
        (Rule::MaxRemoved, Measured { removed: 1_000, ..usual() }, Measured { removed: 1_001, ..usual() }),
        (Rule::MaxChanged, Measured { changed: 5_000, ..usual() }, Measured { changed: 5_001, ..usual() }),
        (Rule::MaxAdded, Measured { added: 5_000, ..usual() }, Measured { added: 5_001, ..usual() }),
        (Rule::MaxInvalid, Measured { invalid: 200, ..usual() }, Measured { invalid: 201, ..usual() }),
        (Rule::MaxRemapped, Measured { remapped: 1_000, ..usual() }, Measured { remapped: 1_001, ..usual() }),
    ];
    for (rule, at, over) in cases {
        assert_eq!(verdict(at), Verdict::default(), "{rule:?}");
        assert_eq!(rules(&verdict(over)), [rule]);
    }
}

#[test]
fn a_rule_holds_only_its_own_kind_but_invalid_and_empty_hold_all() {
    let held = |measured| verdict(measured).held;
    assert_eq!(held(Measured { removed: 9_999, ..usual() }), HeldKinds { removed: true, ..HeldKinds::default() });
    assert_eq!(held(Measured { changed: 9_999, ..usual() }), HeldKinds { changed: true, ..HeldKinds::default() });
    assert_eq!(held(Measured { added: 9_999, ..usual() }), HeldKinds { added: true, ..HeldKinds::default() });
    assert_eq!(held(Measured { invalid: 9_999, ..usual() }), ALL);
    assert_eq!(held(Measured { result_rows: 0, removed: 1, ..usual() }), ALL);
    assert!(held(Measured { removed: 9_999, ..usual() }).holds(ChangeKind::Removed, false));
}

#[test]
fn shares_count_only_above_min_rows_and_empty_ignores_it() {
    let small = Measured { snapshot_rows: 100, result_rows: 0, removed: 100, ..usual() };
    assert_eq!(rules(&verdict(small)), [Rule::Empty]);
    assert_eq!(verdict(Measured { result_rows: 1, ..small }), Verdict::default());
    let larger = Measured { snapshot_rows: 101, result_rows: 0, removed: 101, ..usual() };
    assert_eq!(rules(&verdict(larger)), [Rule::Empty, Rule::MaxRemoved]);
}

#[test]
fn an_approved_empty_result_passes_and_half_an_approval_does_not() {
    let empty = Measured { result_rows: 0, ..usual() };
    assert_eq!(verdict(Measured { approved_removed: 10_000, ..empty }), Verdict::default());
    assert_eq!(rules(&verdict(Measured { approved_removed: 9_999, removed: 1, ..empty })), [Rule::Empty]);
    assert_eq!(rules(&verdict(empty)), [Rule::Empty]);
    assert_eq!(verdict(Measured { snapshot_rows: 0, ..empty }), Verdict::default());
    let off = GuardSpec { stop_on_empty: false, ..GuardSpec::default() };
    assert_eq!(judge(&off, FirstRun::Ask, &empty), Verdict::default());
}

#[test]
fn removals_add_up_over_a_day() {
    let day = Measured { removed: 500, removed_before: 501, ..usual() };
    let found = verdict(day);
    assert_eq!((rules(&found), found.tripped[0].measured), (vec![Rule::MaxRemovedDay], 1_001));
    assert_eq!(verdict(Measured { removed: 0, removed_before: 5_000, ..usual() }), Verdict::default());
    let off = GuardSpec { max_removed: 100.0, ..GuardSpec::default() };
    assert_eq!(
        judge(&off, FirstRun::Ask, &Measured { removed: 9_999, removed_before: 9_999, ..usual() }),
        Verdict::default()
    );
}

#[test]
fn absolute_caps_stand_alone() {
    let spec = GuardSpec {
        max_removed: 100.0,
        max_removed_rows: Some(3),
        max_changed_rows: Some(3),
        max_added_rows: Some(3),
        max_invalid_rows: Some(3),
        ..GuardSpec::default()
    };
    let at = Measured { removed: 3, changed: 3, added: 3, invalid: 3, ..usual() };
    assert_eq!(judge(&spec, FirstRun::Ask, &at), Verdict::default());
    let over = judge(&spec, FirstRun::Ask, &Measured { removed: 4, changed: 4, added: 4, invalid: 4, ..usual() });
    let caps = [Rule::MaxRemovedRows, Rule::MaxChangedRows, Rule::MaxAddedRows, Rule::MaxInvalidRows];
    assert_eq!(rules(&over), caps);
    assert_eq!(over.tripped[0].limit, Limit::Rows(3));
    assert_eq!(over.tripped[0].message, "the run would remove 4 rows, over 3");
}

#[test]
fn a_first_run_is_asked_for_once_and_its_additions_are_not_limited() {
    let first = Measured { snapshot_rows: 0, result_rows: 10_000, added: 10_000, ..Measured::default() };
    let asked = verdict(first);
    assert_eq!((rules(&asked), asked.held), (vec![Rule::FirstRun], ALL));
    assert_eq!(verdict(Measured { first_run_approved: true, ..first }), Verdict::default());
    assert_eq!(judge(&GuardSpec::default(), FirstRun::Backfill, &first), Verdict::default());
    // Interrupted at 30 %: the rest is still added without a limit.
    let interrupted = Measured { snapshot_rows: 3_000, added: 7_000, first_run_approved: true, ..first };
    assert_eq!(verdict(interrupted), Verdict::default());
    // Invalid rows are then a share of the result, for there is no snapshot yet.
    let backfill = |invalid| judge(&GuardSpec::default(), FirstRun::Backfill, &Measured { invalid, ..first });
    assert_eq!(backfill(200), Verdict::default());
    assert_eq!(rules(&backfill(201)), [Rule::MaxInvalid]);
}

#[test]
fn messages_name_the_numbers() {
    let found = verdict(Measured { removed: 6_000, ..usual() });
    assert_eq!(found.tripped[0].message, "the run would remove 6000 of 10000 rows, over 10 %");
    assert_eq!((found.tripped[0].rule.name(), found.tripped[0].limit), ("max_removed", Limit::Share(10.0)));
}

#[test]
fn data_and_mapping_are_limited_apart() {
    let spec = GuardSpec { max_remapped_rows: Some(3), ..GuardSpec::default() };
    let found = judge(&spec, FirstRun::Ask, &Measured { changed: 5_000, remapped: 4, ..usual() });
    assert_eq!(rules(&found), [Rule::MaxRemappedRows]);
    assert!(found.held.holds(ChangeKind::Changed, true) && !found.held.holds(ChangeKind::Changed, false));
    let found = verdict(Measured { changed: 5_001, remapped: 1_000, ..usual() });
    assert_eq!(rules(&found), [Rule::MaxChanged]);
    assert!(!found.held.holds(ChangeKind::Changed, true) && found.held.holds(ChangeKind::Changed, false));
    let message = &verdict(Measured { remapped: 9_000, ..usual() }).tripped[0];
    assert_eq!(message.message, "the new mapping alone would change 9000 of 10000 rows, over 10 %");
    assert!(message.hint.contains("remap = \"later\""), "{}", message.hint);
}

#[test]
fn emptied_fields_hold_everything_and_are_named() {
    let emptied = |fields: &[(&str, u64)]| -> Vec<Emptied> {
        fields.iter().map(|(field, rows)| Emptied { field: (*field).to_owned(), rows: *rows }).collect()
    };
    let fields = emptied(&[("plan", 2_000), ("city", 500)]);
    assert_eq!(verdict(Measured { emptied: &fields, ..usual() }), Verdict::default());
    let fields = emptied(&[("plan", 2_001), ("city", 4_000), ("zip", 500)]);
    let found = verdict(Measured { emptied: &fields, ..usual() });
    assert_eq!((rules(&found), found.held), (vec![Rule::MaxEmptied], ALL));
    assert_eq!(found.tripped[0].measured, 4_000);
    assert_eq!(
        found.tripped[0].message,
        "`city` would become null in 4000, `plan` would become null in 2001 of 10000 rows where it was not, over 20 %"
    );
    let few = emptied(&[("plan", 100)]);
    assert_eq!(verdict(Measured { emptied: &few, snapshot_rows: 100, ..usual() }), Verdict::default(), "min_rows");
    let spec = GuardSpec { max_emptied: 100.0, max_emptied_rows: Some(99), ..GuardSpec::default() };
    let found = judge(&spec, FirstRun::Ask, &Measured { emptied: &few, ..usual() });
    assert_eq!(found.tripped[0].message, "`plan` would become null in 100 rows where it was not, over 99");
}

#[test]
fn old_data_holds_what_nobody_has_approved() {
    let hours = |hours: u64| DataAge::Of(Duration::from_secs(hours * 3_600));
    let fresh = FreshSpec { column: "updated_at".to_owned(), within: Duration::from_secs(6 * 3_600) };
    let spec = GuardSpec { fresh: Some(fresh), ..GuardSpec::default() };
    let judged = |age, changed| judge(&spec, FirstRun::Ask, &Measured { age, changed, ..usual() });
    assert_eq!(judged(hours(6), 1), Verdict::default());
    assert_eq!(judged(hours(50), 0), Verdict::default(), "nothing to hold");
    assert_eq!(judged(DataAge::Unknown, 1), Verdict::default(), "an empty result is another rule's");
    let found = judged(hours(50), 1);
    assert_eq!((rules(&found), found.held), (vec![Rule::Fresh], ALL));
    assert_eq!(found.tripped[0].message, "the newest `updated_at` is 2 d 2 h old, over 6 h");
    assert_eq!(
        judged(DataAge::NoValue, 1).tripped[0].message,
        "no row has a value in `updated_at`, which should be newer than 6 h"
    );
    assert_eq!(verdict(Measured { age: hours(50), changed: 1, ..usual() }), Verdict::default(), "off by default");
}

#[test]
fn an_age_is_told_in_its_two_largest_units() {
    let within = Duration::from_secs(1);
    let fresh = FreshSpec { column: "c".to_owned(), within };
    let spec = GuardSpec { fresh: Some(fresh), ..GuardSpec::default() };
    let (minute, hour, day) = (60, 3_600, 86_400);
    for (seconds, text) in [
        (59, "59 s"),
        (minute, "1 min"),
        (59 * minute + 59, "59 min"),
        (hour, "1 h"),
        (2 * hour + 3 * minute, "2 h 3 min"),
        (23 * hour + 59 * minute, "23 h 59 min"),
        (day, "1 d"),
        (day + 59 * minute, "1 d"),
        (3 * day + 23 * hour + 5 * minute, "3 d 23 h"),
    ] {
        let measured = Measured { age: DataAge::Of(Duration::from_secs(seconds)), changed: 1, ..usual() };
        let found = judge(&spec, FirstRun::Ask, &measured);
        assert_eq!(found.tripped[0].message, format!("the newest `c` is {text} old, over 1 s"));
    }
}

#[test]
fn all_that_nobody_has_approved_waits_for_the_first_run_and_for_fresh_data() {
    let fresh = FreshSpec { column: "c".to_owned(), within: Duration::from_secs(1) };
    let spec = GuardSpec { fresh: Some(fresh), ..GuardSpec::default() };
    let measured = Measured { added: 1, changed: 2, remapped: 4, removed: 8, age: DataAge::NoValue, ..usual() };
    let found = judge(&spec, FirstRun::Ask, &Measured { first_run_complete: false, ..measured });
    let counted: Vec<_> = found.tripped.iter().map(|trip| (trip.rule, trip.measured)).collect();
    assert_eq!(counted, [(Rule::FirstRun, 15), (Rule::Fresh, 15)]);
    let nothing = Measured { added: 0, changed: 0, remapped: 0, removed: 0, first_run_complete: false, ..measured };
    assert_eq!(judge(&spec, FirstRun::Ask, &nothing), Verdict::default());
}

#[test]
fn an_absolute_cap_on_emptied_fields_trips_above_it() {
    let fields = [Emptied { field: "plan".to_owned(), rows: 100 }];
    let capped = |cap| {
        let spec = GuardSpec { max_emptied: 100.0, max_emptied_rows: Some(cap), ..GuardSpec::default() };
        rules(&judge(&spec, FirstRun::Ask, &Measured { emptied: &fields, ..usual() }))
    };
    assert_eq!((capped(100), capped(99)), (vec![], vec![Rule::MaxEmptiedRows]));
}

/// The exact rule in whole numbers: `rows` of `base` are over `percent`.
fn over(rows: u64, base: u64, percent: u32, min_rows: u64) -> bool {
    percent < 100 && rows > min_rows && u128::from(rows) * 100 > u128::from(base) * u128::from(percent)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Random pairs of an old snapshot and a new model: nothing below the thresholds is held, nothing above them passes.
    #[test]
    fn no_false_block_and_none_missed(
        kept in 0_u64..3_000, changed_share in 0_u64..=100, removed in 0_u64..1_500, added in 0_u64..3_000,
        limits in (0_u32..=110, 0_u32..=110, 0_u32..=110), min_rows in 0_u64..200,
    ) {
        let changed = kept * changed_share / 100;
        let snapshot_rows = kept + removed;
        let spec = GuardSpec {
            max_removed: f64::from(limits.0), max_changed: f64::from(limits.1), max_added: f64::from(limits.2), min_rows,
            ..GuardSpec::default()
        };
        let measured = Measured {
            snapshot_rows, result_rows: kept + added, added, changed, removed, first_run_complete: true, ..Measured::default()
        };
        let empty = kept + added == 0 && snapshot_rows > 0;
        let expected = HeldKinds {
            removed: empty || over(removed, snapshot_rows, limits.0, min_rows),
            changed: empty || over(changed, snapshot_rows, limits.1, min_rows),
            added: empty || over(added, snapshot_rows, limits.2, min_rows),
            remapped: empty,
        };
        prop_assert_eq!(judge(&spec, FirstRun::Ask, &measured).held, expected);
    }
}
