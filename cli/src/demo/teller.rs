//! Prints the timeline: what came in, what was decided and why, what the tools were told, what they believe now, what
//! marketing would do. And remembers whatever was not as it should be.

use super::Stage;
use super::facts::{Fact, Person, shown};
use super::hook::{Hook, Tool};
use super::page::{BAD, FAINT, GOOD, HELD, STRONG, because, decisions, heading, line, tell, when};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use trefoil_domain::id::EventId;
use trefoil_domain::ports::{Clock as _, Record, Store as _};
use trefoil_platform::clock::SystemClock;
use trefoil_standins::customerio::{Decision, Identifier};
use trefoil_standins::segment::Via;

/// What a marketer would send to Ada, each with a filter on the attributes that Trefoil writes.
const CAMPAIGNS: [&str; 4] = ["newsletter", "expansion", "renewal", "adoption"];

pub(super) struct Teller<'s> {
    stage: &'s Stage,
    began: Instant,
    known: BTreeSet<EventId>,
    /// Of the events at Customer.io, and the messages at Segment.
    told: (usize, usize),
    /// The traits that Segment was told last, by whose and name, so that only news is printed.
    traits: BTreeMap<(String, String), String>,
    webhooks: usize,
    echoes: usize,
    written_by_echoes: usize,
    /// Since when a campaign has been waiting, and from when until when it waited.
    waiting: BTreeMap<&'static str, i64>,
    waited: BTreeMap<&'static str, (i64, i64)>,
    wrong: Vec<String>,
}

