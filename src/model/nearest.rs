//! "Did you mean": the nearest of the known names.

/// No slip makes a name of this many bytes out of one of ours, and comparing takes time with the product of both lengths.
const MAX_BYTES: usize = 256;

/// The candidate that looks most like `name`, when one looks enough like it to be worth proposing.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_BYTES {
        return None;
    }
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= MAX_BYTES)
        .map(|candidate| (likeness(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, candidate)| candidate)
}

/// Jaro-Winkler knows long names; in short ones a single slip (`evn`) counts as near, too.
fn likeness(a: &str, b: &str) -> f64 {
    let one_slip = a.len().min(b.len()) >= 3 && strsim::osa_distance(a, b) == 1;
    strsim::jaro_winkler(a, b).max(if one_slip { 0.85 } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn proposes_what_is_near_and_nothing_else() {
        let names = ["email", "first_name", "last_name"];
        assert_eq!(nearest("emial", names), Some("email"));
        assert_eq!(nearest("Email", names), Some("email"));
        assert_eq!(nearest("firstname", names), Some("first_name"));
        assert_eq!(nearest("evn", ["env", "file"]), Some("env"));
        assert_eq!(nearest("zip", names), None);
        assert_eq!(nearest("email", []), None);
    }

    /// Found by the fuzzer: a time zone of 64 KiB was compared with 600 names for minutes.
    #[test]
    fn endless_names_are_near_to_nothing() {
        let (long, longer) = ("ab".repeat(1_000), "ab".repeat(1_001));
        assert_eq!(nearest(&long, [longer.as_str(), "ab"]), None);
        assert_eq!(nearest("email", [long.as_str(), "emial"]), Some("emial"));
    }
}
