//! Processes of the binary under test.

use std::{
    env,
    ffi::OsString,
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, OnceLock},
    thread::JoinHandle,
    time::Duration,
};

use serde_json::Value;

/// Longest wait for something that a process should say.
const PATIENCE: Duration = Duration::from_secs(60);

static CHOSEN: OnceLock<OsString> = OnceLock::new();

/// The program under test: the chosen one, else `SYNCLINE_TEST_BINARY`, such as a release build, else the one that cargo
/// built beside the tests.
pub(crate) fn program() -> OsString {
    let given = || env::var_os("SYNCLINE_TEST_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_syncline").into());
    CHOSEN.get().cloned().unwrap_or_else(given)
}

/// Chooses the program under test, before anything has been run.
pub(crate) fn choose_program(path: OsString) {
    CHOSEN.set(path).expect("a program is chosen once");
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// All of standard output.
    pub(crate) stdout: String,
    /// All of standard error.
    pub(crate) stderr: String,
}

impl Finished {
    pub(super) fn of(status: ExitStatus, stdout: &[u8], stderr: &[u8]) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Demands an exit code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}:\n{}{}", self.stdout, self.stderr))
    }
}

/// A process under way; killed with this value.
pub(crate) struct Running {
    child: Child,
    stdout: Said,
    stderr: Said,
}

impl Running {
    /// Starts a command with pipes for what it says.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary cannot be run");
        let stdout = Said::by(child.stdout.take().expect("a pipe"));
        let stderr = Said::by(child.stderr.take().expect("a pipe"));
        Self { child, stdout, stderr }
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a line of standard error contains `text`; gives that line.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) -> String {
        self.stderr.wait_for(text)
    }

    /// Waits until a line of standard output contains `text`; gives that line.
    #[track_caller]
    pub(crate) fn wait_for_output(&self, text: &str) -> String {
        self.stdout.wait_for(text)
    }

    /// Waits until a line of standard error satisfies `wanted`; gives that line, or all lines when none comes in time.
    pub(crate) fn find_log(&self, patience: Duration, wanted: impl Fn(&str) -> bool) -> Result<String, String> {
        self.stderr.find(0, patience, wanted)
    }

    /// Lines of standard error so far, for [`Running::find_log_after`].
    pub(crate) fn log_lines(&self) -> usize {
        self.stderr.shared.0.lock().expect("no panic while locked").lines.len()
    }

    /// Lines of standard error after the first `skip`.
    pub(crate) fn log_after(&self, skip: usize) -> Vec<String> {
        self.stderr.shared.0.lock().expect("no panic while locked").lines.get(skip..).unwrap_or_default().to_vec()
    }

    /// The same among the lines after the first `skip`.
    pub(crate) fn find_log_after(
        &self,
        skip: usize,
        patience: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String, String> {
        self.stderr.find(skip, patience, wanted)
    }

    /// The lines of standard error so far.
    pub(crate) fn logs(&self) -> Vec<String> {
        self.stderr.so_far()
    }

    /// Waits until the lines of standard error together satisfy `wanted`; false when they do not in time.
    pub(crate) fn wait_for_logs(&self, patience: Duration, wanted: impl Fn(&[String]) -> bool) -> bool {
        self.stderr.wait_for_all(patience, wanted)
    }

    /// Waits until it ends by itself, at most so long; false when it is still under way.
    pub(crate) fn ends_within(&self, patience: Duration) -> bool {
        self.stdout.ends_within(patience)
    }

    /// Asks it to stop (SIGTERM) and waits for its end.
    pub(crate) fn terminate(self) -> Finished {
        self.signal("TERM");
        self.wait()
    }

    /// Sends a signal by name (`TERM`, `INT`, `KILL`, `STOP`, `CONT`).
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "the signal could not be sent");
    }

    /// Kills it (SIGKILL) and waits for its end.
    pub(crate) fn kill(mut self) -> Finished {
        self.child.kill().expect("cannot be killed");
        self.wait()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Finished {
        let status = self.child.wait().expect("cannot be waited for");
        Finished { code: status.code(), stdout: self.stdout.all(), stderr: self.stderr.all() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a process says on one of its outputs, line by line, as it comes.
struct Said {
    shared: Arc<(Mutex<Lines>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

impl Said {
    fn by(pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Lines::default()), Condvar::new()));
        let theirs = shared.clone();
        let reader = std::thread::spawn(move || {
            let (lines, changed) = &*theirs;
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                lines.lock().expect("no panic while locked").lines.push(line);
                changed.notify_all();
            }
            lines.lock().expect("no panic while locked").ended = true;
            changed.notify_all();
        });
        Self { shared, reader: Some(reader) }
    }

    #[track_caller]
    fn wait_for(&self, text: &str) -> String {
        let found = self.find(0, PATIENCE, |line| line.contains(text));
        found.unwrap_or_else(|all| panic!("waited for `{text}`, got:\n{all}"))
    }

    fn find(&self, skip: usize, patience: Duration, wanted: impl Fn(&str) -> bool) -> Result<String, String> {
        let (lines, changed) = &*self.shared;
        let missing = |said: &mut Lines| !said.ended && !said.lines.iter().skip(skip).any(|line| wanted(line));
        let guard = lines.lock().expect("no panic while locked");
        let (said, _) = changed.wait_timeout_while(guard, patience, missing).expect("no panic while locked");
        let found = said.lines.iter().skip(skip).find(|line| wanted(line)).cloned();
        found.ok_or_else(|| said.lines.join("\n"))
    }

    fn so_far(&self) -> Vec<String> {
        self.shared.0.lock().expect("no panic while locked").lines.clone()
    }

    fn wait_for_all(&self, patience: Duration, wanted: impl Fn(&[String]) -> bool) -> bool {
        let (lines, changed) = &*self.shared;
        let missing = |said: &mut Lines| !said.ended && !wanted(&said.lines);
        let guard = lines.lock().expect("no panic while locked");
        let (said, _) = changed.wait_timeout_while(guard, patience, missing).expect("no panic while locked");
        wanted(&said.lines)
    }

    fn ends_within(&self, patience: Duration) -> bool {
        let (lines, changed) = &*self.shared;
        let guard = lines.lock().expect("no panic while locked");
        let (said, _) = changed.wait_timeout_while(guard, patience, |said| !said.ended).expect("no panic while locked");
        said.ended
    }

    /// Everything, once the process has ended.
    fn all(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader failed");
        }
        let said = self.shared.0.lock().expect("no panic while locked");
        said.lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}
