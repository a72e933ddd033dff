//! Hidden files and how they become visible. Everything here blocks.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{
    pattern::{hidden, numbered},
    scan::{format_of, whole},
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
            recover(folder, name, Some(format))?;
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
        self.link(&path)?;
        fs::remove_file(&path)?;
        sync_folder(&self.folder)
    }

    /// Gives the hidden file its visible name, or that with a number when it is taken: nothing that is published is ever
    /// overwritten, whoever makes it meanwhile.
    fn link(&self, path: &Path) -> io::Result<()> {
        let own = self.file.metadata()?;
        let mut name = self.name.clone();
        for number in 2..MAX_NUMBER {
            let target = self.folder.join(&name);
            match fs::hard_link(path, &target) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                linked => return linked,
            }
            // A crash fell between the link and the removal of the hidden name.
            if fs::symlink_metadata(&target).is_ok_and(|it| (it.dev(), it.ino()) == (own.dev(), own.ino())) {
                return Ok(());
            }
            name = numbered(&self.name, number);
        }
        Err(io::Error::other("all names of this file are taken"))
    }
}

/// Publishes the hidden file that will be called `name`, unless it does not exist or is still written. Its first row tells
/// its format, else it is `format`.
///
/// # Errors
/// When the file cannot be published, also because its format is not known; it stays for the next run.
pub(super) fn recover(folder: &Path, name: &str, format: Option<FileFormat>) -> io::Result<()> {
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
    let mut start = Vec::new();
    (&file).take(64).read_to_end(&mut start)?;
    // Empty: a crash before the first row, or a file whose maker has not locked it yet.
    if start.is_empty() && format.is_none() {
        return Ok(());
    }
    let Some(format) = format_of(&start).or(format) else { return Err(unknown_format(&path)) };
    (&file).rewind()?;
    let whole = whole(BufReader::new(&file), format)?;
    let good = if whole.rows == 0 { 0 } else { whole.bytes };
    Partial { file, folder: folder.to_owned(), name: name.to_owned(), good, torn: true }.publish()
}

fn unknown_format(path: &Path) -> io::Error {
    io::Error::other(format!("an interrupted run has left `{}`, which is in no known format", path.display()))
}

fn is_file(path: &Path) -> io::Result<bool> {
    path.try_exists()
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
