//! Keeps a log line one line: control and direction-changing characters are written as `\uXXXX`.

use std::io;

use tracing_subscriber::fmt::MakeWriter;

/// Wraps a writer that gets whole lines, and escapes what could forge lines or drive a terminal.
#[derive(Debug, Clone)]
pub(super) struct Escaping<W> {
    pub(super) inner: W,
    /// Lets `ESC` through, for the formatter's own colours; it has escaped those of values already.
    pub(super) colour: bool,
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Escaping<W> {
    type Writer = Escaping<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Escaping { inner: self.inner.make_writer(), colour: self.colour }
    }
}

impl<W: io::Write> io::Write for Escaping<W> {
    /// Takes one whole line: the formatter writes each event with a single call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.inner.write_all(escape(&String::from_utf8_lossy(line), self.colour).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The line with its own line end kept and everything dangerous inside it escaped.
fn escape(line: &str, colour: bool) -> String {
    let (body, end) = line.strip_suffix('\n').map_or((line, ""), |body| (body, "\n"));
    let mut out = String::with_capacity(line.len());
    for c in body.chars() {
        if is_dangerous(c) && !(colour && c == '\u{1b}') {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out.push_str(end);
    out
}

/// C0 and C1 controls, DEL, line separators and the marks that reorder text.
fn is_dangerous(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_forge_a_line_is_escaped() {
        assert_eq!(
            escape("a\nb\r\u{9b}c\u{7f}\u{202e}d\u{1b}[2J\n", false),
            "a\\u000ab\\u000d\\u009bc\\u007f\\u202ed\\u001b[2J\n"
        );
    }

    #[test]
    fn colours_and_plain_text_stay() {
        assert_eq!(
            escape("\u{1b}[32mINFO\u{1b}[0m größe \u{1f600}\n", true),
            "\u{1b}[32mINFO\u{1b}[0m größe \u{1f600}\n"
        );
    }

    proptest::proptest! {
        #[test]
        fn a_json_line_stays_the_same_json(value in "\\PC*|.*") {
            let line = serde_json::json!({ "k": value }).to_string();
            let back: serde_json::Value = serde_json::from_str(&escape(&line, false)).unwrap();
            assert_eq!(back["k"], serde_json::Value::String(value));
        }
    }
}
