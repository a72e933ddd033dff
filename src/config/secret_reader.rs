//! Resolves references to secrets.

use std::{io, path::Path, process::Stdio, time::Duration};

use secrecy::SecretString;
use tokio::{fs::File, io::AsyncReadExt as _, process::Command};
use zeroize::Zeroizing;

use super::Environment;
use crate::model::spec::{SecretSpec, TextSpec};

/// A command must answer within this time.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest secret, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// Why a secret could not be read. Names the reference, never the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or is empty.
    #[error("environment variable `{name}` is not set or empty")]
    NotSet {
        /// The variable.
        name: String,
    },
    /// The file cannot be read.
    #[error("secret file `{path}` cannot be read")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file can be read by others than its owner.
    #[error("secret file `{path}` has mode {mode:04o}, expected 0600 or stricter")]
    Permissions {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The command cannot be run.
    #[error("secret command `{program}` cannot be run")]
    Command {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The command failed or took too long.
    #[error("secret command `{program}` {problem}")]
    CommandFailed {
        /// The program.
        program: String,
        /// What happened.
        problem: String,
    },
    /// Empty, too long or not UTF-8.
    #[error("the secret from {reference} {problem}")]
    Unusable {
        /// Where it came from.
        reference: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl SecretError {
    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::NotSet { name } => format!("set `{name}` in the environment of the daemon"),
            Self::File { .. } => "check that the file exists and that the daemon's user owns it".to_owned(),
            Self::Permissions { path, .. } => format!("chmod 600 {path}"),
            Self::Command { .. } | Self::CommandFailed { .. } => {
                "run the command as the daemon's user; it must print the secret within 30 seconds".to_owned()
            }
            Self::Unusable { .. } => "a secret is a UTF-8 text of at most 64 KiB, and not empty".to_owned(),
        }
    }
}

/// Reads secrets by reference. Files and commands are read again each time.
#[derive(Debug, Clone, Default)]
pub struct SecretReader {
    environment: Environment,
}

impl SecretReader {
    /// A reader that takes variables from `environment`.
    pub const fn new(environment: Environment) -> Self {
        Self { environment }
    }

    /// The secret as it is now, without one trailing newline.
    ///
    /// # Errors
    /// [`SecretError`] when it cannot be read, or when its file is readable by others than its owner.
    pub async fn read(&self, spec: &SecretSpec) -> Result<SecretString, SecretError> {
        match spec {
            SecretSpec::Env(name) => self
                .environment
                .get(name)
                .filter(|value| !value.is_empty())
                .map(SecretString::from)
                .ok_or_else(|| SecretError::NotSet { name: name.clone() }),
            SecretSpec::File(path) => text(read_file(path).await?, &format!("file `{}`", path.display())),
            SecretSpec::Command(words) => {
                let (program, arguments) = words.split_first().ok_or_else(|| SecretError::Unusable {
                    reference: "a command".to_owned(),
                    problem: "names no program",
                })?;
                text(run(program, arguments).await?, &format!("command `{program}`"))
            }
        }
    }

    /// A text that may be a secret.
    ///
    /// # Errors
    /// As [`SecretReader::read`].
    pub async fn text(&self, spec: &TextSpec) -> Result<SecretString, SecretError> {
        match spec {
            TextSpec::Plain(text) => Ok(SecretString::from(text.as_str())),
            TextSpec::Secret(secret) => self.read(secret).await,
        }
    }
}

async fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let name = path.display().to_string();
    let failed = |source| SecretError::File { path: name.clone(), source };
    // The opened file is asked, so that it cannot be exchanged between the question and the reading.
    let file = File::open(path).await.map_err(failed)?;
    let metadata = file.metadata().await.map_err(failed)?;
    if let Some(mode) = open_to_others(&metadata) {
        return Err(SecretError::Permissions { path: name, mode });
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).await.map_err(failed)?;
    Ok(bytes)
}

