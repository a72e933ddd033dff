//! What can go wrong with a temporary file.

use std::{io, path::PathBuf};

/// A temporary file failed. The run cannot go on; nothing of the state is concerned.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file cannot be made.
    #[error("cannot create a temporary file in `{}`", dir.display())]
    Create {
        /// The data directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The disk or the quota is full.
    #[error("no space left for a temporary file in `{}`", dir.display())]
    Full {
        /// The data directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another write error.
    #[error("cannot write a temporary file in `{}`", dir.display())]
    Write {
        /// The data directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A read error.
    #[error("cannot read a temporary file")]
    Read {
        /// Why.
        source: io::Error,
    },
    /// What was read is not what was written.
    #[error("a temporary file is damaged at byte {offset}")]
    Damaged {
        /// Position of the damaged block.
        offset: u64,
    },
    /// A record is not in the form in which it was written.
    #[error("a record of a temporary file cannot be decoded")]
    Undecodable,
}

impl SpoolError {
    /// What an operator can do about it.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Create { .. } | Self::Full { .. } | Self::Write { .. } => {
                Some("check that folder: free space, permissions; the next run plans again")
            }
            Self::Read { .. } | Self::Damaged { .. } => {
                Some("check the disk of the state's folder; the next run plans again")
            }
            Self::Undecodable => None,
        }
    }

    pub(super) fn from_write(dir: &std::path::Path, source: io::Error) -> Self {
        let dir = dir.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { dir, source },
            _ => Self::Write { dir, source },
        }
    }
}
