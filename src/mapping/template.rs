//! Templates: texts with `{{ … }}` in them, compiled once. No I/O, no includes, a bounded number of steps.

use std::{fmt, sync::Arc, thread};

use super::Form;
use minijinja::{AutoEscape, Environment, ErrorKind as K, UndefinedBehavior, value::Value as Context};

use super::{to_text, value_to_json};
use crate::model::{Value, ValueProblem};

/// Steps that one rendering may take; a loop over a large value ends in an error, not in a busy daemon.
const FUEL: u64 = 100_000;
/// Most bytes of a rendered text.
const MAX_BYTES: usize = 1 << 20;
/// Most bytes of a template. Its compiler recurses: in a debug build up to 1.9 KiB of stack for a byte (`{{ ---…n }}`).
const MAX_SOURCE: usize = 16 << 10;
/// The stack that templates are compiled on, twice what the longest one can need.
const STACK: usize = 64 << 20;
/// Longer templates are rendered on such a stack too: what they build can be nested once for every second byte, and to
/// write that takes up to 1.6 KiB of stack a level in a debug build. Shorter ones do with the 2 MiB of any thread.
const MAX_ON_ANY_STACK: usize = 512;
/// The one template of an environment.
const NAME: &str = "template";

/// A compiled template. Cheap to clone.
#[derive(Clone)]
pub struct Template {
    source: Arc<str>,
    environment: Arc<Environment<'static>>,
    names: Arc<[String]>,
}

/// Why a text is no template, or cannot be rendered. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct TemplateError {
    /// What is wrong, without any value.
    pub reason: String,
}

impl Template {
    /// Compiles a template.
    ///
    /// # Errors
    /// The mistake, with its line in the template; a template of more than 16 KiB.
    pub fn compile(source: &str) -> Result<Self, TemplateError> {
        Self::compile_as(source, Form::Text)
    }

    /// Compiles a template whose values are written in a form.
    ///
    /// # Errors
    /// As [`Template::compile`].
    pub fn compile_as(source: &str, form: Form) -> Result<Self, TemplateError> {
        if source.len() > MAX_SOURCE {
            let got = source.len();
            let reason = format!(
                "a template has at most {MAX_SOURCE} bytes, this has {got}; let the model's query make its parts"
            );
            return Err(TemplateError { reason });
        }
        on_large_stack(|| Self::compile_here(source, form))
    }

    fn compile_here(source: &str, form: Form) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        form.apply(&mut environment);
        // Only with this could a value grow with every turn of a loop, or hold itself: writing it would take any stack.
        environment.remove_global("namespace");
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| problem(&error))?;
        let template = environment.get_template(NAME).map_err(|error| problem(&error))?;
        check_names(&environment)?;
        let functions: Vec<&str> = environment.globals().map(|(name, _)| name).collect();
        let outside = template.undeclared_variables(false).into_iter();
        let mut names: Vec<String> = outside.filter(|name| !functions.contains(&name.as_str())).collect();
        names.sort_unstable();
        Ok(Self { source: source.into(), names: names.into(), environment: Arc::new(environment) })
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names that the template takes from outside, sorted; its functions (`range`) are none.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Renders the template.
    ///
    /// # Errors
    /// A name that is not given, a filter that does not fit, too many steps or too long a text.
    pub fn render(&self, context: Context) -> Result<String, TemplateError> {
        match self.source.len() {
            ..=MAX_ON_ANY_STACK => self.render_here(context),
            _ => on_large_stack(|| self.render_here(context)),
        }
    }

    fn render_here(&self, context: Context) -> Result<String, TemplateError> {
        let template = self.environment.get_template(NAME).map_err(|error| problem(&error))?;
        let text = template.render(context).map_err(|error| problem(&error))?;
        if text.len() > MAX_BYTES {
            return Err(TemplateError { reason: "the rendered text is longer than 1 MiB".to_owned() });
        }
        Ok(text)
    }
}

/// Does `work` on a thread with a stack that is enough for any template.
fn on_large_stack<T: Send>(work: impl FnOnce() -> Result<T, TemplateError> + Send) -> Result<T, TemplateError> {
    let defect = |what: String| TemplateError { reason: format!("a thread for the template {what}") };
    thread::scope(|scope| {
        let begun = thread::Builder::new().name(NAME.to_owned()).stack_size(STACK).spawn_scoped(scope, work);
        let begun = begun.map_err(|error| defect(format!("could not be begun: {error}")))?;
        begun.join().unwrap_or_else(|_| Err(defect("has panicked".to_owned())))
    })
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.source).finish()
    }
}

