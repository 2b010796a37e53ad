//! Has cargo build the functions, for this machine.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package has a parent folder").to_owned()
}

/// Builds them all quickly, and says in which folder they are.
pub(crate) fn functions(names: &[&str]) -> PathBuf {
    let binaries = names.iter().flat_map(|name| ["--bin", name]);
    // With a test among what is built, cargo chooses the features of dependencies as `cargo test --workspace` does, and so builds
    // none of them a second time. <https://doc.rust-lang.org/cargo/reference/features.html#feature-resolver-version-2>
    let built = cargo(["--workspace", "--test", "deployed"].into_iter().chain(binaries));
    built.parent().map(PathBuf::from).expect("a binary has a folder")
}

/// Builds one as it is deployed.
pub fn release(name: &str) -> PathBuf {
    cargo(["--release", "--package", name])
}

/// Builds, and says where the last program is.
fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> PathBuf {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(["build", "--locked", "--message-format=json-render-diagnostics"]).args(arguments);
    // What the cargo that runs us says of this package: build scripts of dependencies look at it, and would have everything
    // built again and again.
    let of_this_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| of_this_package(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    let built = command.stderr(Stdio::inherit()).output().expect("cargo starts");
    assert!(built.status.success(), "the functions could not be built; see above");
    let messages = built.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    // Tests are executables too.
    let programs = messages.filter(|message| message["target"]["kind"] == json!(["bin"]));
    let executable = programs.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back();
    executable.expect("cargo names what it built")
}
