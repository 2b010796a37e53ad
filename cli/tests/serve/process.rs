//! The program in a process of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Ends a test that hangs. Nothing takes nearly as long, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(10);

pub(crate) type Variables = BTreeMap<String, String>;

/// `trefoil serve`, on a port that the system chose. It is killed when this is dropped.
pub(crate) struct Serve {
    child: Child,
    pub(crate) address: SocketAddr,
    output: PathBuf,
}

/// The command, with nothing in its environment but these.
pub(crate) fn command(variables: &Variables, data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trefoil"));
    // There is no trefoil.yaml in the folder of the data: the built-in configuration counts.
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).env_clear().envs(variables).current_dir(data);
    command
}

impl Serve {
    /// Starts it and waits until it listens and says that it is well.
    pub(crate) async fn start(variables: &Variables, data: &Path) -> Self {
        let number = fastrand::u64(..);
        let output = data.join(format!("output-{number:x}"));
        let file = File::create(&output).expect("a file for the output");
        let other = file.try_clone().expect("a second handle");
        let child = command(variables, data).stdin(Stdio::null()).stdout(file).stderr(other).spawn().expect("the program starts");
        let mut serve = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), output };
        let listening = wait_for(|| {
            let exited = serve.child.try_wait().expect("a child").is_some();
            assert!(!exited, "serve ended instead of listening:\n{}", serve.output());
            let output = serve.output();
            let line = output.lines().find(|line| line.contains("listening"))?;
            line.split("address=").nth(1)?.split_whitespace().next()?.parse().ok()
        });
        serve.address = listening.await.expect("serve listens");
        serve
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/webhooks/intercom", self.address)
    }

    /// Everything it has written, to both of its outputs.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).expect("the output")).into_owned()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it ran");
        self.child.wait().expect("it ended");
    }

    /// Sends a signal, such as `INT`.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status();
        assert!(status.expect("kill").success(), "the process could not be signalled");
    }

    /// Waits for it to end by itself; gives what it wrote as well.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let status = wait_for(|| self.child.try_wait().expect("a child")).await.expect("serve ends");
        (status, self.output())
    }

    /// As Ctrl-C does.
    pub(crate) async fn stop(self) -> (ExitStatus, String) {
        self.signal("INT");
        self.ended().await
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Looks again and again until there is something.
pub(crate) async fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let found = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.ok()
}
