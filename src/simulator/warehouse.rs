//! The demo's sample warehouse: an SQLite file with customers, and the things that happen to them.

use std::path::Path;

use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteQueryResult},
};

const TABLE: &str = "
    create table customers (
        id integer primary key,
        email text not null,
        first_name text not null,
        last_name text not null,
        company text,
        plan text,
        mrr_cents integer not null,
        status text not null
    )";

/// Every seventh address is written in capitals, which a CRM does not keep; some companies and plans are null.
const INSERT: &str = r#"
    with recursive
    lists(firsts, lasts) as (values (
        '["Ada","Björn","Chloé","Dmitri","Emma","Farid","Grace","Hana","İlker","João","Kenji","Lucía","Mei"]',
        '["Adams","Brown","Çelik","Dubois","Evans","Fischer","García","Hansen","Ito","Jensen","Kowalski"]')),
    numbers(n) as (select ?1 union all select n + 1 from numbers where n < ?2)
    insert into customers
    select n,
        case when n % 7 = 0 then 'CUSTOMER.' || n || '@Example.COM' else 'customer.' || n || '@example.com' end,
        json_extract(firsts, '$[' || (n % json_array_length(firsts)) || ']'),
        json_extract(lasts, '$[' || (n % json_array_length(lasts)) || ']'),
        case when n % 5 > 0 then 'Company ' || (n / 5) end,
        case n % 4 when 1 then 'free' when 2 then 'team' when 3 then 'business' end,
        n * 37 % 50000,
        'active'
    from numbers, lists"#;

/// The warehouse failed. Its text names no value.
#[derive(Debug, thiserror::Error)]
#[error("the sample warehouse cannot {action}")]
pub struct WarehouseError {
    action: &'static str,
    source: sqlx::Error,
}

/// An open sample warehouse.
pub struct SampleWarehouse {
    connection: SqliteConnection,
}

/// A row of `customers` that the demo's model returns.
pub struct SampleCustomer {
    /// The address, in any case.
    pub email: String,
    /// Never null.
    pub first_name: String,
    /// Never null.
    pub last_name: String,
    /// Null for every fifth customer.
    pub company: Option<String>,
    /// `free`, `team`, `business` or null.
    pub plan: Option<String>,
    /// Monthly revenue in cents.
    pub mrr_cents: i64,
}

impl std::fmt::Debug for SampleCustomer {
    /// Leaves the values out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SampleCustomer").finish_non_exhaustive()
    }
}

impl SampleWarehouse {
    /// Makes the file `path` with customers of the ids 1 to `customers`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub async fn create(path: &Path, customers: u32) -> Result<Self, WarehouseError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .disable_statement_logging();
        let connection = SqliteConnection::connect_with(&options).await;
        let connection = connection.map_err(|source| WarehouseError { action: "be opened", source })?;
        let mut warehouse = Self { connection };
        warehouse.execute("make its table", sqlx::query(TABLE)).await?;
        warehouse.add(1, customers).await?;
        Ok(warehouse)
    }

    /// Adds customers of the ids `first` to `last`.
    ///
    /// # Errors
    /// When the file cannot be written (so for all below).
    pub async fn add(&mut self, first: u32, last: u32) -> Result<u64, WarehouseError> {
        self.execute("add customers", sqlx::query(INSERT).bind(first).bind(last)).await
    }

    /// Raises the revenue of the customers whose id leaves `remainder` when divided by `divisor`.
    #[allow(clippy::missing_errors_doc)]
    pub async fn raise(&mut self, divisor: u32, remainder: u32) -> Result<u64, WarehouseError> {
        const SQL: &str = "update customers set mrr_cents = mrr_cents + 1050 where id % ?1 = ?2";
        self.execute("change customers", sqlx::query(SQL).bind(divisor).bind(remainder)).await
    }

    /// Gives some of them another address.
    #[allow(clippy::missing_errors_doc)]
    pub async fn readdress(&mut self, divisor: u32, remainder: u32) -> Result<u64, WarehouseError> {
        const SQL: &str = "update customers set email = 'new.' || email where id % ?1 = ?2";
        self.execute("change addresses", sqlx::query(SQL).bind(divisor).bind(remainder)).await
    }

    /// Removes the customers whose id leaves `remainder` when divided by `divisor`.
    #[allow(clippy::missing_errors_doc)]
    pub async fn remove(&mut self, divisor: u32, remainder: u32) -> Result<u64, WarehouseError> {
        const SQL: &str = "delete from customers where id % ?1 = ?2";
        self.execute("remove customers", sqlx::query(SQL).bind(divisor).bind(remainder)).await
    }

    /// Rewrites the status of every customer.
    #[allow(clippy::missing_errors_doc)]
    pub async fn set_status(&mut self, status: &str) -> Result<u64, WarehouseError> {
        self.execute("change the status", sqlx::query("update customers set status = ?1").bind(status)).await
    }

    /// Puts one customer on a plan.
    #[allow(clippy::missing_errors_doc)]
    pub async fn set_plan(&mut self, id: u32, plan: &str) -> Result<u64, WarehouseError> {
        let query = sqlx::query("update customers set plan = ?2 where id = ?1").bind(id).bind(plan);
        self.execute("change a plan", query).await
    }

    /// What the demo's model returns, read past Syncline.
    #[allow(clippy::missing_errors_doc)]
    pub async fn active(&mut self) -> Result<Vec<SampleCustomer>, WarehouseError> {
        const SQL: &str =
            "select email, first_name, last_name, company, plan, mrr_cents from customers where status = 'active'";
        let rows = sqlx::query_as(SQL).fetch_all(&mut self.connection).await;
        let rows = rows.map_err(|source| WarehouseError { action: "be read", source })?;
        let customer = |(email, first_name, last_name, company, plan, mrr_cents)| SampleCustomer {
            email,
            first_name,
            last_name,
            company,
            plan,
            mrr_cents,
        };
        Ok(rows.into_iter().map(customer).collect())
    }

    /// Runs a statement; answers how many rows it touched.
    async fn execute<'q>(
        &mut self,
        action: &'static str,
        query: sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<u64, WarehouseError> {
        let result = query.execute(&mut self.connection).await;
        result.map(|done: SqliteQueryResult| done.rows_affected()).map_err(|source| WarehouseError { action, source })
    }
}
