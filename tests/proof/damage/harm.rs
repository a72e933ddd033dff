//! Ways to damage a state's files.

use std::{fs, path::Path};

use fastrand::Rng;
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

/// The state file in a data folder.
pub(super) const STATE: &str = "state.db";
/// What the small tables hold: a byte near one of them is more often one that matters than any byte of the file.
const LANDMARKS: &[&str] = &["rows-to-crm", "key_check", "state_id", "commit", "model_id", "interrupted", "{\"read\":"];

/// What is done to the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Harm {
    /// One to three bytes of the file become others.
    Bytes,
    /// The same within a few hundred bytes of what a small table holds.
    NearLandmark,
    /// One bit of such a byte.
    Bit,
    /// The file ends early.
    Truncated,
    /// The file ends early at the border of a page.
    TruncatedPages,
    /// A page is overwritten by another one.
    PageCopied,
    /// A page is full of zeros.
    PageZeroed,
    /// There is no `-wal` file.
    NoWal,
    /// Bytes of the `-wal` file become others.
    WalBytes,
    /// The `-wal` file ends early.
    WalTruncated,
    /// An older backup with its own high-water mark.
    OlderWithMark,
    /// An older backup beside the newer mark.
    Older,
    /// An older backup, and no mark.
    OlderNoMark,
    /// The file is empty.
    Empty,
    /// The file is gone.
    Gone,
    /// SQLite, but another application's.
    Foreign,
    /// Bytes of the mark become others.
    MarkBytes,
    /// Bytes of the key become others.
    KeyBytes,
    /// A sync has another random id: what a byte of it in its column can become without SQLite's notice.
    OtherId,
}

impl Harm {
    pub(super) const ALL: [Self; 19] = [
        Self::Bytes,
        Self::NearLandmark,
        Self::Bit,
        Self::Truncated,
        Self::TruncatedPages,
        Self::PageCopied,
        Self::PageZeroed,
        Self::NoWal,
        Self::WalBytes,
        Self::WalTruncated,
        Self::OlderWithMark,
        Self::Older,
        Self::OlderNoMark,
        Self::Empty,
        Self::Gone,
        Self::Foreign,
        Self::MarkBytes,
        Self::KeyBytes,
        Self::OtherId,
    ];

    /// Every kind once in `small` runs, then mostly bytes.
    pub(super) fn draw(number: u64, rng: &mut Rng) -> Self {
        match usize::try_from(number).ok().and_then(|number| Self::ALL.get(number)) {
            Some(harm) => *harm,
            None if rng.u32(0..10) < 7 => Self::ALL[rng.usize(..3)],
            None => Self::ALL[rng.usize(..Self::ALL.len())],
        }
    }

    /// Whether it is about the files of a process that was killed.
    pub(super) const fn needs_wal(self) -> bool {
        matches!(self, Self::NoWal | Self::WalBytes | Self::WalTruncated)
    }

