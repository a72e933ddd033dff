//! Templates, as a configuration holds them.

use minijinja::context;

use crate::mapping::{Form, Template};

const CANARY: &str = "canary-7f3a";

/// A template compiles and renders, or says why without a value of the row.
pub(super) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for form in [Form::Text, Form::Json] {
        let Ok(template) = Template::compile_as(&text, form) else { continue };
        assert!(template.names().is_sorted(), "names out of order");
        let row = context! { name => CANARY, n => 7, list => ["a", CANARY], null => () };
        match template.render(row) {
            Ok(rendered) => assert!(rendered.len() <= 1 << 20, "a text without bound"),
            Err(error) => {
                assert!(text.contains(CANARY) || !error.reason.contains(CANARY), "an error holds a value of the row");
            }
        }
    }
}
