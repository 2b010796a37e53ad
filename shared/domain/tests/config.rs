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

#[test]
fn a_file_beyond_the_limits_is_refused_quickly() {
    let refused = |text: &str| config::check("big.yaml", text).map(|_| ()).expect_err("beyond a limit").to_string();
    let comment = format!("version: 1\n#{}\n", "x".repeat(256 * 1024));
    assert_eq!(refused(&comment), "error: 1 problem in big.yaml\n\n  big.yaml:1:1\n    the file has 256 KiB; at most 256 are read");
    for open in ["[", "{a: ", "- "] {
        let refusal = refused(&open.repeat(50_000));
        // The parser has a limit of its own, which the first of these meets before ours.
        let expected = ["more than 32 levels deep; nothing in this file needs that", "not YAML: recursion limit exceeded"];
        assert!(expected.iter().any(|expected| refusal.ends_with(expected)), "{refusal}");
    }
    assert!(refused(&format!("version: 1\nroutes: [{}]\n", "1,".repeat(100_000))).contains("more than 20000 values"));
    // One long text, one long key, and many quotes are no trouble either.
    for text in ["x".repeat(200_000), format!("{}: 1", "x".repeat(200_000)), "'".repeat(200_000), "&a ".repeat(50_000), "? ".repeat(50_000)]
    {
        assert!(config::check("big.yaml", &text).is_err());
    }
}

/// Whatever is cut off or typed over, the answer is a configuration or a list of problems within the file.
#[test]
fn no_slip_of_the_finger_brings_the_reader_down() {
    let characters: Vec<char> = EMBEDDED.chars().collect();
    let lines = EMBEDDED.lines().count() + 2;
    let check = |text: String| {
        if let Err(problems) = config::check("slip.yaml", &text) {
            let within = problems.list().iter().all(|p| (1..=lines).contains(&p.line) && p.column >= 1 && !p.message.is_empty());
            assert!(within, "{problems}\n{text}");
        }
    };
    for end in (0..characters.len()).step_by(3) {
        check(characters[..end].iter().collect());
    }
    for (i, slip) in (0..characters.len()).step_by(2).zip("{}[]:\"'$\n\t&*!|>-?#%é,".chars().cycle()) {
        let mut typed = characters.clone();
        typed[i] = slip;
        check(typed.into_iter().collect());
    }
}
