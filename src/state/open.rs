//! Opening the state: lock, files, key and labels.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use secrecy::SecretString;

use super::{
    StateError,
    keyring::{self, Keyring},
    lease::DEFAULT_LEASE,
    postgres, sqlite,
    store::{StateStore, Write},
};
use crate::{clock::Clock, proof};

/// Where the state is.
#[derive(Debug, Clone)]
pub enum Location {
    /// In a file, of one process at a time.
    Sqlite(PathBuf),
    /// In the schema `syncline` of a PostgreSQL database, of any number of processes.
    Postgres {
        /// `postgres://USER@HOST:PORT/DATABASE`, with `sslmode` and the like as parameters.
        url: SecretString,
        /// The folder of this host's files beside the state.
        folder: PathBuf,
    },
}

impl Location {
    /// For messages: the file, or the database's address without credentials.
    pub fn label(&self) -> PathBuf {
        match self {
            Self::Sqlite(path) => path.clone(),
            Self::Postgres { url, .. } => postgres::address(url).unwrap_or_else(|_| "postgres://…".to_owned()).into(),
        }
    }

    /// Files beside the state are named after this one.
    fn side(&self) -> PathBuf {
        match self {
            Self::Sqlite(path) => path.clone(),
            Self::Postgres { folder, .. } => folder.join("syncline"),
        }
    }
}

/// How the state is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Where it is.
    pub location: Location,
    /// The installation key, at least 32 characters; `None`: the file `FILE.key` beside an SQLite file, made (0600) with
    /// the state.
    pub key: Option<SecretString>,
    /// The configuration's environment label; `None` asks for no particular one.
    pub environment: Option<String>,
    /// What for.
    pub access: Access,
    /// The wall clock.
    pub clock: Clock,
    /// How long a lease lasts unless it is renewed. Leases matter where several processes can run syncs.
    pub lease: Duration,
}

impl OpenOptions {
    /// With the system's clock, a lease of [`DEFAULT_LEASE`], no environment and no key.
    pub fn new(location: Location, access: Access) -> Self {
        Self { location, key: None, environment: None, access, clock: Clock::system(), lease: DEFAULT_LEASE }
    }
}

/// What the state is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Runs syncs: takes the lock, makes or upgrades the file, starts the writer.
    Runner,
    /// Reads, and posts operator requests, beside a daemon.
    Reader,
}

const ENVIRONMENT: &str = "environment";
const KEY_CHECK: &str = "key_check";
const IDENTITY: &str = "state_id";
/// The ids that the state had before it was restored, one after the other.
const FORMER: &str = "former_state_ids";
/// [`StateStore::origin`] when the state was made.
const ORIGIN: &str = "origin";

/// How long a lock that is held may be a mere look at it.
const LOCK_PATIENCE: Duration = Duration::from_millis(50);
/// An opened store and what belongs to it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) store: Arc<dyn StateStore>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) mark: Mark,
    /// The store is older than its mark, or another one.
    pub(super) behind: bool,
    /// Held while the process runs syncs.
    pub(super) lock: Option<File>,
}

pub(super) async fn open(options: &OpenOptions) -> Result<Opened, StateError> {
    let (store, keyring, lock) = match &options.location {
        Location::Sqlite(path) => open_sqlite(path, options).await?,
        Location::Postgres { url, folder } => open_postgres(url, folder, options).await?,
    };
    let Labels { identity, moved } = check_labels(store.as_ref(), &keyring, options).await?;
    let mut mark = Mark::new(beside(&options.location.side(), ".mark"), identity);
    let former = store.meta(FORMER).await?.unwrap_or_default();
    let ahead = mark.is_ahead_of(store.commit_count().await?, &former)?;
    let behind = moved || (ahead && !proof::is_broken(proof::Rule::HighWaterMark));
    if behind && options.access == Access::Runner {
        mark.identity = begin_anew(store.as_ref(), former, &mark.identity).await?;
    }
    // Before that, another process could take the same restored state for one that it has to begin anew too.
    if options.access == Access::Runner {
        store.opened().await?;
    }
    Ok(Opened { store, keyring: Arc::new(keyring), mark, behind, lock })
}

type Parts = (Arc<dyn StateStore>, Keyring, Option<File>);

async fn open_sqlite(path: &Path, options: &OpenOptions) -> Result<Parts, StateError> {
    let lock = match options.access {
        Access::Runner => Some(take_lock_patiently(path).await?),
        Access::Reader => None,
    };
    let fresh = prepare_file(path, options.access)?;
    let key = keyring::load(options.key.as_ref(), path, fresh)?;
    let keyring = Keyring::new(&key)?;
    let store = sqlite::open(path, options.access, options.clock.now()).await.map_err(|error| error.at(path))?;
    Ok((Arc::new(store), keyring, lock))
}

