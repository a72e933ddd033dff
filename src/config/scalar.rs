//! Durations and percentages, as texts.

use std::time::Duration;

/// A whole number and a unit: `500ms`, `10s`, `15m`, `2h`, `1d`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let split = text.find(|char: char| !char.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(split)?;
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// A duration as the configuration writes it, in its largest whole unit.
pub(super) fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis >= size && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}

/// A percentage from 0 to 100: `10%`, `2.5%`.
pub(super) fn percent(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?.trim_end();
    let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    plain.then(|| number.parse::<f64>().ok()).flatten().filter(|percent| (0.0..=100.0).contains(percent))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("15m"), Some(Duration::from_secs(900)));
        assert_eq!(duration("1d"), Some(Duration::from_secs(86_400)));
        for wrong in
            ["", "15", "m", "15 m", "-1s", "1.5h", "1M", "1h30m", "99999999999999999999s", "99999999999999999d"]
        {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn percentages() {
        assert_eq!(percent("10%"), Some(10.0));
        assert_eq!(percent("2.5 %"), Some(2.5));
        assert_eq!(percent("0%"), Some(0.0));
        for wrong in ["10", "%", "101%", "-1%", "1e1%", "nan%", "1.2.3%"] {
            assert_eq!(percent(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn durations_come_back(millis in 0_u64..1_000_000_000_000) {
            let length = Duration::from_millis(millis);
            prop_assert_eq!(duration(&duration_text(length)), Some(length));
        }
    }
}
