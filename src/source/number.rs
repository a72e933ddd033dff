//! Numbers that the databases have in common.

use std::fmt::Write;

/// The double that prints like the single: 0.1 stays 0.1 and does not become 0.10000000149011612. `scratch` is reused.
pub(super) fn widen(value: f32, scratch: &mut String) -> f64 {
    if !value.is_finite() || value == 0.0 {
        return value.into();
    }
    scratch.clear();
    if write!(scratch, "{value:e}").is_err() {
        return value.into();
    }
    scratch.parse().unwrap_or_else(|_| value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_keeps_its_digits() {
        for (single, double) in [(0.1_f32, 0.1_f64), (3.4028235e38, 3.4028235e38), (-1.5, -1.5), (1e-45, 1e-45)] {
            assert_eq!(widen(single, &mut String::new()), double);
        }
        assert!(widen(-0.0, &mut String::new()).is_sign_negative());
        assert!(widen(f32::NAN, &mut String::new()).is_nan());
    }
}
