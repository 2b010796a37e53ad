//! `trefoil check`: is a configuration file right?

use std::path::PathBuf;
use std::process::ExitCode;
use trefoil_domain::config;

/// `EX_CONFIG` of sysexits.h.
pub(crate) const BAD_CONFIG: u8 = 78;

pub fn run(files: &[PathBuf]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for file in files {
        let name = file.display().to_string();
        match std::fs::read_to_string(file) {
            Err(error) => {
                anstream::eprintln!("error: {name} cannot be read: {error}");
                code = ExitCode::FAILURE;
            }
            Ok(text) => match config::check(&name, &text) {
                Ok((config, _)) => {
                    anstream::println!("{name}: fine, {} routes, {} suppression windows", config.routes.len(), config.suppress.len())
                }
                Err(problems) => {
                    anstream::eprintln!("{problems}");
                    code = ExitCode::from(BAD_CONFIG);
                }
            },
        }
    }
    code
}
