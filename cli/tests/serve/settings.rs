//! Without its settings it does not start, and says at once everything that is missing.

use crate::process::{Variables, command};
use tempfile::TempDir;

const REQUIRED: [&str; 6] = [
    "TREFOIL_INTERCOM_CLIENT_SECRET",
    "TREFOIL_INTERCOM_TOKEN",
    "TREFOIL_INTERCOM_REGION",
    "TREFOIL_CUSTOMERIO_SITE_ID",
    "TREFOIL_CUSTOMERIO_API_KEY",
    "TREFOIL_CUSTOMERIO_REGION",
];

#[test]
fn every_missing_setting_is_named_in_one_run() {
    let data = TempDir::new().expect("a folder");
    let output = command(&Variables::new(), data.path()).output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for variable in REQUIRED {
        assert!(said.contains(&format!("{variable} is not set")), "{variable} is not named:\n{said}");
    }
}

#[test]
fn an_empty_secret_signs_nothing_and_is_never_shown() {
    let data = TempDir::new().expect("a folder");
    let short = "tooshort";
    for secret in ["", " ", short, "a-secret-that-is-long-enough,"] {
        let variables = Variables::from([("TREFOIL_INTERCOM_CLIENT_SECRET".to_owned(), secret.to_owned())]);
        let output = command(&variables, data.path()).output().expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(REQUIRED[0]), "{secret:?}: {said}");
        assert!(secret.trim().is_empty() || !said.contains(secret), "{said}");
    }
}

#[test]
fn a_configuration_that_cannot_be_used_is_refused() {
    let data = TempDir::new().expect("a folder");
    std::fs::write(data.path().join("broken.yaml"), "version: 1\nroots: []\n").expect("a file");
    let needed = REQUIRED.map(|name| (name.to_owned(), if name.ends_with("REGION") { "eu" } else { "0123456789abcdef" }.to_owned()));
    let output = command(&Variables::from(needed), data.path()).args(["--config", "broken.yaml"]).output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("broken.yaml") && said.contains("roots"), "{said}");
}
