//! How often a property is tried.

use proptest::test_runner::Config;

/// Ten thousand times, or as often as `PROPTEST_CASES` says.
pub(crate) fn many() -> Config {
    let usual = Config::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { usual.cases } else { 10_000 };
    Config { cases, failure_persistence: None, ..usual }
}
