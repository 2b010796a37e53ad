//! Configurations as files: `tests/config/valid/*.yaml` must be accepted; `tests/config/invalid/<name>.yaml` must be
//! refused with exactly the text of `<name>.txt`. A new case is a new file.
//!
//! `UPDATE=1 cargo test -p trefoil-domain --test config` writes the texts anew; read the difference before keeping it.

use std::fs;
use std::path::{Path, PathBuf};
use trefoil_domain::config::{self, EMBEDDED};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/config").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    files.sort();
    files
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8")
}

#[test]
fn valid_files_are_accepted() {
    let files = files("valid");
    assert!(!files.is_empty(), "no cases found");
    for path in files {
        let text = fs::read_to_string(&path).expect("a readable file");
        if let Err(problems) = config::check(name(&path), &text) {
            panic!("{problems}");
        }
    }
}

#[test]
fn invalid_files_are_refused_with_the_expected_text() {
    let files = files("invalid");
    assert!(files.len() >= 25, "only {} cases found", files.len());
    let mut differences = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).expect("a readable file");
        let found = match config::check(name(&path), &text) {
            Ok(_) => "accepted".to_owned(),
            Err(problems) => problems.to_string(),
        };
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, format!("{found}\n")).expect("a writable folder");
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if expected.trim_end() != found {
            differences.push(format!("--- {}: expected\n{expected}\n--- found\n{found}\n", name(&path)));
        }
        assert_ne!(found, "accepted", "{} is meant to be wrong", name(&path));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn the_shipped_file_is_valid_and_is_the_one_at_the_root() {
    let (config, _) = config::check(config::FILE_NAME, EMBEDDED).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config, config::embedded());
    assert_eq!(config.routes.len(), 5);
    assert_eq!(config.suppress.len(), 3);
}
