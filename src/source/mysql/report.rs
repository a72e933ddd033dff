//! What `check` says: the server's version, and warnings about an account that may do more than read.

use std::time::Duration;

use sqlx::Row;

use super::{
    errors,
    session::{Connector, Session, is_mariadb},
};
use crate::source::{SourceError, SourceReport};

/// How long looking at the rights may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn report(connector: &Connector) -> Result<SourceReport, SourceError> {
    let mut session = Session::open(connector, PATIENCE).await?;
    let rows = sqlx::raw_sql("show grants").fetch_all(&mut session.connection).await;
    let grants: Result<Vec<String>, _> =
        rows.and_then(|rows| rows.iter().map(|row| row.try_get_unchecked(0)).collect());
    let grants = grants.map_err(|error| errors::connect(&error))?;
    let server = if is_mariadb(&session.version) { "MariaDB" } else { "MySQL" };
    let server = format!("{server} {}", session.version);
    session.close().await;
    Ok(SourceReport { server, warnings: warnings(&grants) })
}

/// `grants` is what `show grants` says, one statement each. It may hold the hash of a password.
fn warnings(grants: &[String]) -> Vec<String> {
    let given: Vec<(&str, &str)> =
        grants.iter().filter_map(|grant| grant.strip_prefix("GRANT ")?.split_once(" ON ")).collect();
    let everywhere = |(rights, on): &(&str, &str)| {
        on.starts_with("*.*") && names(rights).any(|right| matches!(right, "ALL" | "ALL PRIVILEGES" | "SUPER"))
    };
    if given.iter().any(everywhere) {
        return vec![
            "The account may do everything on the server; one that may only read the models is safer.".to_owned(),
        ];
    }
    if given.iter().any(|(rights, _)| names(rights).any(writes)) {
        return vec!["The account may write to tables; one that may only read the models is safer.".to_owned()];
    }
    Vec::new()
}

/// The names of rights, without the lists of columns that some are limited to.
fn names(rights: &str) -> impl Iterator<Item = &str> {
    rights.split(',').filter_map(|right| right.split('(').next()).map(str::trim)
}

fn writes(right: &str) -> bool {
    matches!(
        right,
        "ALL" | "ALL PRIVILEGES" | "INSERT" | "UPDATE" | "DELETE" | "CREATE" | "ALTER" | "DROP" | "DELETE HISTORY"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(grants: &[&str]) -> usize {
        let warnings = warnings(&grants.iter().map(|&grant| grant.to_owned()).collect::<Vec<_>>());
        warnings.first().map_or(0, |warning| if warning.contains("everything") { 2 } else { 1 })
    }

    #[test]
    fn an_account_that_may_write_is_noticed() {
        let cases: &[(&[&str], usize)] = &[
            (&["GRANT USAGE ON *.* TO `u`@`%`", "GRANT SELECT, SHOW VIEW ON `d`.* TO `u`@`%`"], 0),
            (&["GRANT SELECT (`INSERT`, `b`) ON `d`.`t` TO `u`@`%`"], 0),
            (&["GRANT `reader`@`%` TO `u`@`%`"], 0),
            (&["GRANT SELECT, INSERT (`a`) ON `d`.`t` TO `u`@`%`"], 1),
            (&["GRANT ALL PRIVILEGES ON `d`.* TO `u`@`%`"], 1),
            (&["GRANT ALL PRIVILEGES ON *.* TO `u`@`%` WITH GRANT OPTION"], 2),
            (&["GRANT SELECT, SUPER ON *.* TO `u`@`%`"], 2),
        ];
        for (grants, expected) in cases {
            assert_eq!(warned(grants), *expected, "{grants:?}");
        }
    }
}
