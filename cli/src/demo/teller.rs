//! Prints the timeline: what came in, what was decided and why, what Customer.io believes now, what marketing would do.

use super::Stage;
use anstyle::{AnsiColor, Style};
use std::collections::BTreeSet;
use trefoil_domain::id::EventId;
use trefoil_domain::ports::{Clock as _, Received, Record, Store as _};
use trefoil_domain::time::Timestamp;
use trefoil_platform::clock::SystemClock;
use trefoil_standins::customerio::{Decision, Hold, Identifier};
use trefoil_standins::intercom::Webhook;

const STRONG: Style = Style::new().bold();
const FAINT: Style = AnsiColor::BrightBlack.on_default();
const GOOD: Style = AnsiColor::Green.on_default();
const HELD: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// What a marketer would send to Ada, each with a filter on the attributes that Trefoil writes.
const CAMPAIGNS: [&str; 4] = ["newsletter", "expansion", "renewal", "adoption"];

/// What Customer.io must believe after a step.
pub(super) struct Believes {
    /// Open tickets; `None`: there has been nothing to say about support yet.
    open: Option<u64>,
    /// A window that must have begun by now.
    window: Option<&'static str>,
}

impl Believes {
    pub(super) fn nothing_of_support() -> Self {
        Self { open: None, window: None }
    }

    pub(super) fn open(tickets: u64) -> Self {
        Self { open: Some(tickets), window: None }
    }

    pub(super) fn holds(self, campaign: &'static str) -> Self {
        Self { window: Some(campaign), ..self }
    }
}

pub(super) struct Teller<'s> {
    stage: &'s Stage,
    profile: String,
    known: BTreeSet<EventId>,
    events_told: usize,
    wrong: Vec<String>,
    webhooks: usize,
}

impl<'s> Teller<'s> {
    pub(super) fn new(stage: &'s Stage) -> Self {
        Self { stage, profile: String::new(), known: BTreeSet::new(), events_told: 0, wrong: Vec::new(), webhooks: 0 }
    }

    /// The profile that the story is about.
    pub(super) fn follow(&mut self, cio_id: String) {
        self.profile = cio_id;
    }

    pub(super) fn opening(&self) {
        anstream::println!("\n{STRONG}Trefoil: marketing stays quiet while a support ticket is open{STRONG:#}");
        anstream::println!("{FAINT}A real server on {}, with stand-ins for Intercom and Customer.io.{FAINT:#}", self.stage.node.address);
    }

    /// Sends the webhooks, waits until everything that follows from them is done, and tells it.
    pub(super) async fn step(&mut self, what: &str, webhooks: &[&Webhook], expected: Believes) -> Result<(), String> {
        anstream::println!("\n{FAINT}{}{FAINT:#}  {STRONG}{what}{STRONG:#}", when(self.stage.clock.now()));
        let mut records: Vec<Record> = Vec::new();
        for webhook in webhooks {
            let status = self
                .stage
                .intercom
                .send(&self.stage.webhook_url, webhook)
                .await
                .map_err(|e| format!("the webhook could not be sent: {e:?}"))?;
            self.webhooks += 1;
            line("came in", &format!("{} {FAINT}signed, answered {status}{FAINT:#}", webhook.topic));
            if status != 200 {
                self.wrong.push(format!("a webhook was answered {status}"));
            }
            self.stage.quiet().await?;
            for event in self.event_ids(webhook) {
                if !self.known.insert(event.clone()) {
                    line("decided", "nothing: this event is known already, under the same id");
                    continue;
                }
                records.extend(self.stage.node.store.history(&event, SystemClock.now()).await.map_err(|e| e.to_string())?);
            }
        }
        self.decisions(records);
        self.beliefs(&expected);
        Ok(())
    }

    /// The events that a webhook stands for, as the server derives them.
    fn event_ids(&self, webhook: &Webhook) -> BTreeSet<EventId> {
        match self.stage.webhooks.receive(Some(&webhook.signature), &webhook.body, SystemClock.now()) {
            Ok(Received::Events(events)) => events.into_iter().map(|event| event.id).collect(),
            Ok(Received::Several(several)) => several.events.into_iter().map(|event| event.id).collect(),
            Ok(Received::Ignored(_) | Received::Unusable { .. } | Received::Refused { .. }) | Err(_) => BTreeSet::new(),
        }
    }

    fn decisions(&mut self, mut records: Vec<Record>) {
        // As it went: the event first, then the state, then what rests on it.
        records.sort_by_key(|record| {
            ["route", "intercom", "customerio-state", "customerio"].iter().position(|stage| record.stage.starts_with(stage))
        });
        for record in &records {
            let stage = record.stage.split('#').next().unwrap_or_default();
            let what = match (stage, record.what.as_str()) {
                ("route", what) => format!("Trefoil: {}", what.replace('_', " ")),
                ("customerio-state", _) => "Customer.io: state brought up to date".to_owned(),
                ("customerio", _) => "Customer.io: events sent".to_owned(),
                ("intercom", "look_up_contact") => "Intercom: asked who the contact is".to_owned(),
                (_, what) => what.replace('_', " "),
            };
            let why =
                record.outcome.reason().map(|reason| format!(" {FAINT}({}){FAINT:#}", reason.code.replace('_', " "))).unwrap_or_default();
            line("decided", &format!("{what}: {}{why}", record.outcome.name().replace('_', " ")));
            for (route, reason) in &record.skipped {
                line("", &format!("{FAINT}not \"{route}\": {}{FAINT:#}", reason.replace('_', " ")));
            }
        }
        let events = self.stage.customerio.events();
        for event in events.iter().skip(self.events_told) {
            let properties: Vec<String> = event.attributes.iter().map(|(name, value)| format!("{name} {value}")).collect();
            line("event", &format!("{GOOD}{}{GOOD:#} {FAINT}{}{FAINT:#}", event.name, properties.join(", ")));
        }
        self.events_told = events.len();
    }

