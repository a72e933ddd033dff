//! Seeded random faults: the same seed and order of requests give the same faults.

use std::{str::FromStr, time::Duration};

use super::{
    OptionError,
    script::{Action, Phase},
};

const EXPECTED: &str = "`p=0.05,seed=7,kinds=5xx,close,drop_answer,429` \
    (kinds: 5xx, 429, close, drop_answer, apply_late, hang, slow, silent, html, truncate)";

/// With probability `p` a request meets one of `kinds`.
#[derive(Debug, Clone, PartialEq)]
pub struct Chaos {
    p: f64,
    seed: u64,
    kinds: Vec<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ServerError,
    RateLimit,
    Close,
    DropAnswer,
    ApplyLate,
    Hang,
    Slow,
    Silent,
    Html,
    Truncate,
}

impl FromStr for Chaos {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        let wrong = || OptionError::new(text, EXPECTED);
        let (mut p, mut seed, mut kinds) = (None, 0, Vec::new());
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("p", value)) => p = value.parse().ok(),
                Some(("seed", value)) => seed = value.parse().map_err(|_| wrong())?,
                Some(("kinds", value)) => kinds.push(kind(value).ok_or_else(wrong)?),
                None if !kinds.is_empty() => kinds.push(kind(part).ok_or_else(wrong)?),
                Some(_) | None => return Err(wrong()),
            }
        }
        match p {
            Some(p) if (0.0..=1.0).contains(&p) && !kinds.is_empty() => Ok(Self { p, seed, kinds }),
            Some(_) | None => Err(wrong()),
        }
    }
}

fn kind(name: &str) -> Option<Kind> {
    Some(match name {
        "5xx" => Kind::ServerError,
        "429" => Kind::RateLimit,
        "close" => Kind::Close,
        "drop_answer" => Kind::DropAnswer,
        "apply_late" => Kind::ApplyLate,
        "hang" => Kind::Hang,
        "slow" => Kind::Slow,
        "silent" => Kind::Silent,
        "html" => Kind::Html,
        "truncate" => Kind::Truncate,
        _ => return None,
    })
}

/// The dice.
pub(super) struct Dice {
    chaos: Chaos,
    rng: fastrand::Rng,
}

impl Dice {
    /// Dice that begin at the seed.
    pub(super) fn new(chaos: Chaos) -> Self {
        Self { rng: fastrand::Rng::with_seed(chaos.seed), chaos }
    }

    /// The next request's fault, if it meets one.
    pub(super) fn roll(&mut self) -> Option<(Phase, Action)> {
        if self.rng.f64() >= self.chaos.p {
            return None;
        }
        let kind = *self.rng.choice(&self.chaos.kinds)?;
        Some((self.phase(kind), self.action(kind)))
    }

    /// A 5xx and a closed connection can come before and after the request took effect; nobody outside can tell.
    fn phase(&mut self, kind: Kind) -> Phase {
        match kind {
            Kind::ServerError | Kind::Close | Kind::Hang | Kind::Slow if self.rng.bool() => Phase::After,
            Kind::ServerError
            | Kind::RateLimit
            | Kind::Close
            | Kind::DropAnswer
            | Kind::ApplyLate
            | Kind::Hang
            | Kind::Slow
            | Kind::Silent
            | Kind::Html
            | Kind::Truncate => Phase::Before,
        }
    }

    fn action(&mut self, kind: Kind) -> Action {
        match kind {
            Kind::ServerError => {
                Action::Status { code: self.rng.u16(500..=504), body: None, headers: Default::default() }
            }
            Kind::RateLimit => Action::RateLimit { retry_after: None, daily: false },
            Kind::Close => Action::Close,
            Kind::DropAnswer => Action::DropAnswer,
            Kind::ApplyLate => Action::ApplyLate { delay: Some(Duration::from_millis(self.rng.u64(50..500))) },
            Kind::Hang => Action::Hang { span: None },
            Kind::Slow => Action::Slow { delay: Duration::from_millis(self.rng.u64(20..200)) },
            Kind::Silent => Action::Silent { code: 200 },
            Kind::Html => Action::Html { code: 502 },
            Kind::Truncate => Action::Truncate,
        }
    }
}
