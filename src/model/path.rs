//! Destination field names: dots nest, `\.` is a literal dot, `\\` a literal backslash.

/// A destination field name, split at its dots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<String>);

/// Why a destination field name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathProblem {
    /// Nothing stands before, between or after dots.
    #[error("a part of the name is empty")]
    EmptyPart,
    /// A backslash before something else than `.` or `\`.
    #[error(r"a backslash may only stand before `.` or `\`")]
    BadEscape,
}

impl FieldPath {
    /// Splits a name as the configuration writes it. Every path has exactly one spelling.
    ///
    /// # Errors
    /// [`PathProblem`] on an empty part or an unknown escape.
    pub fn parse(name: &str) -> Result<Self, PathProblem> {
        let mut parts = Vec::new();
        let mut part = String::new();
        let mut chars = name.chars();
        while let Some(char) = chars.next() {
            match char {
                '.' if part.is_empty() => return Err(PathProblem::EmptyPart),
                '.' => parts.push(std::mem::take(&mut part)),
                '\\' => match chars.next() {
                    Some(escaped @ ('.' | '\\')) => part.push(escaped),
                    _ => return Err(PathProblem::BadEscape),
                },
                other => part.push(other),
            }
        }
        if part.is_empty() {
            return Err(PathProblem::EmptyPart);
        }
        parts.push(part);
        Ok(Self(parts))
    }

    /// The spelling of a name that is to be taken literally, dots and all.
    pub fn escape(literal: &str) -> String {
        literal.replace('\\', r"\\").replace('.', r"\.")
    }

    /// The parts, outermost first; at least one.
    pub fn parts(&self) -> &[String] {
        &self.0
    }

    /// True when `self` is an object that `other` is a part of.
    pub fn is_parent_of(&self, other: &Self) -> bool {
        self.0.len() < other.0.len() && other.0.starts_with(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(name: &str) -> Result<Vec<String>, PathProblem> {
        FieldPath::parse(name).map(|path| path.0)
    }

    #[test]
    fn dots_nest_unless_escaped() {
        assert_eq!(parts("email").unwrap(), ["email"]);
        assert_eq!(parts("address.city").unwrap(), ["address", "city"]);
        assert_eq!(parts(r"address\.city").unwrap(), ["address.city"]);
        assert_eq!(parts(r"a\\.b").unwrap(), [r"a\", "b"]);
        for empty in ["", ".", "a.", ".a", "a..b"] {
            assert_eq!(parts(empty), Err(PathProblem::EmptyPart), "{empty:?}");
        }
        for escape in [r"a\n", r"a\"] {
            assert_eq!(parts(escape), Err(PathProblem::BadEscape), "{escape:?}");
        }
    }

    #[test]
    fn parents() {
        let path = |name| FieldPath::parse(name).unwrap();
        assert!(path("a").is_parent_of(&path("a.b")));
        assert!(!path("a").is_parent_of(&path("a")));
        assert!(!path("a").is_parent_of(&path(r"a\.b")));
        assert!(!path("a").is_parent_of(&path("ab.c")));
    }

    proptest! {
        #[test]
        fn escaped_names_are_one_part(name in ".+") {
            prop_assert_eq!(parts(&FieldPath::escape(&name)).unwrap(), [name]);
        }
    }
}
