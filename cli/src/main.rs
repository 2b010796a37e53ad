//! The `trefoil` program.

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "trefoil",
    version,
    about = "Keeps Intercom, Customer.io and Segment in step, and marketing quiet while a support ticket is open."
)]
#[command(
    after_help = "Examples:\n  trefoil demo                         watch it work, without any account\n  trefoil check trefoil.yaml           is the configuration right?\n  trefoil serve --config trefoil.yaml  run it on this machine\n  trefoil conflicts                    people whose ids do not fit together\n  trefoil review                       what people may have seen, or may not"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Tells the story of one person with two tickets: real webhooks, stand-ins instead of the vendors.
    Demo(trefoil::demo::Arguments),
    /// Shows what webhook bodies would lead to: events, requests to the vendors, and what is left undone and why.
    Plan(trefoil::plan::Arguments),
    /// Runs everything in this process, with all state in one file.
    Serve(trefoil::serve::Arguments),
    /// Checks configuration files and names every problem with its line.
    Check(trefoil::check::Arguments),
    /// Lists people whose ids do not fit together, and settles it as you say.
    Conflicts(trefoil::conflicts::Arguments),
    /// Lists what people may have seen or not, since no answer came, and goes on as you say.
    Review(trefoil::review::Arguments),
}

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    match command {
        Command::Demo(arguments) => trefoil::demo::run(&arguments),
        Command::Plan(arguments) => trefoil::plan::run(&arguments),
        Command::Serve(arguments) => trefoil::serve::run(&arguments),
        Command::Check(arguments) => trefoil::check::run(&arguments),
        Command::Conflicts(arguments) => trefoil::conflicts::run(&arguments),
        Command::Review(arguments) => trefoil::review::run(&arguments),
    }
}
