//! Which proof catches which broken rule, how it is asked, and what it has to see.

use syncline::proof::Rule;

/// A proof that catches a broken rule.
pub(super) struct Catch {
    pub(super) proof: &'static str,
    /// Pairs of `--KEY` and value; the seed is one that catches quickly.
    pub(super) arguments: &'static [&'static str],
    pub(super) sees: Sees,
}

/// What shows that the broken rule was caught, and not something else.
pub(super) enum Sees {
    /// One of the proof's findings says this.
    Says(&'static str),
    /// One of these figures, by JSON pointer, is above zero.
    Counts(&'static [&'static str]),
}

use Sees::{Counts, Says};

const fn by(proof: &'static str, arguments: &'static [&'static str], sees: Sees) -> Catch {
    Catch { proof, arguments, sees }
}

const HISTORIES: &[&str] = &["--seed", "7000", "--n", "50"];
const HOURS: &[&str] = &["--seed", "1", "--n", "1", "--hours", "4", "--syncs", "6"];
const DIFFERENCES: Sees = Counts(&["/wrong", "/missing", "/orphans"]);
const TAKEOVER: &[&str] =
    &["--scenario", "kill", "--seed", "1", "--n", "1", "--lease", "2", "--rows", "300", "--slack", "6"];

/// Every rule has an entry: a new one does not compile without.
pub(super) const fn catches(rule: Rule) -> &'static [Catch] {
    match rule {
        Rule::SettleAfterSend => {
            const { &[by("histories", HISTORIES, Says("count as delivered, 0 were acknowledged"))] }
        }
        Rule::Intents => {
            const {
                &[
                    by("histories", HISTORIES, Says("P1: the model holds")),
                    by("kill9", &["--seed", "1", "--n", "2"], DIFFERENCES),
                    by("failpoints", &["--seed", "1", "--only", "send-after", "--action", "kill"], DIFFERENCES),
                    by("stops", &["--seed", "1", "--n", "6", "--timeout", "3", "--rows", "300"], DIFFERENCES),
                    by("failover", TAKEOVER, DIFFERENCES),
                    by(
                        "resources",
                        &["--scenario", "state-disk", "--seed", "1", "--n", "1", "--rows", "1000"],
                        Says("state-disk: Audit { wrong"),
                    ),
                ]
            }
        }
        Rule::RejectStaysDirty => const { &[by("histories", HISTORIES, Says("is an orphan"))] },
        Rule::SettleByIntent => const { &[by("histories", HISTORIES, Says("P2: the snapshot has key"))] },
        Rule::LateWindow => {
            const { &[by("histories", HISTORIES, Says("is sent otherwise while an earlier request may still be applied"))] }
        }
        Rule::CompleteRead => {
            const {
                &[
                    by("histories", HISTORIES, Says("P4: something is sent after the model was read in part")),
                    by("resources", CUT_POSTGRES, Says("rows were sent of an incomplete read")),
                    by("resources", CUT_MARIADB, Says("rows were sent of an incomplete read")),
                ]
            }
        }
        Rule::RemovalsLast => {
            const { &[by("histories", HISTORIES, Says("is written after the run's removals began"))] }
        }
        Rule::Ownership => const { &[by("histories", HISTORIES, Says("is removed, which is in the model"))] },
        Rule::Guard => {
            const {
                &[
                    by("guard", &["--seed", "1", "--n", "20"], Says("sent against it:")),
                    by("histories", HISTORIES, Says("keys were removed, nobody approved it")),
                ]
            }
        }
        Rule::Epoch => {
            const {
                &[by(
                    "failover",
                    &["--scenario", "stale", "--seed", "1", "--n", "1"],
                    Says("of a stale holder was accepted"),
                )]
            }
        }
        Rule::NamedRows => const { &[by("histories", HISTORIES, Says("operations count as delivered,"))] },
        Rule::LimitEachAttempt => const { &[by("days", HOURS, Says("before the end of a hold"))] },
        Rule::WaitEmptyHanded => const { &[by("days", HOURS, Says("beside a sick sync"))] },
        Rule::BoundedRetries => {
            const { &[by("limits", &["--scenario", "retry", "--seed", "1", "--seconds", "6"], Says("times in one run"))] }
        }
        Rule::AnswerNeeded => const { &[by("histories", HISTORIES, Says("operations count as delivered,"))] },
        Rule::RefusedIsHalved => {
            const {
                &[by(
                    "limits",
                    &["--scenario", "poison", "--seed", "1"],
                    Says("the vendor does not hold every good row"),
                )]
            }
        }
        Rule::Checksum => {
            const {
                &[by(
                    "fuzz",
                    &["--target", "page", "--seed", "1", "--seconds", "1"],
                    Says("a changed bit is not noticed"),
                )]
            }
        }
        Rule::IdsTwice => {
            const { &[by("damage", &["--seed", "1", "--first", "18", "--n", "1"], Says("OtherId (): exit Some("))] }
        }
        Rule::HighWaterMark => {
            const { &[by("damage", &["--seed", "1", "--first", "11", "--n", "1"], Says("an older state is not noticed"))] }
        }
        Rule::WordsMasked => {
            const {
                &[by(
                    "limits",
                    &["--scenario", "canary", "--seed", "1", "--panics", "0"],
                    Counts(&["/canary/sqlite/hits"]),
                )]
            }
        }
        Rule::LocksAwaited => {
            const {
                &[by(
                    "resources",
                    &["--scenario", "locked", "--seed", "1", "--n", "1", "--rows", "1000", "--held", "8"],
                    Says("the daemon did not go on by itself"),
                )]
            }
        }
        Rule::CausesTold => {
            const {
                &[
                    by(
                        "resources",
                        &["--scenario", "handles", "--handles", "12", "--seed", "1", "--n", "1", "--rows", "600"],
                        Says("with 12 handles: no clear message"),
                    ),
                    by(
                        "resources",
                        &["--scenario", "restart", "--seed", "1", "--n", "1", "--rows", "1000"],
                        Says("restart: Some(1): error: cannot open the state"),
                    ),
                ]
            }
        }
    }
}

const CUT_POSTGRES: &[&str] = &["--scenario", "cut-postgres", "--seed", "1", "--n", "0", "--rows", "2100"];
const CUT_MARIADB: &[&str] = &["--scenario", "cut-mariadb", "--seed", "1", "--n", "0", "--rows", "3200"];