async fn open_postgres(url: &SecretString, folder: &Path, options: &OpenOptions) -> Result<Parts, StateError> {
    let key = keyring::given(options.key.as_ref().ok_or(StateError::NoKey)?)?;
    let keyring = Keyring::new(&key)?;
    if options.access == Access::Runner {
        std::fs::create_dir_all(folder).map_err(StateError::io("make the folder", folder))?;
    }
    let had_one = beside(&options.location.side(), ".mark").exists();
    Ok((Arc::new(postgres::open(url, options.access, had_one).await?), keyring, None))
}

/// Whether a process holds the lock of this state.
pub(super) fn is_locked(state: &Path) -> bool {
    let file = private().open(beside(state, ".lock"));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Takes the lock, asking twice: another command may be looking whether somebody holds it ([`is_locked`]).
async fn take_lock_patiently(state: &Path) -> Result<File, StateError> {
    match take_lock(state) {
        Err(StateError::Locked { .. }) => {
            tokio::time::sleep(LOCK_PATIENCE).await;
            take_lock(state)
        }
        taken => taken,
    }
}

/// The OS drops the lock with the process, however it ends.
fn take_lock(state: &Path) -> Result<File, StateError> {
    let path = beside(state, ".lock");
    if let Some(folder) = state.parent() {
        std::fs::create_dir_all(folder).map_err(StateError::io("make the folder", folder))?;
    }
    let file =
        private().create(true).truncate(false).open(&path).map_err(StateError::io("open the lock file", &path))?;
    match file.try_lock() {
        Ok(()) => {
            // What stands there is of the last process; this one says what it does with `State::announce`.
            file.set_len(0).map_err(StateError::io("empty the lock file", &path))?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => Err(StateError::Locked { path }),
        Err(TryLockError::Error(error)) => Err(StateError::io("lock", path)(error)),
    }
}

/// Makes a missing file. True when the state is new. The file is never opened here once SQLite may have it open:
/// closing a second handle drops SQLite's locks (<https://sqlite.org/howtocorrupt.html> 2.2).
fn prepare_file(path: &Path, access: Access) -> Result<bool, StateError> {
    let bytes = match std::fs::metadata(path) {
        Ok(metadata) => Some(metadata.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(StateError::io("look at", path)(error)),
    };
    let fresh = bytes.unwrap_or(0) == 0;
    if fresh && access == Access::Reader {
        return Err(StateError::Missing { path: path.to_owned() });
    }
    let mark = beside(path, ".mark");
    if fresh && mark.exists() {
        return Err(StateError::damaged(format!(
            "`{}` is missing or empty, though `{}` says that there was one; remove that file too to begin anew",
            path.display(),
            mark.display()
        )));
    }
    if bytes.is_none() {
        create_private(path).map_err(StateError::io("make the state file", path))?;
    }
    Ok(fresh)
}

/// What stands in the state about itself.
struct Labels {
    /// The state's own id.
    identity: Vec<u8>,
    /// It was made in another place than the one it is in now.
    moved: bool,
}

/// Compares key and labels with the store, or writes them into a new one.
async fn check_labels(store: &dyn StateStore, keyring: &Keyring, options: &OpenOptions) -> Result<Labels, StateError> {
    let mut writes = Vec::new();
    let check = keyring.check()?;
    match store.meta(KEY_CHECK).await? {
        Some(found) if found == check => {}
        Some(_) => return Err(StateError::WrongKey),
        None => writes.push(Write::PutMeta { name: KEY_CHECK, value: check }),
    }
    let found = store.meta(ENVIRONMENT).await?.map(|label| String::from_utf8_lossy(&label).into_owned());
    match (found, &options.environment) {
        (Some(found), Some(expected)) if found != *expected => {
            return Err(StateError::Environment { found, expected: expected.clone() });
        }
        (None, Some(label)) => writes.push(Write::PutMeta { name: ENVIRONMENT, value: label.clone().into_bytes() }),
        (Some(_) | None, _) => {}
    }
    let identity = match store.meta(IDENTITY).await? {
        Some(identity) => identity,
        None => {
            let identity = random()?.to_vec();
            writes.push(Write::PutMeta { name: IDENTITY, value: identity.clone() });
            identity
        }
    };
    let moved = match (store.meta(ORIGIN).await?, store.origin()) {
        (Some(before), Some(now)) => before != now.as_bytes(),
        (None, Some(now)) => {
            writes.push(Write::PutMeta { name: ORIGIN, value: now.as_bytes().to_vec() });
            false
        }
        (Some(_) | None, None) => false,
    };
    if options.access == Access::Runner && !writes.is_empty() {
        store.commit(writes).await?;
    }
    Ok(Labels { identity, moved })
}

/// A store that was restored, or lost writes, begins a line of its own: every sync is suspect and every key dirty until a
/// resync has confirmed it. With the new id the store that this one was a copy of counts as another one from now on, for it
/// does not know what is sent meanwhile. The ids before it are kept: the mark of another host, which still has one of them,
/// has nothing new to say.
async fn begin_anew(store: &dyn StateStore, former: Vec<u8>, last: &[u8]) -> Result<Vec<u8>, StateError> {
    let identity = random()?.to_vec();
    let mut writes = vec![
        Write::Resync { sync: None },
        Write::PutMeta { name: FORMER, value: [former.as_slice(), last].concat() },
        Write::PutMeta { name: IDENTITY, value: identity.clone() },
    ];
    if let Some(origin) = store.origin() {
        writes.push(Write::PutMeta { name: ORIGIN, value: origin.as_bytes().to_vec() });
    }
    store.commit(writes).await?;
    Ok(identity)
}

/// 128 random bits.
pub(super) fn random() -> Result<[u8; 16], StateError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| StateError::Contract("the system gives no randomness".to_owned()))?;
    Ok(bytes)
}

/// The high-water mark: a side file with the number of commits that the store once had.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    identity: Vec<u8>,
    /// The most commits that this process has seen.
    highest: tokio::sync::Mutex<i64>,
}

