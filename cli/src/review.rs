//! `trefoil review`: what people see was begun and no answer told whether it was made. A human looks at the destination and says
//! which; nothing is done until then, since people would see it twice, or not at all.
//!
//! What is decided is written into the ledger, and the job goes back into its queue, where the sender goes on with it.

mod desk;
mod show;

use crate::operator::{Place, Task, confirmed, print};
use crate::serve::{block_on, finished};
use desk::Desk;
use std::process::ExitCode;
use trefoil_domain::event::Workspace;
use trefoil_domain::ledger::{Entry, Ledger};
use trefoil_domain::ports::{Clock as _, Queue, Store};
use trefoil_platform::clock::SystemClock;
use trefoil_platform::settings::Environment;

#[derive(clap::Args)]
#[command(
    after_help = "Look at Intercom whether it is there: `list` says what to look for. Until you have said so, nothing more is done about it.\n\
It is forgotten after 40 days. The workspace is TREFOIL_WORKSPACE (main).\n\n\
Examples:\n  \
trefoil review                                     what there is, and what to look for\n  \
trefoil review list --json                         the same, one line of JSON each\n  \
trefoil review --data /var/lib/trefoil             of the `trefoil serve` that runs there\n  \
trefoil review done 3f2a91bc                       it is there: goes on with what is left of it\n  \
trefoil review done 3f2a91bc --made 215468         the same, where what is left needs its id\n  \
trefoil review send-again 3f2a91bc                 it is not there: does it now\n  \
trefoil review --aws                               of the stack whose settings are in the environment"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    place: Place,
    /// For `list`: one line of JSON for each action.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Shows every action of which nobody knows whether it was done, latest first.
    List,
    /// It was done: what is left of it is done now.
    Done {
        /// The action, or the first 6 characters of it or more.
        #[arg(value_name = "ID")]
        action: String,
        /// The destination's own id of what was made, from its address there.
        #[arg(long, value_name = "VENDOR_ID")]
        made: Option<String>,
    },
    /// It was not done: it is done now.
    SendAgain {
        /// The action, or the first 6 characters of it or more.
        #[arg(value_name = "ID")]
        action: String,
        /// Does not ask.
        #[arg(long)]
        yes: bool,
    },
}

pub fn run(arguments: &Arguments) -> ExitCode {
    finished(block_on(review(arguments, &Environment::of_process())))
}

async fn review(arguments: &Arguments, environment: &Environment) -> Result<(), String> {
    let settings = environment.operator().map_err(|problems| problems.to_string())?;
    arguments.place.run(&Asked(arguments), environment, &settings.workspace).await
}

struct Asked<'a>(&'a Arguments);

impl Task for Asked<'_> {
    async fn work<S: Store + Ledger, Q: Queue>(&self, store: &S, queue: &Q, workspace: &Workspace) -> Result<(), String> {
        let Self(arguments) = self;
        let desk = Desk { store, queue, workspace, now: SystemClock.now() };
        match arguments.command.as_ref().unwrap_or(&Command::List) {
            Command::List => {
                let cases = desk.list().await?;
                print(&if arguments.json { show::lines(&cases) } else { show::pages(&cases) })
            }
            Command::Done { action, made } => {
                let case = desk.find(action).await?;
                let entry = desk.done(&case.entry, made.as_deref())?;
                begins(&entry)?;
                desk.settle(entry).await?;
                print(ACCEPTED)
            }
            Command::SendAgain { action, yes } => {
                let case = desk.find(action).await?;
                let entry = desk.send_again(&case.entry)?;
                let question = format!("{}\n{} Type yes: ", show::page(&case), show::QUESTION);
                // Where nothing was taken back, nothing can be seen twice.
                let asks = !yes && case.entry.unknown().is_some();
                if asks && !confirmed(&question, "if it was done after all, people see it twice")? {
                    return Err("nothing was done".to_owned());
                }
                begins(&entry)?;
                desk.settle(entry).await?;
                print(ACCEPTED)
            }
        }
    }
}

/// What is decided is listed no more: whoever is interrupted before the job is sent needs its whole id.
fn begins(entry: &Entry) -> Result<(), String> {
    print(&format!("Writing it down. If nothing follows, say: trefoil review send-again {}\n", entry.action))
}

const ACCEPTED: &str = "Accepted; it goes on within seconds where Trefoil runs, else as soon as it does.\n";