/// The permission bits when group or others have any.
#[cfg(unix)]
fn open_to_others(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
const fn open_to_others(_: &std::fs::Metadata) -> Option<u32> {
    None
}

async fn run(program: &str, arguments: &[String]) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let name = || program.to_owned();
    let failed = |problem: String| SecretError::CommandFailed { program: name(), problem };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What it complains about may hold the secret.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| SecretError::Command { program: name(), source })?;
    let mut bytes = Zeroizing::new(Vec::new());
    let answer = async {
        if let Some(stdout) = child.stdout.take() {
            stdout.take(MAX_BYTES + 1).read_to_end(&mut bytes).await?;
        }
        child.wait().await
    };
    let status = tokio::time::timeout(COMMAND_TIMEOUT, answer)
        .await
        .map_err(|_| failed(format!("did not answer within {} seconds", COMMAND_TIMEOUT.as_secs())))?
        .map_err(|source| SecretError::Command { program: name(), source })?;
    if status.success() { Ok(bytes) } else { Err(failed(format!("ended with {status}"))) }
}

fn text(bytes: Zeroizing<Vec<u8>>, reference: &str) -> Result<SecretString, SecretError> {
    let unusable = |problem| SecretError::Unusable { reference: reference.to_owned(), problem };
    if bytes.len() as u64 > MAX_BYTES {
        return Err(unusable("is longer than 64 KiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| unusable("is not valid UTF-8"))?;
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() {
        return Err(unusable("is empty"));
    }
    Ok(SecretString::from(line))
}

#[cfg(all(test, unix))]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use secrecy::ExposeSecret as _;

    use super::*;

    async fn read(spec: SecretSpec) -> Result<String, SecretError> {
        let reader = SecretReader::new(Environment::of([("TOKEN", "from-env"), ("EMPTY", "")]));
        reader.read(&spec).await.map(|secret| secret.expose_secret().to_owned())
    }

    fn command(words: &[&str]) -> SecretSpec {
        SecretSpec::Command(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[tokio::test]
    async fn environment() {
        assert_eq!(read(SecretSpec::Env("TOKEN".to_owned())).await.unwrap(), "from-env");
        for name in ["EMPTY", "ABSENT"] {
            let error = read(SecretSpec::Env(name.to_owned())).await.unwrap_err();
            assert!(matches!(error, SecretError::NotSet { .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn files_are_private_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        fs::write(&path, "first\n").unwrap();
        mode(0o644);
        let error = read(SecretSpec::File(path.clone())).await.unwrap_err();
        assert!(matches!(error, SecretError::Permissions { mode: 0o644, .. }), "{error}");
        assert!(!error.to_string().contains("first"));
        mode(0o600);
        assert_eq!(read(SecretSpec::File(path.clone())).await.unwrap(), "first");
        fs::write(&path, "second\r\n\n").unwrap();
        assert_eq!(read(SecretSpec::File(path.clone())).await.unwrap(), "second\r\n", "one newline is cut");
        fs::write(&path, "\n").unwrap();
        assert!(matches!(read(SecretSpec::File(path.clone())).await, Err(SecretError::Unusable { .. })));
        fs::write(&path, [0xFF]).unwrap();
        assert!(matches!(read(SecretSpec::File(path.clone())).await, Err(SecretError::Unusable { .. })));
        fs::write(&path, vec![b'x'; 65 << 10]).unwrap();
        assert!(matches!(read(SecretSpec::File(path.clone())).await, Err(SecretError::Unusable { .. })));
    }

    #[tokio::test]
    async fn commands() {
        assert_eq!(read(command(&["printf", "%s", "from command"])).await.unwrap(), "from command");
        let failed = read(command(&["sh", "-c", "echo canary; exit 3"])).await.unwrap_err();
        assert!(matches!(failed, SecretError::CommandFailed { .. }) && !failed.to_string().contains("canary"));
        assert!(matches!(read(command(&["/does/not/exist"])).await, Err(SecretError::Command { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_never_answers_is_given_up() {
        let failed = read(command(&["sleep", "1000"])).await.unwrap_err();
        assert_eq!(failed.to_string(), "secret command `sleep` did not answer within 30 seconds");
    }
}