impl Mark {
    fn new(path: PathBuf, identity: Vec<u8>) -> Self {
        Self { path, identity, highest: tokio::sync::Mutex::new(i64::MIN) }
    }

    fn text(&self, commits: i64) -> String {
        format!("{} {commits}\n", hex(&self.identity))
    }

    /// True when the store has fewer commits than its mark, or is another one. `former`: ids that the store once had.
    fn is_ahead_of(&self, commits: i64, former: &[u8]) -> Result<bool, StateError> {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => {
                let id = text.split_whitespace().next().unwrap_or_default();
                if former.chunks(16).any(|former| hex(former) == id) {
                    return Ok(false);
                }
                let (own, theirs) = (self.text(commits), text);
                let count = |text: &str| text.split_whitespace().nth(1).and_then(|count| count.parse::<i64>().ok());
                let same = own.split_whitespace().next() == theirs.split_whitespace().next();
                Ok(!same || count(&theirs).is_none_or(|mark| mark > commits))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StateError::io("read the high-water mark", &self.path)(error)),
        }
    }

    /// Writes how far the store has come. The mark may lag behind the store, never be ahead of it.
    ///
    /// # Errors
    /// [`StateError::WentBack`] when this process has seen more commits in the store: the mark stays as it is then.
    pub(super) async fn follow(&self, store: &dyn StateStore) -> Result<(), StateError> {
        let mut highest = self.highest.lock().await;
        let found = store.commit_count().await?;
        if found < *highest {
            return Err(StateError::WentBack { found, had: *highest });
        }
        *highest = found;
        self.write(found)
    }

    /// Replaces the file whole, and durably: a mark that is cut short by a power failure would read as another store's.
    fn write(&self, commits: i64) -> Result<(), StateError> {
        use std::io::Write as _;
        // Processes on one host may share the folder.
        let random: [u8; 16] = random()?;
        let fresh =
            beside(&self.path, &format!(".{}-{}", std::process::id(), hex(random.get(..6).unwrap_or_default())));
        let written = create_private(&fresh).and_then(|mut file| {
            file.write_all(self.text(commits).as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&fresh, &self.path)?;
            sync_folder(&self.path)
        });
        if written.is_err() {
            remove_partial(&fresh);
        }
        written.map_err(StateError::io("write the high-water mark", &self.path))
    }
}

/// Makes the names in a file's folder durable.
pub(super) fn sync_folder(file: &Path) -> std::io::Result<()> {
    match file.parent() {
        #[cfg(unix)]
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        #[cfg(unix)]
        Some(_) => File::open(".")?.sync_all(),
        #[cfg(not(unix))]
        Some(_) => Ok(()),
        None => Ok(()),
    }
}

/// Removes a file that was not finished; it may be gone already, and the error before tells enough.
pub(super) fn remove_partial(file: &Path) {
    drop(std::fs::remove_file(file));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `path` with something appended to its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes a file that only the owner can read, whatever the umask.
pub(super) fn create_private(path: &Path) -> std::io::Result<File> {
    private().create_new(true).open(path)
}

fn private() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}
