//! Putting a model's statement together: quoting names and wrapping the model as a subselect.

use super::{ModelBody, ModelQuery, SourceError};

/// An identifier in double quotes, as standard SQL has it. `None` when it is empty or holds a NUL, which no database stores.
pub(super) fn quote(name: &str) -> Option<String> {
    quoted(name, '"')
}

/// An identifier in backticks, as MySQL has it whatever its mode.
pub(super) fn backtick(name: &str) -> Option<String> {
    quoted(name, '`')
}

fn quoted(name: &str, mark: char) -> Option<String> {
    let doubled = || name.replace(mark, &format!("{mark}{mark}"));
    (!name.is_empty() && !name.contains('\0')).then(|| format!("{mark}{}{mark}", doubled()))
}

/// The model as one statement without a closing semicolon, and with its flags if it has any. `quote` quotes an identifier.
pub(super) fn body(query: &ModelQuery, quote: fn(&str) -> Option<String>) -> Result<String, SourceError> {
    Ok(with_flags(query, bare(query, quote)?))
}

/// A bare statement with the query's flags as further columns.
pub(super) fn with_flags(query: &ModelQuery, bare: String) -> String {
    if query.flags.is_empty() {
        return bare;
    }
    let flag = |(at, flag)| format!("case when (\n{flag}\n) then 1 else 0 end as syncline_flag_{at}");
    let flags: Vec<String> = query.flags.iter().enumerate().map(flag).collect();
    format!("select m.*, {} from (\n{bare}\n) as m", flags.join(", "))
}

fn bare(query: &ModelQuery, quote: fn(&str) -> Option<String>) -> Result<String, SourceError> {
    match &query.body {
        ModelBody::Sql(sql) => {
            let sql = sql.trim_end();
            Ok(sql.strip_suffix(';').unwrap_or(sql).to_owned())
        }
        ModelBody::Table(name) => {
            let parts: Option<Vec<_>> = name.split('.').map(quote).collect();
            let parts =
                parts.ok_or_else(|| refused(query, format!("`{}` is not a table name", name.escape_debug())))?;
            Ok(format!("select * from {}", parts.join(".")))
        }
    }
}

/// `select COLUMNS from (BODY) as m [where (FILTER) [and (AFTER)]] [order by ORDER]`, where `after` is the condition of the
/// query's cursor. Line breaks keep a trailing `--` comment of the model or the filter from swallowing what follows.
pub(super) fn wrap(columns: &str, body: &str, filter: Option<&str>, after: Option<&str>, order: &[String]) -> String {
    let mut sql = format!("select {columns} from (\n{body}\n) as m");
    for (at, condition) in filter.into_iter().chain(after).enumerate() {
        sql.push_str(if at == 0 { "\nwhere (\n" } else { "\nand (\n" });
        sql.push_str(condition);
        sql.push_str("\n)");
    }
    if !order.is_empty() {
        sql.push_str("\norder by ");
        sql.push_str(&order.join(", "));
    }
    sql
}

/// The statement was refused, with the reason.
pub(super) fn refused(query: &ModelQuery, reason: impl Into<String>) -> SourceError {
    SourceError::Statement { model: query.name.clone(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn query(body: ModelBody) -> ModelQuery {
        ModelQuery {
            name: "m".into(),
            body,
            filter: None,
            primary_key: vec!["id".into()],
            key_kinds: None,
            after: None,
            flags: Vec::new(),
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quote("a\"b`").as_deref(), Some("\"a\"\"b`\""));
        assert_eq!(backtick("a`\"b").as_deref(), Some("`a``\"b`"));
        assert_eq!(quote("a\0b"), None);
        assert_eq!(quote(""), None);
    }

    #[test]
    fn a_table_is_selected_by_its_quoted_name() {
        let table = |name: &str| body(&query(ModelBody::Table(name.into())), quote);
        assert_eq!(table("public.Users").unwrap(), "select * from \"public\".\"Users\"");
        assert_eq!(table("x; drop table y").unwrap(), "select * from \"x; drop table y\"");
        assert!(table("a..b").is_err());
        assert!(table("a\0b").is_err());
    }

    #[test]
    fn comments_and_a_semicolon_do_no_harm() {
        let sql = body(&query(ModelBody::Sql("select 1 as id;\n".into())), quote).unwrap();
        assert_eq!(sql, "select 1 as id");
        let wrapped =
            wrap("*", "select 1 as id -- all", Some("id > 0 -- some"), Some("m.\"id\" >= 7"), &["m.\"id\"".into()]);
        assert_eq!(
            wrapped,
            "select * from (\nselect 1 as id -- all\n) as m\nwhere (\nid > 0 -- some\n)\nand (\nm.\"id\" >= 7\n)\norder by m.\"id\""
        );
    }
}
