//! How the values of a template are written. A value never becomes part of the grammar around it.

use minijinja::{Environment, Error, ErrorKind, value::Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but unreserved characters (RFC 3986) is encoded, so a value can neither end a segment nor begin a query.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How the values of a template are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Text,
    /// As JSON: a text with its quotes, a record as an object.
    Json,
    /// Percent-encoded, within a segment of a path or a part of a query. An empty value is an error: it would address
    /// something else.
    Segment,
}

impl Form {
    /// Sets the environment's formatter and filters.
    pub(super) fn apply(self, environment: &mut Environment<'_>) {
        // These mark a text as written in the right form already, which only `json` may.
        for filter in ["safe", "escape", "e"] {
            environment.remove_filter(filter);
        }
        for name in ["json", "tojson"] {
            environment.add_filter(name, |value: &Value| Ok::<_, Error>(Value::from_safe_string(json(value)?)));
        }
        match self {
            Self::Text => {}
            Self::Json => environment.set_formatter(|out, _, value| {
                let text = if value.is_undefined() {
                    String::new()
                } else if value.is_safe() {
                    value.to_string()
                } else {
                    json(value)?
                };
                Ok(out.write_str(&text)?)
            }),
            Self::Segment => environment.set_formatter(|out, _, value| {
                let text = if value.is_none() { String::new() } else { value.to_string() };
                if text.is_empty() {
                    return Err(Error::new(ErrorKind::InvalidOperation, "an empty value in a path"));
                }
                Ok(write!(out, "{}", utf8_percent_encode(&text, SEGMENT))?)
            }),
        }
    }
}

fn json(value: &Value) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::new(ErrorKind::BadSerialization, "the value is no JSON"))
}

#[cfg(test)]
mod tests {
    use minijinja::context;
    use proptest::prelude::*;

    use super::*;
    use crate::mapping::Template;

    fn render(source: &str, form: Form, context: Value) -> Result<String, String> {
        let template = Template::compile_as(source, form).map_err(|error| error.to_string())?;
        template.render(context).map_err(|error| error.to_string())
    }

    #[test]
    fn values_become_json() {
        let context = context! { name => "say \"hi\"", none => (), list => vec![1, 2], on => true };
        let source =
            r#"{"a": {{ name }}, "b": {{ none }}, "c": {{ list }}, "d": {{ on | json }}, "e": {{ "x" ~ name }}}"#;
        let expected = r#"{"a": "say \"hi\"", "b": null, "c": [1,2], "d": true, "e": "xsay \"hi\""}"#;
        assert_eq!(render(source, Form::Json, context).unwrap(), expected);
    }

    #[test]
    fn nothing_opts_out_of_the_form() {
        for form in [Form::Json, Form::Segment] {
            for source in ["{{ x | safe }}", "{{ x | e }}", "{{ x | escape }}"] {
                assert!(render(source, form, context! { x => "a\"/b" }).is_err(), "{source}");
            }
        }
        let source = "{% autoescape false %}{{ x }}{% endautoescape %}";
        assert_eq!(render(source, Form::Json, context! { x => "a" }).unwrap(), "\"a\"");
        assert_eq!(render("{{ x | json }}", Form::Segment, context! { x => "/" }).unwrap(), "%22%2F%22");
    }

    #[test]
    fn an_empty_value_stands_in_no_path() {
        for value in [Value::from(""), Value::from(())] {
            assert!(render("/a/{{ x }}", Form::Segment, context! { x => value }).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_text_is_one_json_value(text: String) {
            let rendered = render(r#"{"a": {{ x }}}"#, Form::Json, context! { x => &text }).unwrap();
            let parsed: serde_json::Value = serde_json::from_str(&rendered).unwrap();
            prop_assert_eq!(parsed, serde_json::json!({ "a": text }));
        }
    }
}
