//! A shell that runs a server and ends it, with all its files, when the test process is gone however it ended.
//!
//! The shell reads its standard input, a pipe that only the test process holds; the kernel closes it even after `kill -9`.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

/// A running server; the pipe that keeps it alive lives as long as this value.
pub(super) struct Supervised {
    shell: Child,
    out: BufReader<ChildStdout>,
}

impl Supervised {
    /// Gives the script a line, and waits for the line that it prints when that is done.
    pub(super) fn order(&mut self, line: &str) -> Result<(), String> {
        let input = self.shell.stdin.as_mut().ok_or("no input")?;
        writeln!(input, "{line}").and_then(|()| input.flush()).map_err(|error| error.to_string())?;
        let mut said = String::new();
        self.out.read_line(&mut said).map_err(|error| error.to_string())?;
        if said.trim() == "done" { Ok(()) } else { Err(format!("{line}: {said}")) }
    }
}

/// Runs `script`, which must print `ready` once the server is up, then read its input to the end, then clean up. The
/// script gets the server's folder as `$DIR`, and `variables`. As root it runs as the first of `users` that exists.
pub(super) fn start(script: &str, variables: &[(&str, String)], users: &[&str]) -> Result<Supervised, String> {
    let folder = folder()?;
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script).env("DIR", &folder).current_dir("/");
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: ctrl-C on the tests must not reach the server before its shell has cleaned up.
    command.process_group(0);
    if is_root()? {
        let (uid, gid) = account(users)?;
        chown(&folder, Some(uid), Some(gid))
            .map_err(|error| format!("cannot hand over {}: {error}", folder.display()))?;
        command.uid(uid).gid(gid);
    }
    let mut shell = command.spawn().map_err(|error| format!("cannot run /bin/sh: {error}"))?;
    let out = wait_until_ready(&mut shell)?;
    Ok(Supervised { shell, out })
}

fn wait_until_ready(shell: &mut Child) -> Result<BufReader<ChildStdout>, String> {
    let mut said = String::new();
    let mut out = BufReader::new(shell.stdout.take().ok_or("no output")?);
    while out.read_line(&mut said).map_err(|error| error.to_string())? > 0 {
        if said.ends_with("ready\n") {
            return Ok(out);
        }
    }
    if let Some(mut errors) = shell.stderr.take() {
        errors.read_to_string(&mut said).map_err(|error| error.to_string())?;
    }
    Err(said)
}

fn folder() -> Result<PathBuf, String> {
    // The shell removes it, so that it goes even when the tests are killed.
    tempfile::Builder::new().prefix("syncline-test-").tempdir().map(tempfile::TempDir::keep).map_err(|e| e.to_string())
}

fn is_root() -> Result<bool, String> {
    let me = fs::metadata("/proc/self").map_err(|error| error.to_string())?;
    Ok(std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

/// User and group id of the first known account.
fn account(names: &[&str]) -> Result<(u32, u32), String> {
    let accounts = fs::read_to_string(Path::new("/etc/passwd")).map_err(|error| error.to_string())?;
    let find = |name: &&str| {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(str::parse);
        Some((ids.next()?.ok()?, ids.next()?.ok()?))
    };
    names.iter().find_map(find).ok_or_else(|| format!("none of the users {names:?} exists"))
}

/// A port of the loopback address that nobody listens on just now.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("no free port");
    listener.local_addr().expect("a bound port has an address").port()
}

/// On Debian and its kin, as root: brings the server programs. Their own servers are not used.
pub(super) fn install(packages: &[&str]) -> Option<()> {
    let apt = Path::new("/usr/bin/apt-get");
    if !apt.is_file() {
        return None;
    }
    let run = |arguments: &[&str]| {
        let mut command = Command::new(apt);
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let install = [&["install", "-y"], packages].concat();
    (run(&install) || (run(&["update"]) && run(&install))).then_some(())
}