/// Finds filters, tests and functions that do not exist, which the library notices only where it meets them: here in one
/// rendering without any value. What it says of the values is of no interest.
fn check_names(environment: &Environment<'static>) -> Result<(), TemplateError> {
    let mut lenient = environment.clone();
    lenient.set_undefined_behavior(UndefinedBehavior::Chainable);
    let rendered = lenient.get_template(NAME).and_then(|template| template.render(()));
    match rendered {
        Err(error) if matches!(error.kind(), K::UnknownFilter | K::UnknownTest | K::UnknownFunction) => {
            Err(problem(&error))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// A value as templates see it: integers, floats, booleans and JSON as such, everything else as its text. Decimals are
/// texts of all their digits, because the library has no exact decimals.
///
/// # Errors
/// The value cannot be part of a record.
pub(super) fn context(value: Value<'_>) -> Result<Context, ValueProblem> {
    Ok(match value {
        Value::Unrepresentable(why) => return Err(ValueProblem::Unrepresentable(why)),
        Value::Float(v) if !v.is_finite() => return Err(ValueProblem::NotFinite),
        Value::Float(v) => Context::from(v + 0.0),
        Value::Bool(v) => Context::from(v),
        Value::Int(v) => Context::from(v),
        Value::Text(v) => Context::from(v),
        Value::Json(_) => Context::from(minijinja::value::Serde(value_to_json(value))),
        Value::Null => Context::from(()),
        Value::Decimal(_)
        | Value::Bytes(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Timestamp(_)
        | Value::LocalTimestamp(_)
        | Value::Uuid(_) => Context::from(to_text(value).into_owned()),
    })
}

/// The kind of the error and its line. The library's detail can quote a value, so it is left out.
fn problem(error: &minijinja::Error) -> TemplateError {
    let line = error.line().map(|line| format!(" (line {line} of the template)")).unwrap_or_default();
    TemplateError { reason: format!("{}{line}", error.kind()) }
}

/// A JSON value for a template.
pub fn template_value(json: &serde_json::Value) -> Context {
    Context::from(minijinja::value::Serde(json))
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    #[test]
    fn a_template_knows_its_names_and_renders() {
        let template = Template::compile("Hello {{ first_name | title }} of {{ company }}").unwrap();
        assert_eq!(template.names(), ["company", "first_name"]);
        let text = template.render(context! { first_name => "ada", company => "<ACME>" }).unwrap();
        assert_eq!(text, "Hello Ada of <ACME>");
    }

    #[test]
    fn mistakes_name_no_value() {
        assert!(Template::compile("{{ first").unwrap_err().reason.contains("line 1"));
        let template = Template::compile("{{ name | int }}").unwrap();
        let error = template.render(context! { name => "canary-7f3a" }).unwrap_err();
        assert!(!error.reason.contains("canary"), "{error}");
        assert!(template.render(context! {}).is_err());
    }

    #[test]
    fn filters_that_do_not_exist_are_found_at_once() {
        for text in ["{{ a.b | nope }}", "{{ nope(a) }}", "{% if a is nope %}{% endif %}", "{{ a | safe }}"] {
            assert!(Template::compile(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_endless_loop_ends() {
        let template =
            Template::compile("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}");
        assert!(template.unwrap().render(context! {}).is_err());
    }

    /// Runs on a thread as those of the runtime, with `unit` again and again up to the longest template.
    fn survives(before: &str, unit: &str, after: &str) {
        for length in [MAX_ON_ANY_STACK, MAX_SOURCE] {
            let times = (length - before.len() - after.len()) / unit.len();
            let source = format!("{before}{}{after}", unit.repeat(times));
            let attempt = move || {
                let rendered = Template::compile(&source).and_then(|template| template.render(context! { n => 1 }));
                drop(rendered);
            };
            thread::Builder::new().stack_size(2 << 20).spawn(attempt).unwrap().join().unwrap();
        }
    }

    #[test]
    fn no_nesting_overflows_a_stack() {
        for (before, unit, after) in [
            ("{{ n", "+n", " }}"),
            ("{{ ", "-", "n }}"),
            ("{{ ", "-", "1 }}"),
            ("{{ n", "|int", " }}"),
            ("{{ n", ".a", " }}"),
            ("{{ n", "()", " }}"),
            ("{{ n", "**n", " }}"),
            ("{{ 1", " if 1 else 1", " }}"),
            ("{% if 1 %}", "{% elif 1 %}", "{% endif %}"),
            ("{{ ", "n|d(", " }}"),
            ("{{ ", "[", " }}"),
        ] {
            survives(before, unit, after);
        }
        // As deep as the parser lets them be.
        let filters = format!("{{{{ {}n{} }}}}", "n|d(".repeat(140), ")".repeat(140));
        survives("", &filters, "");
    }

    #[test]
    fn no_value_that_a_template_builds_overflows_a_stack() {
        let nested = format!("{{%set x={}x{}%}}", "[".repeat(70), "]".repeat(70));
        survives("{%set x=1%}", &nested, "{{ x }}{{ x|json }}");
        survives("{{ [n]", "|batch(1)", " }}");
        for grows in ["{% set a = namespace() %}{% set a.b = a %}{{ a }}", "{{ namespace() }}"] {
            assert!(Template::compile(grows).is_err(), "{grows}");
        }
    }

    #[test]
    fn a_template_that_is_too_long_says_how_long_it_may_be() {
        let reason = Template::compile(&"a".repeat(MAX_SOURCE + 1)).unwrap_err().reason;
        assert!(reason.contains("at most 16384 bytes, this has 16385"), "{reason}");
        assert!(Template::compile(&"a".repeat(MAX_SOURCE)).is_ok());
    }

    #[test]
    fn nothing_can_be_included() {
        for text in ["{% include 'x' %}", "{% extends 'x' %}", "{% import 'x' as y %}"] {
            assert!(Template::compile(text).and_then(|template| template.render(context! {})).is_err(), "{text}");
        }
    }
}
