//! Reads Rust source as far as the rules need it: without comments, texts and test code, as words and paths.

/// The code with comments and the insides of literals blanked; lines stay where they are.
pub(super) fn blank(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` itself when none begins there.
fn literal_end(chars: &[char], at: usize) -> usize {
    let rest = &chars[at..];
    let in_word = at > 0 && is_word(chars[at - 1]);
    match rest {
        ['/', '/', ..] => at + rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => at + block_comment(rest),
        ['r', '"' | '#', ..] | ['b' | 'c', 'r', '"' | '#', ..] if !in_word => at + raw_text(rest),
        ['"', ..] => at + quoted(rest, '"'),
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => at + quoted(rest, '\''),
        _ => at,
    }
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn raw_text(rest: &[char]) -> usize {
    let open = rest.iter().take_while(|&&c| c.is_ascii_lowercase()).count();
    let hashes = rest[open..].iter().take_while(|&&c| c == '#').count();
    if rest.get(open + hashes) != Some(&'"') {
        return 0; // A raw identifier: `r#type`.
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = open + hashes + 1;
    rest[body..].windows(close.len()).position(|w| w == close).map_or(rest.len(), |n| body + n + close.len())
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Blanks every item that only tests hold, in blanked code.
pub(super) fn without_tests(code: &str) -> String {
    let (mut out, mut read) = (String::with_capacity(code.len()), 0);
    for (start, item) in test_items(code) {
        if start < read {
            continue; // Within an item that is left out already.
        }
        let end = code.len() - item.len() + item_end(item);
        out.push_str(&code[read..start]);
        out.extend(code[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        read = end;
    }
    out + &code[read..]
}

/// Where each `#[cfg(test)]` or `#[cfg(all(test, …))]` of blanked code stands, and the code after it.
pub(super) fn test_items(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.match_indices("#[cfg(").filter_map(|(start, _)| {
        let (condition, item) = code[start..].split_once(']')?;
        let condition = condition["#[cfg(".len()..].trim_start_matches("all(");
        (words(condition).first()?.text == "test").then_some((start, item))
    })
}

/// The length of the item that `code` begins with: to its `;`, or to the `}` of its first brace.
fn item_end(code: &str) -> usize {
    let mut depth = 0_i32;
    for (at, c) in code.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(c, ';' | '}') {
            return at + c.len_utf8();
        }
    }
    code.len()
}

/// A word of the code, its line, and what stands right before and after it (blanks skipped).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
    pub(super) before: &'a str,
    pub(super) after: &'a str,
}

/// Every word of the code, in order.
pub(super) fn words(code: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(c) = code[at..].chars().next() {
        let length = code[at..].find(|c| !is_word(c)).unwrap_or(code.len() - at);
        if length > 0 {
            let (before, after) = (code[..at].trim_end(), code[at + length..].trim_start());
            words.push(Word { text: &code[at..at + length], line, before, after });
            at += length;
        } else {
            line += usize::from(c == '\n');
            at += c.len_utf8();
        }
    }
    words
}

/// The top-level modules that the code names by a path from the crate's root (`crate::x`, `super::super::x`), with lines.
/// `depth` is the number of modules between the root and the code, itself included.
pub(super) fn modules_named(code: &str, depth: usize) -> Vec<(&str, usize)> {
    let mut named = Vec::new();
    for word in words(code) {
        let starts_path = !word.before.ends_with("::") && word.after.starts_with("::");
        let tail = match word.text {
            "crate" | "syncline" if starts_path => Some(&word.after[2..]),
            "super" if starts_path => above(word.after, depth),
            _ => None,
        };
        named.extend(tail.into_iter().flat_map(heads).map(|name| (name, word.line)));
    }
    named
}

/// What follows `depth` times `super::`, the first of them read already.
fn above(mut after: &str, depth: usize) -> Option<&str> {
    let mut supers = 1;
    while let Some(rest) = after.trim_start_matches("::").trim_start().strip_prefix("super") {
        (after, supers) = (rest.trim_start(), supers + 1);
    }
    (supers == depth).then(|| after.trim_start_matches("::"))
}

/// The first name of each path of `a::b` or `{a::b, c}`.
fn heads(tail: &str) -> Vec<&str> {
    let tail = tail.trim_start();
    let Some(group) = tail.strip_prefix('{') else {
        return words(&tail[..tail.find(|c| !is_word(c)).unwrap_or(tail.len())]).iter().map(|word| word.text).collect();
    };
    let (mut depth, mut expects, mut heads) = (0, true, Vec::new());
    let mut at = 0;
    while let Some(c) = group[at..].chars().next() {
        let length = group[at..].find(|c| !is_word(c)).unwrap_or(group.len() - at);
        if length > 0 {
            if expects && depth == 0 {
                heads.push(&group[at..at + length]);
            }
            (expects, at) = (false, at + length);
            continue;
        }
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' => expects = true,
            _ => {}
        }
        at += c.len_utf8();
    }
    heads
}
