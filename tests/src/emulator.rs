//! One running emulator of AWS. It and the functions that it started end when this is dropped, and also when the tests
//! are killed.

use crate::build::root;
use crate::waiting::until;
use std::ffi::OsStr;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The shell waits until its input ends, which the end of the tests brings about however it comes. Then it ends the
/// emulator, removes the files, and ends its own group of processes: the functions and itself.
const GUARD: &str = r#""$0" & cat >/dev/null; kill -KILL $!; wait; rm -rf "$1"; kill -KILL 0"#;
/// Ends a start that hangs; on a busy machine it may take a while.
const START_LIMIT: Duration = Duration::from_mins(10);

pub(crate) struct Emulator {
    guard: Child,
    pub(crate) port: u16,
    /// Where the emulator keeps its files, and those of the deployment are put.
    pub(crate) folder: PathBuf,
}

impl Emulator {
    pub(crate) async fn start(http: &reqwest::Client) -> Self {
        let folder = tempfile::Builder::new().prefix("trefoil-tests-").tempdir().expect("a temporary folder").keep();
        let port = free_port();
        let log = File::create(folder.join("emulator.log")).expect("the emulator's log");
        let mut command = Command::new("sh");
        command
            .args(["-c", GUARD])
            .arg(tool("ministack"))
            .arg(&folder)
            .env("AUTH", "true")
            .env("BIND_HOST", "127.0.0.1")
            // Otherwise the addresses of queues say `localhost`, which may mean `::1`.
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("TMPDIR", &folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("the emulator's log"))
            .stderr(log)
            .process_group(0);
        let guard = only_here(&mut command, port).spawn().expect("sh starts");
        let emulator = Self { guard, port, folder };
        let health = format!("{}/_ministack/health", emulator.url());
        let healthy = until(START_LIMIT, async || http.get(&health).send().await.ok()?.status().is_success().then_some(())).await;
        assert!(healthy.is_some(), "the emulator does not answer after {START_LIMIT:?}:\n{}", emulator.log());
        emulator
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A command of ours that speaks to this emulator.
    pub(crate) fn python(&self, script: &Path) -> Command {
        let mut command = Command::new(tool("python"));
        command.arg(script).stdin(Stdio::null()).env("TMPDIR", &self.folder).env("HOME", &self.folder);
        only_here(&mut command, self.port);
        command
    }

    /// What the emulator said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("emulator.log")).unwrap_or_default()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        self.guard.wait().ok();
    }
}

fn tool(name: impl AsRef<OsStr>) -> PathBuf {
    let path = root().join(".tools/venv/bin").join(name.as_ref());
    assert!(path.exists(), "{} is missing: run .ci/tools first", path.display());
    path
}

/// Points everything that speaks to AWS at the emulator, whatever account this machine is logged in to.
fn only_here(command: &mut Command, port: u16) -> &mut Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("SAM_CLI_TELEMETRY", "0")
}

/// A free port outside of those that systems give to programs that ask for any: nobody comes by it until the emulator does.
fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(10_000..30_000)).take(1000).find(is_free).expect("a free port")
}
