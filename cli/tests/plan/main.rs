//! Walks `cases/<rule-in-words>/`. Each line of `args` is one run of `trefoil plan` in that folder, with `{tmp}` for a folder
//! that is empty at first; `stdin` is the standard input of each, where there is one. What the runs print, one after the
//! other, is `expected.jsonl`; what they say on standard error `expected.stderr`, where they say anything; their exit codes
//! `expected.codes`, where one of them is not 0.
//!
//! `TREFOIL_ACCEPT=1 cargo test -p trefoil --test plan` writes what comes out. Review the difference before committing it: the
//! run then proves nothing by itself.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Output, standard error, codes.
type Told = [String; 3];
const FILES: [&str; 3] = ["expected.jsonl", "expected.stderr", "expected.codes"];

fn run(folder: &Path) -> Told {
    let tmp = tempfile::tempdir().expect("a folder");
    let args = fs::read_to_string(folder.join("args")).expect("args");
    let [mut out, mut err, mut codes] = Told::default();
    for line in args.lines() {
        let line = line.replace("{tmp}", tmp.path().to_str().expect("a path in UTF-8"));
        let input = File::open(folder.join("stdin")).map_or_else(|_| Stdio::null(), Stdio::from);
        let mut command = Command::new(env!("CARGO_BIN_EXE_trefoil"));
        command.arg("plan").args(line.split_whitespace()).current_dir(folder).env_clear().stdin(input);
        let told = command.output().expect("the program runs");
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
fn every_case_prints_what_its_folder_says() {
    let accept = std::env::var_os("TREFOIL_ACCEPT").is_some();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan/cases");
    let mut folders: Vec<PathBuf> = fs::read_dir(cases).expect("cases").map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    assert!(folders.len() >= 12, "only {} cases were found", folders.len());
    let mut wrong = Vec::new();
    for folder in folders {
        let told = run(&folder);
        assert_eq!(told, run(&folder), "{}: the same input gives the same output", folder.display());
        for (name, actual) in FILES.iter().zip(told) {
            let path = folder.join(name);
            if accept {
                if actual.is_empty() {
                    fs::remove_file(&path).ok()
                } else {
                    fs::write(&path, actual).ok()
                };
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
