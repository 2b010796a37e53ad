//! The emulator of AWS that these tests talk to: one process for all of them, on a free port.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

struct Emulator {
    endpoint: String,
    /// While its input is open, it runs: the shell around it waits for the end of that, which comes however we end.
    _shell: Child,
}

/// Its address; started when first asked for.
pub(crate) fn endpoint() -> &'static str {
    static EMULATOR: OnceLock<Emulator> = OnceLock::new();
    &EMULATOR.get_or_init(start).endpoint
}

/// Each test that talks to it waits for this first: it is one process.
pub(crate) async fn turn() -> SemaphorePermit<'static> {
    static TURNS: Semaphore = Semaphore::const_new(3);
    TURNS.acquire().await.expect("never closed")
}

fn start() -> Emulator {
    let program = program();
    // Outside of those that systems give to programs that ask for any: nobody comes by it until the emulator does.
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let port = std::iter::repeat_with(|| fastrand::u16(10_000..30_000)).take(1000).find(is_free).expect("a free port");
    let endpoint = format!("http://127.0.0.1:{port}");
    let script = r#""$0" >/dev/null 2>&1 & pid=$!; echo started; read -r _; kill $pid"#;
    let mut shell = Command::new("sh")
        .args(["-c", script])
        .arg(&program)
        .envs([("BIND_HOST", "127.0.0.1"), ("GATEWAY_PORT", &port.to_string()), ("AWS_ENDPOINT_URL", &endpoint)])
        .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_DEFAULT_REGION", "us-east-1")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut line = String::new();
    BufReader::new(shell.stdout.take().expect("piped")).read_line(&mut line).expect("the shell says that it runs");

    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_mins(10), "{} does not answer on port {port}", program.display());
        std::thread::sleep(Duration::from_millis(20));
    }
    Emulator { endpoint, _shell: shell }
}

fn program() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tools = std::env::var("TREFOIL_TOOLS").map_or_else(|_| root.join(".tools/venv"), PathBuf::from);
    let program = tools.join("bin/ministack");
    assert!(program.exists(), "{} is missing, without which AWS cannot be tested; run `.ci/tools` to install it", program.display());
    program
}