impl<'s> Teller<'s> {
    pub(super) fn new(stage: &'s Stage) -> Self {
        let (known, waiting, waited, wrong) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new(), Vec::new());
        let (began, traits) = (Instant::now(), BTreeMap::new());
        Self { stage, began, known, told: (0, 0), traits, webhooks: 0, echoes: 0, written_by_echoes: 0, waiting, waited, wrong }
    }

    pub(super) fn opening(&self) {
        heading("Trefoil: Intercom, Customer.io and Segment know the same, and marketing waits for support");
        anstream::println!("{FAINT}A real server on {}, with stand-ins for all three tools.{FAINT:#}", self.stage.node.address);
    }

    /// Sends the webhooks, waits until everything that follows from them is done, and tells it. Then the tools tell of what
    /// Trefoil has written, which must lead to nothing more.
    pub(super) async fn step<H: Into<Hook>>(&mut self, what: &str, hooks: impl IntoIterator<Item = H>) -> Result<(), String> {
        anstream::println!("\n{FAINT}{}{FAINT:#}  {STRONG}{what}{STRONG:#}", when(self.stage.clock.now()));
        let mut records: Vec<Record> = Vec::new();
        for hook in hooks.into_iter().map(H::into) {
            let status = self.deliver(&hook).await?;
            line("came in", &[format!("{}: {} {FAINT}signed, answered {status}{FAINT:#}", hook.tool().name(), hook.name())]);
            let read = self.stage.readers.read(&hook);
            if let Some(reason) = read.dropped {
                self.wrong.push(format!("{} was dropped: {reason}", hook.name()));
            }
            for event in read.events {
                if !self.known.insert(event.clone()) {
                    line("decided", &["nothing: this event is known already, under the same id".to_owned()]);
                    continue;
                }
                records.extend(self.stage.node.store.history(&event, SystemClock.now()).await.map_err(|e| e.to_string())?);
            }
        }
        decisions(records);
        self.tells();
        self.echoes().await
    }

    async fn deliver(&mut self, hook: &Hook) -> Result<u16, String> {
        let status = self.stage.deliver(hook).await?;
        self.webhooks += 1;
        if status != 200 {
            self.wrong.push(format!("{} of {} was answered {status}", hook.name(), hook.tool().name()));
        }
        Ok(status)
    }

    /// What Customer.io and Segment were told by name.
    fn tells(&mut self) {
        let (events, messages) = (self.stage.customerio.events(), self.stage.segment.messages());
        for event in events.iter().skip(self.told.0) {
            let properties: Vec<String> = event.attributes.iter().map(|(name, value)| format!("{name} {}", shown(value))).collect();
            tell(Tool::Customerio, &event.name, properties);
        }
        for message in messages.iter().skip(self.told.1).filter(|message| message.via == Via::Api) {
            let object = |key: &str| message.json.get(key).and_then(|value| value.as_object()).into_iter().flatten();
            let said: Vec<String> = match message.text("event") {
                Some(_) => object("properties").map(|(name, value)| format!("{name} {}", shown(value))).collect(),
                None => {
                    let whose = object("traits").find(|(name, _)| *name == "email").map(|(_, email)| shown(email)).unwrap_or_default();
                    let is_new = |(name, value): &(&String, &Value)| {
                        self.traits.insert((whose.clone(), (*name).clone()), shown(value)) != Some(shown(value))
                    };
                    object("traits").filter(is_new).map(|(name, value)| format!("{name} {}", shown(value))).collect()
                }
            };
            tell(Tool::Segment, message.text("event").unwrap_or(message.kind.word()), said);
        }
        self.told = (events.len(), messages.len());
    }

    /// Delivers what the tools tell of our own writing, until they have nothing more to tell.
    async fn echoes(&mut self) -> Result<(), String> {
        let before = self.stage.calls().1;
        let mut names: BTreeMap<(&str, String), usize> = BTreeMap::new();
        loop {
            let hooks = self.stage.told_back();
            if hooks.is_empty() {
                break;
            }
            for hook in hooks {
                self.deliver(&hook).await?;
                self.echoes += 1;
                self.known.extend(self.stage.readers.read(&hook).events);
                *names.entry((hook.tool().name(), hook.name())).or_default() += 1;
            }
            if self.echoes > 1000 {
                return Err("one echo leads to the next, without end".to_owned());
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        let times = |times: usize| if times == 1 { String::new() } else { format!(" ×{times}") };
        let mut parts: Vec<String> =
            names.into_iter().map(|((tool, name), count)| format!("{FAINT}{tool} {name}{}{FAINT:#}", times(count))).collect();
        let written = self.stage.calls().1 - before;
        parts.push(if written == 0 { "nothing written for it".to_owned() } else { format!("{BAD}{written} writes for it{BAD:#}") });
        line("came back", &parts);
        if written > 0 {
            self.written_by_echoes += written;
            self.wrong.push(format!("what came back led to {written} writes"));
        }
        self.tells();
        Ok(())
    }

    /// What the tools believe, tool by tool, and whether they should.
    pub(super) fn believes(&mut self, facts: impl IntoIterator<Item = Fact>) {
        let mut tools: Vec<(Tool, Vec<String>)> = Vec::new();
        for Fact { tool, name, is, should } in facts {
            let style = if is == should { GOOD } else { BAD };
            let part = format!("{name} {style}{is}{style:#}");
            match tools.last_mut() {
                Some((last, parts)) if *last == tool => parts.push(part),
                _ => tools.push((tool, vec![part])),
            }
            if is != should {
                self.wrong.push(format!("{}: {name} is {is}, should be {should}", tool.name()));
            }
        }
        for (tool, mut parts) in tools {
            if let Some(first) = parts.first_mut() {
                *first = format!("{}: {first}", tool.name());
            }
            line("believes", &parts);
        }
    }

    /// Whether each campaign would go to this person now; the newsletter must or must not.
    pub(super) fn marketing(&mut self, who: &Person, newsletter: bool) {
        let now = self.stage.clock.now();
        let decisions = CAMPAIGNS.map(|campaign| (campaign, self.would_send(who, campaign)));
        for (campaign, decision) in &decisions {
            if !decision.sends() {
                self.waiting.entry(campaign).or_insert(now);
            } else if let Some(since) = self.waiting.remove(campaign) {
                self.waited.insert(campaign, (since, now));
            }
        }
        let words = decisions.iter().map(|(campaign, decision)| match decision {
            Decision::Send => format!("{GOOD}{campaign} goes out{GOOD:#}"),
            Decision::Hold(hold) => format!("{HELD}{campaign} waits{HELD:#} {FAINT}({}){FAINT:#}", because(hold)),
        });
        line("marketing", &words.collect::<Vec<_>>());
        if decisions[0].1.sends() != newsletter {
            self.wrong.push(format!("at {} the newsletter to {} was: {}", when(now), who.name, decisions[0].1));
        }
    }

    /// A campaign that must be waiting by a window that has begun.
    pub(super) fn window(&mut self, who: &Person, campaign: &'static str) {
        let attribute = format!("suppress_{campaign}_until");
        match self.stage.customer(who).and_then(|profile| profile.text(&attribute)?.parse().ok()) {
            Some(until) => line("believes", &[format!("Customer.io: {attribute} {GOOD}{}{GOOD:#}", when(until))]),
            None => self.wrong.push(format!("the {campaign} window has not begun")),
        }
    }

    fn would_send(&self, who: &Person, campaign: &str) -> Decision {
        self.stage.customerio.would_send(&Identifier::Email(who.email.to_owned()), campaign)
    }

    /// When this person's marketing waited, and for how long it still does.
    pub(super) fn waits(&mut self, who: &Person) {
        heading(&format!("When was {} left in peace?", who.name));
        for campaign in CAMPAIGNS {
            let text = match (self.would_send(who, campaign), self.waited.get(campaign)) {
                (Decision::Send, Some((from, until))) => {
                    format!("{GOOD}waited from {} to {}, when the last ticket was closed{GOOD:#}", when(*from), when(*until))
                }
                (Decision::Send, None) => format!("{BAD}never{BAD:#}"),
                (Decision::Hold(hold), _) => {
                    let since = self.waiting.get(campaign).map(|since| when(*since)).unwrap_or_default();
                    format!("{HELD}waits since {since}, still {}{HELD:#}", because(&hold))
                }
            };
            line(campaign, &[text]);
        }
        if !self.waited.contains_key("newsletter") {
            self.wrong.push("the newsletter did not wait, or was not released".to_owned());
        }
    }

    /// The summary, and whether all of it was right.
    pub(super) fn ending(mut self, profiles: usize) -> bool {
        let made = self.stage.customerio.profiles().len();
        if self.stage.customerio.profile_created_by_accident() || made != profiles {
            self.wrong.push(format!("Customer.io has {made} profiles, should have {profiles}"));
        }
        for loss in self.stage.segment.lost() {
            self.wrong.push(format!("Segment lost a message: {loss:?}"));
        }
        if self.echoes == 0 {
            self.wrong.push("nothing came back, so that nothing is proven of it".to_owned());
        }
        anstream::println!();
        let (calls, writes) = self.stage.calls();
        let numbers = [
            format!("{} webhooks came in", self.webhooks),
            format!("{calls} calls went out"),
            format!("{writes} of them to write"),
            format!("{} echoes of our own writing came back", self.echoes),
            format!("writes they caused: {}", self.written_by_echoes),
            format!("{:.1} seconds", self.began.elapsed().as_secs_f64()),
        ];
        if self.wrong.is_empty() {
            anstream::println!("{GOOD}The story came out right{GOOD:#}, and nothing went round in circles.");
        }
        for wrong in &self.wrong {
            anstream::println!("{BAD}wrong{BAD:#}: {wrong}");
        }
        line("in all", &numbers);
        self.wrong.is_empty()
    }
}
