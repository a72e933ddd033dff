//! Paths with values in them, which never lead out of their place.

use minijinja::Value;

use crate::mapping::{Form, Template, TemplateError};

/// A path with `{{ … }}` in it, and perhaps a query.
#[derive(Debug, Clone)]
pub(super) struct Path(Template);

impl Path {
    /// Compiles a path.
    ///
    /// # Errors
    /// What is wrong with the template.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err("expected a path that begins with `/`".to_owned());
        }
        Template::compile_as(text, Form::Segment).map(Self).map_err(|error| error.reason)
    }

    /// The names that it takes.
    pub(super) fn names(&self) -> &[String] {
        self.0.names()
    }

    /// The path with its values. Each value stays within its segment; none of them can be empty, and together they never
    /// make a segment that climbs.
    ///
    /// # Errors
    /// Why these values make no path, without the values.
    pub(super) fn fill(&self, context: Value) -> Result<String, TemplateError> {
        let path = self.0.render(context)?;
        let refused = |reason: &str| Err(TemplateError { reason: reason.to_owned() });
        // What a URL parser drops or takes for a slash can only stand in the template itself: values are encoded.
        if path.contains(|c: char| c.is_control() || c.is_whitespace() || matches!(c, '\\' | '#')) {
            return refused("the path holds a character that no path can");
        }
        let (segments, _query) = path.split_once('?').unwrap_or((&path, ""));
        let climbs = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
        if segments.split('/').any(climbs) {
            return refused("a value climbs out of its place in the path");
        }
        Ok(path)
    }
}
