//! Hidden files and how they become visible. Everything here blocks.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufReader, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use super::{
    pattern::{Pattern, hidden, numbered},
    scan::whole,
};
use crate::model::spec::FileFormat;

/// Names that are tried for a file whose own is taken.
const MAX_NUMBER: u32 = 10_000;

/// A file that is still written. Locked, so that no other process takes it for one that a crash has left.
#[derive(Debug)]
pub(super) struct Partial {
    file: File,
    folder: PathBuf,
    name: String,
    /// Bytes that are whole and on disk.
    good: u64,
    /// There may be more behind them.
    torn: bool,
}

impl Partial {
    /// A new hidden file that will be called `name`. One that a crash has left under this name is published first.
    ///
    /// # Errors
    /// When folder or file cannot be made.
    pub(super) fn create(folder: &Path, name: &str, format: FileFormat) -> io::Result<Self> {
        make_folder(folder)?;
        let path = folder.join(hidden(name));
        loop {
            recover(folder, name, format)?;
            let file = match OpenOptions::new().write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(io::Error::other("another process writes the file of this run"));
                }
                file => file?,
            };
            file.lock()?;
            // Between its making and its lock another process may have taken it for one that a crash has left.
            if is_file(&path)? {
                sync_folder(folder)?;
                return Ok(Self { file, folder: folder.to_owned(), name: name.to_owned(), good: 0, torn: false });
            }
        }
    }

    /// True while nothing has been written.
    pub(super) const fn is_empty(&self) -> bool {
        self.good == 0
    }

    /// Writes behind what is there and waits until it is on disk.
    ///
    /// # Errors
    /// When that fails: then nothing of it will be published.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.good)?;
        }
        self.torn = true;
        self.file.seek(SeekFrom::Start(self.good))?;
        self.file.write_all(bytes)?;
        self.file.sync_data()?;
        self.good += bytes.len() as u64;
        self.torn = false;
        Ok(())
    }

    /// Gives the file its name, or removes it when nothing is in it.
    ///
    /// # Errors
    /// When that fails: then the hidden file stays for the next run.
    pub(super) fn publish(&self) -> io::Result<()> {
        let path = self.folder.join(hidden(&self.name));
        if self.is_empty() {
            fs::remove_file(&path)?;
            return sync_folder(&self.folder);
        }
        if self.torn {
            self.file.set_len(self.good)?;
        }
        self.file.sync_all()?;
        fs::rename(&path, self.folder.join(free_name(&self.folder, &self.name)?))?;
        sync_folder(&self.folder)
    }
}

/// Publishes what crashes have left of an object's files.
///
/// # Errors
/// When a file cannot be published; it stays for the next run.
pub(super) fn recover_all(pattern: &Pattern, object: &str, format: FileFormat) -> io::Result<()> {
    let folder = pattern.folder(object);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?.file_name();
        if let Some(name) = entry.to_str().and_then(|hidden| pattern.name_of_hidden(object, hidden)) {
            recover(&folder, &name, format)?;
        }
    }
    Ok(())
}

/// Publishes the hidden file that will be called `name`, unless it does not exist or is still written.
fn recover(folder: &Path, name: &str, format: FileFormat) -> io::Result<()> {
    let path = folder.join(hidden(name));
    let file = match OpenOptions::new().read(true).write(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Another process may have published it before the lock was free.
    if !is_file(&path)? {
        return Ok(());
    }
    let whole = whole(BufReader::new(&file), format)?;
    let good = if whole.rows == 0 { 0 } else { whole.bytes };
    Partial { file, folder: folder.to_owned(), name: name.to_owned(), good, torn: true }.publish()
}

fn is_file(path: &Path) -> io::Result<bool> {
    path.try_exists()
}

/// The name itself, or with a number when it is taken: nothing that is published is ever overwritten.
fn free_name(folder: &Path, name: &str) -> io::Result<String> {
    let mut candidate = name.to_owned();
    for number in 2..MAX_NUMBER {
        if !is_file(&folder.join(&candidate))? {
            return Ok(candidate);
        }
        candidate = numbered(name, number);
    }
    Err(io::Error::other("all names of this file are taken"))
}

/// Makes a folder and those above it, each durably.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().unwrap_or(Path::new(""));
    make_folder(above)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made.and_then(|()| sync_folder(above)),
    }
}

/// Makes the entries of a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}