    /// Damages the files of a data folder. `older`: the folder as it was before; `foreign`: another SQLite file.
    pub(super) fn inflict(self, folder: &Path, older: &Path, foreign: &Path, rng: &mut Rng) -> String {
        let (state, wal) = (folder.join(STATE), folder.join("state.db-wal"));
        let mark = folder.join("state.db.mark");
        let copy = |from: &Path, to: &Path| assert!(fs::copy(from, to).is_ok(), "a file to copy");
        let remove = |path: &Path| fs::remove_file(path).unwrap_or(());
        let alone = || ["state.db-wal", "state.db-shm"].iter().for_each(|name| remove(&folder.join(name)));
        match self {
            Self::Bytes => return edit(&state, |bytes| any_bytes(bytes, rng)),
            Self::NearLandmark => return edit(&state, |bytes| near_landmark(bytes, rng, false)),
            Self::Bit => return edit(&state, |bytes| near_landmark(bytes, rng, true)),
            Self::Truncated => return edit(&state, |bytes| cut(bytes, 1, rng)),
            Self::TruncatedPages => return edit(&state, |bytes| cut(bytes, 4096, rng)),
            Self::PageCopied => return edit(&state, |bytes| page(bytes, true, rng)),
            Self::PageZeroed => return edit(&state, |bytes| page(bytes, false, rng)),
            Self::NoWal => alone(),
            Self::WalBytes => return edit(&wal, |bytes| any_bytes(bytes, rng)),
            Self::WalTruncated => return edit(&wal, |bytes| cut(bytes, 1, rng)),
            Self::OlderWithMark | Self::Older | Self::OlderNoMark => {
                alone();
                copy(&older.join(STATE), &state);
                match self {
                    Self::OlderWithMark => copy(&older.join("state.db.mark"), &mark),
                    Self::OlderNoMark => remove(&mark),
                    _ => {}
                }
            }
            Self::Empty => {
                alone();
                fs::write(&state, b"").expect("the file can be written");
            }
            Self::Gone => {
                alone();
                remove(&state);
            }
            Self::Foreign => {
                alone();
                copy(foreign, &state);
            }
            Self::MarkBytes => return edit(&mark, |bytes| any_bytes(bytes, rng)),
            Self::KeyBytes => return edit(&folder.join("state.db.key"), |bytes| any_bytes(bytes, rng)),
            Self::OtherId => other_id(&state),
        }
        String::new()
    }
}

fn other_id(state: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
    runtime.block_on(async {
        let mut connection =
            SqliteConnectOptions::new().filename(state).connect().await.expect("the state can be opened");
        sqlx::query("update syncs set uuid = randomblob(16)").execute(&mut connection).await.expect("an update");
        connection.close().await.expect("the state can be closed");
    });
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>) -> String) -> String {
    let mut bytes = fs::read(path).expect("a file to damage");
    let done = change(&mut bytes);
    fs::write(path, bytes).expect("the file can be written");
    done
}

fn any_bytes(bytes: &mut [u8], rng: &mut Rng) -> String {
    let mut done = Vec::new();
    for _ in 0..rng.u32(1..=3) {
        let at = rng.usize(..bytes.len().max(1));
        if let Some(byte) = bytes.get_mut(at) {
            let (before, after) = (*byte, *byte ^ rng.u8(1..));
            *byte = after;
            done.push(format!("{at}: {before:02x} -> {after:02x}"));
        }
    }
    done.join(", ")
}

fn near_landmark(bytes: &mut [u8], rng: &mut Rng, bit: bool) -> String {
    let word = LANDMARKS[rng.usize(..LANDMARKS.len())].as_bytes();
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(word)).collect();
    let Some(place) = rng.choice(places) else { return any_bytes(bytes, rng) };
    // A sync's random id stands right behind its name.
    let reach = if rng.bool() { 20 } else { 200 };
    let at = (place + word.len() + reach).saturating_sub(rng.usize(..2 * reach)).min(bytes.len() - 1);
    let flip = if bit { 1 << rng.u8(..8) } else { rng.u8(1..) };
    bytes[at] ^= flip;
    format!("{at}: {:02x} -> {:02x}", bytes[at] ^ flip, bytes[at])
}

fn cut(bytes: &mut Vec<u8>, unit: usize, rng: &mut Rng) -> String {
    let length = rng.usize(..bytes.len().max(1)) / unit * unit;
    bytes.truncate(length);
    format!("to {length} bytes")
}

fn page(bytes: &mut [u8], from_another: bool, rng: &mut Rng) -> String {
    const PAGE: usize = 4096;
    let pages = (bytes.len() / PAGE).max(1);
    let (from, to) = (rng.usize(..pages), rng.usize(..pages));
    if from_another {
        bytes.copy_within(from * PAGE..(from + 1) * PAGE, to * PAGE);
    } else {
        bytes[to * PAGE..(to + 1) * PAGE].fill(0);
    }
    format!("page {} from {}", to + 1, if from_another { (from + 1).to_string() } else { "zeros".to_owned() })
}
