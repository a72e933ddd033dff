//! What the demo plays on: a folder, a warehouse, a simulated HubSpot, and a configuration for them.

use std::{
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{super::context::ConfiguredSecrets, audit::Contact};
use crate::{
    clock::Clock,
    config::{self, Environment, Loaded, SecretReader},
    model::spec::TextSpec,
    run::{Engine, EngineParts, RunReport, Trigger},
    shutdown::Shutdown,
    simulator::{HubSpotOptions, SampleWarehouse, Simulator, VendorConfig, Window},
    state::{Access, Location, OpenOptions, State},
};

/// The demo's only sync.
pub(super) const SYNC: &str = "customers-to-crm";
/// The object that it writes.
const OBJECT: &str = "contacts";
/// Customers at the start.
pub(super) const CUSTOMERS: u32 = 10_000;
/// The token that the simulator demands.
const TOKEN: &str = "simulated-token";
/// HubSpot's real window with ten times the requests, so that nobody waits for a quota.
pub(super) const LIMIT: Window = Window { requests: 1_000, per: Duration::from_secs(10) };

/// Everything that the demo plays on.
pub(super) struct Stage {
    folder: Folder,
    pub(super) warehouse: SampleWarehouse,
    simulator: Simulator,
    /// Where the simulator listens.
    pub(super) address: String,
    /// The configuration file's text.
    pub(super) configuration: String,
    loaded: Loaded,
    shutdown: Shutdown,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

/// The demo's folder.
enum Folder {
    Kept(PathBuf),
    Temporary(TempDir),
}

/// What the simulator saw during one command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Traffic {
    /// All requests.
    pub(super) total: u64,
    /// Batches that create or update by match.
    pub(super) upserts: u64,
    /// Batches that update records of known ids.
    pub(super) updates: u64,
    /// Batches that archive records.
    pub(super) archives: u64,
}

/// A row that the destination refused, as `syncline rejected` shows it.
#[derive(Serialize)]
pub(super) struct Rejected {
    pub(super) key: String,
    pub(super) code: String,
    pub(super) message: String,
}

impl Stage {
    /// Fills a folder and starts the simulator.
    pub(super) async fn set(keep: Option<PathBuf>, shutdown: Shutdown) -> anyhow::Result<Self> {
        let folder = Folder::open(keep)?;
        let root = folder.path();
        let warehouse = SampleWarehouse::create(&root.join("warehouse.db"), CUSTOMERS).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot listen on loopback")?;
        let address = format!("http://{}", listener.local_addr()?);
        let simulator = Simulator::new(hubspot()?);
        let serving = tokio::spawn(simulator.clone().serve(listener, Shutdown::new()));
        write_token(&root.join("token"))?;
        let configuration = configuration(root, &address);
        let folder_of_configuration = root.join("config");
        std::fs::create_dir(&folder_of_configuration)?;
        std::fs::write(folder_of_configuration.join("syncline.toml"), &configuration)?;
        // The process's own variables are left out: they belong to a real installation.
        let loaded = config::load(&[folder_of_configuration], &Environment::default())?;
        Ok(Self { folder, warehouse, simulator, address, configuration, loaded, shutdown, serving })
    }

    /// The demo's folder.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Whether the folder stays.
    pub(super) const fn is_kept(&self) -> bool {
        matches!(self.folder, Folder::Kept(_))
    }

    /// What `syncline sync` does: opens the state, runs the sync once, closes. Answers the run and what HubSpot saw.
    pub(super) async fn sync(&self) -> anyhow::Result<(RunReport, Traffic)> {
        self.simulator.reset_requests();
        let state = self.open(Access::Runner).await?;
        let engine = Engine::new(EngineParts {
            specs: self.loaded.specs.clone(),
            scheduler: self.loaded.settings.scheduler.clone(),
            state: state.clone(),
            secrets: Arc::new(ConfiguredSecrets(SecretReader::default())),
            spool_dir: self.path().to_owned(),
            clock: Clock::system(),
            shutdown: self.shutdown.clone(),
        });
        let report = engine.run_sync(SYNC, Trigger::Command).await;
        drop(engine);
        state.close().await?;
        if self.shutdown.is_cancelled() {
            bail!("the demo was stopped");
        }
        Ok((report, self.traffic()))
    }

    /// What `syncline rejected` does: the rejected rows, with the destination's words unsealed.
    pub(super) async fn rejected(&self) -> anyhow::Result<Vec<Rejected>> {
        const ALL: u32 = 100;
        let state = self.open(Access::Reader).await?;
        let sync = state.sync(SYNC).await?.with_context(|| format!("the state knows no sync `{SYNC}`"))?;
        let mut rows = Vec::new();
        for (key, mark) in state.rejected(sync.id, None, ALL).await? {
            let message = String::from_utf8_lossy(&state.unseal("message", &mark.sealed_message)?).into_owned();
            rows.push(Rejected { key: key.to_text().unwrap_or_default(), code: mark.code, message });
        }
        state.close().await?;
        Ok(rows)
    }

    /// All contacts that the simulator holds, archived ones too.
    pub(super) fn contacts(&self) -> anyhow::Result<Vec<Contact>> {
        let records = self.simulator.records(OBJECT).map_err(anyhow::Error::msg)?;
        Ok(serde_json::from_str(&records)?)
    }

    /// Contacts that are not archived.
    pub(super) fn live(&self) -> u64 {
        number(&self.simulator.report(), &format!("/objects/{OBJECT}/live"))
    }

    /// Contacts that were ever created.
    pub(super) fn created(&self) -> u64 {
        number(&self.simulator.report(), &format!("/objects/{OBJECT}/created_total"))
    }

    async fn open(&self, access: Access) -> anyhow::Result<State> {
        let TextSpec::Plain(url) = &self.loaded.settings.state.url else { bail!("the demo's state has a plain path") };
        let location = Location::Sqlite(PathBuf::from(url.strip_prefix("sqlite://").unwrap_or(url)));
        let environment = self.loaded.specs.environment.clone();
        Ok(State::open(OpenOptions { environment, ..OpenOptions::new(location, access) }).await?)
    }

    fn traffic(&self) -> Traffic {
        let report = self.simulator.report();
        let batches = |action: &str| {
            // A JSON pointer writes `/` inside a name as `~1`.
            let endpoint = format!("POST /crm/v3/objects/{OBJECT}/batch/{action}").replace('/', "~1");
            number(&report, &format!("/requests/by_endpoint/{endpoint}/total"))
        };
        Traffic {
            total: number(&report, "/requests/total"),
            upserts: batches("upsert"),
            updates: batches("update"),
            archives: batches("archive"),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Folder {
    fn open(keep: Option<PathBuf>) -> anyhow::Result<Self> {
        let Some(path) = keep else {
            return Ok(Self::Temporary(tempfile::Builder::new().prefix("syncline-demo-").tempdir()?));
        };
        let shown = path.display();
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make the folder `{shown}`"))?;
        let empty = std::fs::read_dir(&path)?.next().is_none();
        ensure!(empty, "got the folder `{shown}` with files in it, expected a new or empty one");
        Ok(Self::Kept(path.canonicalize()?))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

/// A portal that knows the plans and the revenue of customers.
fn hubspot() -> anyhow::Result<VendorConfig> {
    let properties = ["plan:enumeration(free|team|business)", "mrr:number"];
    let properties = properties.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let mut vendor = VendorConfig::hubspot(HubSpotOptions { properties, ..HubSpotOptions::default() });
    vendor.common.limits = vec![LIMIT];
    vendor.common.token = Some(TOKEN.to_owned());
    Ok(vendor)
}

fn write_token(path: &Path) -> anyhow::Result<()> {
    std::fs::write(path, TOKEN)?;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?)
}

fn configuration(root: &Path, address: &str) -> String {
    let file = |name: &str| root.join(name).display().to_string();
    let quoted = |text: String| toml::Value::String(text).to_string();
    let (state, warehouse) = (quoted(format!("sqlite://{}", file("state.db"))), quoted(file("warehouse.db")));
    let (token, requests, seconds) = (quoted(file("token")), LIMIT.requests, LIMIT.per.as_secs());
    format!(
        r#"[state]
url = {state}

[sources.warehouse]
type = "sqlite"
path = {warehouse}

[models.customers]
source = "warehouse"
primary_key = "id"
sql = """
select id, email, first_name, last_name, company, plan, mrr_cents / 100.0 as mrr
from customers
where status = 'active'
"""

[destinations.crm]
type = "hubspot"
token = {{ file = {token} }}
base_url = "{address}"
allow_private = ["127.0.0.1/32"]
limits = {{ requests = {requests}, per = "{seconds}s" }}

[syncs.{SYNC}]
model = "customers"
destination = "crm"
object = "{OBJECT}"
match = "email"
mode = "mirror"
first_run = "backfill"

[syncs.{SYNC}.fields]
email = "email"
firstname = "first_name"
lastname = "last_name"
company = {{ column = "company", when_null = "clear" }}
plan = {{ column = "plan", when_null = "clear" }}
mrr = {{ column = "mrr", as = "decimal", scale = 2 }}
"#
    )
}

fn number(report: &Value, pointer: &str) -> u64 {
    report.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_configuration_is_valid_and_the_folder_goes() {
        let stage = Stage::set(None, Shutdown::new()).await.unwrap();
        let path = stage.path().to_owned();
        assert_eq!(stage.loaded.warnings, []);
        assert_eq!(stage.loaded.specs.syncs.len(), 1);
        assert_eq!((stage.live(), stage.traffic()), (0, Traffic::default()));
        drop(stage);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_with_files_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Folder::open(Some(folder.path().join("new"))), Ok(Folder::Kept(_))));
        assert!(Folder::open(Some(folder.path().to_owned())).is_err());
    }
}
