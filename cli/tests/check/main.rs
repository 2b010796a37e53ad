//! Walks `cases/<rule-in-words>/`. Each line of `args` is one run of `trefoil check` in that folder. What the runs print, one
//! after the other, is `expected.out`; what they say on standard error `expected.stderr`; their exit codes `expected.codes`.
//! Where nothing is expected, or every code is 0, there is no file.
//!
//! `TREFOIL_ACCEPT=1 cargo test -p trefoil --test check` writes what comes out. Review the difference before committing it: the
//! run then proves nothing by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FILES: [&str; 3] = ["expected.out", "expected.stderr", "expected.codes"];

fn run(folder: &Path) -> [String; 3] {
    let args = fs::read_to_string(folder.join("args")).expect("args");
    let [mut out, mut err, mut codes] = <[String; 3]>::default();
    for line in args.lines() {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trefoil"));
        let told = command.arg("check").args(line.split_whitespace()).current_dir(folder).env_clear().output().expect("the program runs");
        out += &String::from_utf8(told.stdout).expect("text");
        err += &String::from_utf8(told.stderr).expect("text");
        codes += &format!("{}\n", told.status.code().expect("it ended by itself"));
    }
    if codes.lines().all(|code| code == "0") {
        codes.clear();
    }
    [out, err, codes]
}

#[test]
fn every_case_says_what_its_folder_says() {
    let accept = std::env::var_os("TREFOIL_ACCEPT").is_some();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check/cases");
    let mut folders: Vec<PathBuf> = fs::read_dir(cases).expect("cases").map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    assert!(folders.len() >= 7, "only {} cases were found", folders.len());
    let mut wrong = Vec::new();
    for folder in folders {
        for (name, actual) in FILES.iter().zip(run(&folder)) {
            let path = folder.join(name);
            if accept {
                let written = if actual.is_empty() { fs::remove_file(&path).or(Ok(())) } else { fs::write(&path, actual) };
                written.expect("the folder can be written to");
                continue;
            }
            let expected = fs::read_to_string(&path).unwrap_or_default();
            if expected != actual {
                wrong.push(format!("{}\nexpected\n{expected}\ngot\n{actual}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
