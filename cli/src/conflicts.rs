//! `trefoil conflicts`: people whose ids do not fit together, shown with both sides, and settled by a human.
//!
//! What is decided goes into the events queue, so that it is done by the one writer of people, like everything else.

mod desk;
mod show;

use crate::operator::{Place, Task, confirmed, print};
use crate::serve::{block_on, configured, finished};
use desk::Desk;
use std::process::ExitCode;
use trefoil_domain::config::Config;
use trefoil_domain::event::Workspace;
use trefoil_domain::ledger::Ledger;
use trefoil_domain::ports::{Clock as _, Queue, Store};
use trefoil_platform::clock::SystemClock;
use trefoil_platform::settings::Environment;

#[derive(clap::Args)]
#[command(after_help = "A conflict is kept until you settle it. Meanwhile an address that two people claim binds neither of them.\n\
The workspace is TREFOIL_WORKSPACE (main).\n\n\
Examples:\n  \
trefoil conflicts                                  what there is, with both sides\n  \
trefoil conflicts list --json                      the same, one line of JSON each\n  \
trefoil conflicts --data /var/lib/trefoil          of the `trefoil serve` that runs there\n  \
trefoil conflicts merge 3f2a91bc                   they are one human; cannot be undone\n  \
trefoil conflicts give 3f2a91bc --to user:u1       the id belongs to this one alone\n  \
trefoil conflicts dismiss 3f2a91bc                 forget it until it happens again\n  \
trefoil conflicts --aws                            of the stack whose settings are in the environment")]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    place: Place,
    /// For `list`: one line of JSON for each conflict.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Shows every conflict with all whom it concerns. What no longer holds is cleared away.
    List,
    /// They are one human: makes one person of them. Cannot be undone.
    Merge {
        /// The conflict, or the first 6 characters of it or more.
        #[arg(value_name = "ID")]
        conflict: String,
        /// Does not ask.
        #[arg(long)]
        yes: bool,
    },
    /// The id in dispute belongs to one of them: all others give it up for good.
    Give {
        /// The conflict, or the first 6 characters of it or more.
        #[arg(value_name = "ID")]
        conflict: String,
        /// Whose it is: our id of the person or the beginning of it, or an id such as user:u1, intercom:…, email:….
        #[arg(long, value_name = "PERSON")]
        to: String,
    },
    /// Forgets a conflict; it comes back if it happens again.
    Dismiss {
        /// The conflict, or the first 6 characters of it or more.
        #[arg(value_name = "ID")]
        conflict: String,
    },
}

pub fn run(arguments: &Arguments) -> ExitCode {
    finished(block_on(conflicts(arguments, &Environment::of_process())))
}

async fn conflicts(arguments: &Arguments, environment: &Environment) -> Result<(), String> {
    let settings = environment.operator().map_err(|problems| problems.to_string())?;
    let (config, _) = configured(None, &settings.config)?;
    arguments.place.run(&Asked { arguments, config }, environment, &settings.workspace).await
}

struct Asked<'a> {
    arguments: &'a Arguments,
    config: Config,
}

impl Task for Asked<'_> {
    async fn work<S: Store + Ledger, Q: Queue>(&self, store: &S, queue: &Q, workspace: &Workspace) -> Result<(), String> {
        let Self { arguments, config } = self;
        let desk = Desk { store, queue, workspace, now: SystemClock.now() };
        match arguments.command.as_ref().unwrap_or(&Command::List) {
            Command::List => {
                let (conflicts, cleared) = desk.list().await?;
                print(&if arguments.json { show::lines(&conflicts, config) } else { show::pages(&conflicts, cleared, config) })
            }
            Command::Merge { conflict, yes } => {
                let conflict = desk.find(conflict).await?;
                let events = desk.merge(&conflict)?;
                let question = format!("{}\n{} Type yes: ", show::page(&conflict, config), show::question(&conflict));
                if !yes && !confirmed(&question, "a merge cannot be undone")? {
                    return Err("nothing was done".to_owned());
                }
                desk.settle(&conflict, &events).await?;
                print(SETTLED)
            }
            Command::Give { conflict, to } => {
                let conflict = desk.find(conflict).await?;
                let events = desk.give(&conflict, to)?;
                desk.settle(&conflict, &events).await?;
                print(SETTLED)
            }
            Command::Dismiss { conflict } => {
                let conflict = desk.find(conflict).await?;
                desk.settle(&conflict, &[]).await?;
                print("Dismissed; it comes back if it happens again.\n")
            }
        }
    }
}

const SETTLED: &str = "Accepted; it is done within seconds where Trefoil runs, else as soon as it does.\n";
