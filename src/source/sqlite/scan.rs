//! Finding where a statement ends, since SQLite's driver would run a second one.

/// The first statement without its semicolon, or `None` when something other than blanks and comments follows it.
pub(super) fn single_statement(sql: &str) -> Option<&str> {
    let mut at = 0;
    while let Some(&byte) = sql.as_bytes().get(at) {
        if byte == b';' {
            return nothing(sql.get(at + 1..)?).then(|| &sql[..at]);
        }
        at += token(sql.get(at..)?);
    }
    Some(sql)
}

/// Only blanks, comments and semicolons.
fn nothing(mut rest: &str) -> bool {
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ';');
        if !rest.starts_with("--") && !rest.starts_with("/*") {
            return rest.is_empty();
        }
        rest = rest.get(token(rest)..).unwrap_or_default();
    }
}

/// The length of the quoted text or comment at the start, or of one character. A doubled quote is two quoted texts side
/// by side, which ends in the same place.
fn token(rest: &str) -> usize {
    let close = match rest.as_bytes() {
        [b'\'', ..] => "'",
        [b'"', ..] => "\"",
        [b'`', ..] => "`",
        [b'[', ..] => "]",
        [b'-', b'-', ..] => "\n",
        [b'/', b'*', ..] => "*/",
        _ => return rest.chars().next().map_or(1, char::len_utf8),
    };
    let open = if close.len() == 2 || close == "\n" { 2 } else { 1 };
    let body = rest.get(open..).unwrap_or_default();
    body.find(close).map_or(rest.len(), |end| open + end + close.len())
}

#[cfg(test)]
mod tests {
    use super::single_statement;

    #[test]
    fn one_statement_ends_before_its_semicolon() {
        for (sql, statement) in [
            ("select 1", "select 1"),
            ("select 1;", "select 1"),
            ("select 1; -- done\n /* really; */ ;", "select 1"),
            ("select ';', \";\", `;`, [;], 'it''s;'", "select ';', \";\", `;`, [;], 'it''s;'"),
            ("select 1 -- ; no\n, 2 /* ; */;", "select 1 -- ; no\n, 2 /* ; */"),
            ("select 'ü;' -- ü", "select 'ü;' -- ü"),
            ("select /*/ ; */ 1", "select /*/ ; */ 1"),
        ] {
            assert_eq!(single_statement(sql), Some(statement), "{sql}");
        }
    }

    #[test]
    fn a_second_statement_is_seen() {
        for sql in ["select 1; select 2", "select 'a'; -- x\n drop table t", "select 1;;x", "select [a]]; select 1"] {
            assert_eq!(single_statement(sql), None, "{sql}");
        }
    }
}