    fn beliefs(&mut self, expected: &Believes) {
        let Some(profile) = self.stage.customerio.profile(&Identifier::CioId(self.profile.clone())) else {
            self.wrong.push("the profile is gone".to_owned());
            return;
        };
        let shown = ["has_open_ticket", "open_ticket_count", "open_ticket_priority", "last_csat_score"];
        let mut beliefs: Vec<String> = shown.iter().filter_map(|name| Some(format!("{name} {}", profile.text(name)?))).collect();
        for campaign in CAMPAIGNS {
            let attribute = format!("suppress_{campaign}_until");
            if let Some(until) = profile.text(&attribute).and_then(|text| text.parse().ok()) {
                beliefs.push(format!("{attribute} {}", when(until)));
            }
        }
        line("believes", &if beliefs.is_empty() { "nothing of support yet".to_owned() } else { beliefs.join(", ") });

        let decisions: Vec<(&str, Decision)> = CAMPAIGNS.iter().map(|campaign| (*campaign, self.would_send(campaign))).collect();
        let words = decisions.iter().map(|(campaign, decision)| match decision {
            Decision::Send => format!("{GOOD}{campaign} goes out{GOOD:#}"),
            Decision::Hold(hold) => format!("{HELD}{campaign} held{HELD:#} {FAINT}{}{FAINT:#}", because(hold)),
        });
        line("marketing", &words.collect::<Vec<_>>().join(", "));

        let open = profile.text("open_ticket_count").and_then(|count| count.parse().ok());
        if open != expected.open {
            self.wrong.push(format!("expected {:?} open tickets, Customer.io believes {open:?}", expected.open));
        }
        let held = decisions.iter().any(|(_, decision)| !decision.sends());
        let newsletter_goes = decisions.iter().any(|(campaign, decision)| *campaign == "newsletter" && decision.sends());
        if newsletter_goes != (expected.open.unwrap_or(0) == 0) {
            self.wrong.push("the newsletter follows the open tickets".to_owned());
        }
        if let Some(window) = expected.window
            && (!held || profile.text(&format!("suppress_{window}_until")).is_none())
        {
            self.wrong.push(format!("the {window} window has not begun"));
        }
    }

    fn would_send(&self, campaign: &str) -> Decision {
        self.stage.customerio.would_send(&Identifier::CioId(self.profile.clone()), campaign)
    }

    /// The summary, and whether all of it was right.
    pub(super) fn ending(mut self) -> bool {
        anstream::println!("\n{STRONG}When would Ada have been written to?{STRONG:#}");
        for campaign in CAMPAIGNS {
            match self.would_send(campaign) {
                Decision::Send => line(campaign, &format!("{GOOD}from now on: the last ticket is closed{GOOD:#}")),
                Decision::Hold(hold) => line(campaign, &format!("{HELD}not yet{HELD:#}: {}", because(&hold))),
            }
        }
        let names: Vec<String> = self.stage.customerio.events().into_iter().map(|event| event.name).collect();
        let count = |name: &str| names.iter().filter(|n| *n == name).count();
        let told = [
            ("support_ticket_opened", 2),
            ("support_ticket_resolved", 2),
            ("csat_score_submitted", 1),
            ("support_tag_applied", 1),
            ("intercom_user_synced", 1),
        ];
        for (name, expected) in told {
            if count(name) != expected {
                self.wrong.push(format!("{name} was sent {} times, expected {expected}", count(name)));
            }
        }
        if self.stage.customerio.profile_created_by_accident() {
            self.wrong.push("a profile was created by accident".to_owned());
        }
        anstream::println!();
        if self.wrong.is_empty() {
            anstream::println!(
                "{GOOD}The story came out right{GOOD:#}: {} webhooks, one of them twice and one out of order; {} events, each once; no profile created.",
                self.webhooks,
                names.len()
            );
        } else {
            for wrong in &self.wrong {
                anstream::println!("{BAD}wrong{BAD:#}: {wrong}");
            }
        }
        self.wrong.is_empty()
    }
}

fn line(label: &str, text: &str) {
    anstream::println!("  {FAINT}{label:>10}{FAINT:#}  {text}");
}

fn because(hold: &Hold) -> String {
    match hold {
        Hold::NoProfile => "no profile".to_owned(),
        Hold::Unsubscribed => "unsubscribed".to_owned(),
        Hold::OpenTicket => "open ticket".to_owned(),
        Hold::SuppressedUntil(secs) => format!("until {}", when(*secs)),
    }
}

/// Unix seconds as a date and time in UTC, to the minute.
fn when(secs: i64) -> String {
    let text = Timestamp::from_secs(secs).to_rfc3339().unwrap_or_default();
    text.get(..16).unwrap_or(&text).replace('T', " ")
}
