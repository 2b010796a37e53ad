//! `trefoil check`: is a configuration file right, and is anything told twice?

use std::path::PathBuf;
use std::process::ExitCode;
use trefoil_domain::config::{self, Config, Native};

/// `EX_CONFIG` of sysexits.h.
pub(crate) const BAD_CONFIG: u8 = 78;

#[derive(clap::Args)]
#[command(after_help = "Exit code 0; 1 when a file cannot be read; 78 when one is wrong, or with --strict when there is a warning.\n\
A warning tells of a connection that the tools have without Trefoil, as the file says under `native`, and that carries\n\
the same as routes of the file do.")]
pub struct Arguments {
    /// Warnings count as errors.
    #[arg(long)]
    strict: bool,
    /// Files to check.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for file in &arguments.files {
        let name = file.display().to_string();
        match std::fs::read_to_string(file) {
            Err(error) => {
                anstream::eprintln!("error: {name} cannot be read: {error}");
                code = ExitCode::FAILURE;
            }
            Ok(text) => match config::check(&name, &text) {
                Ok((config, _)) => {
                    anstream::println!("{name}: fine, {} routes, {} suppression windows", config.routes.len(), config.suppress.len());
                    if told_twice(&name, &config) && arguments.strict {
                        code = ExitCode::from(BAD_CONFIG);
                    }
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

/// Whether the file itself says that the tools feed each other what its routes carry. Tells of it, and where the file says
/// nothing, of what it should say.
fn told_twice(file: &str, config: &Config) -> bool {
    match &config.native {
        Some(natives) => {
            let twice = config.fed_twice(natives);
            for (native, routes) in &twice {
                anstream::eprintln!(
                    "warning: {file}: {} and these routes carry the same, so everything would arrive twice: {}; switch the connection off \
                     in {}, or remove the routes",
                    native.product(),
                    quoted(routes),
                    switched_in(*native)
                );
            }
            !twice.is_empty()
        }
        None => {
            let possible = config.fed_twice(&Native::ALL);
            if let Some((first, _)) = possible.first() {
                anstream::eprintln!(
                    "note: {file} does not say what the tools tell each other without Trefoil. These connections would carry the same as routes:"
                );
                for (native, routes) in &possible {
                    anstream::eprintln!("  {}: {}", native.product(), quoted(routes));
                }
                anstream::eprintln!(
                    "  where all of them are off, say `native: []`; else name those that are on, such as `native: [{}]`",
                    first.as_str()
                );
            }
            false
        }
    }
}

/// The tool in which the connection is switched off.
fn switched_in(native: Native) -> &'static str {
    match native {
        Native::SegmentToCustomerio | Native::SegmentToIntercom => "Segment",
        Native::CustomerioToSegment | Native::PipelinesToCustomerio | Native::PipelinesToIntercom | Native::PipelinesToSegment => {
            "Customer.io"
        }
    }
}

fn quoted(routes: &[&str]) -> String {
    routes.iter().map(|route| format!("\"{route}\"")).collect::<Vec<_>>().join(", ")
}
