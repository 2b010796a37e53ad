//! What each tool must have of a person's consent, and whether one of its records has to be told.
//!
//! A tool has *switches*: one for all its mail, one for each topic. The operator's mapping says which switches of different
//! tools are about the same. What a switch must be follows from the person's acts alone:
//!
//! - out, if the latest opt-out from anything that it covers is not older than the latest opt-in that counts there;
//! - in, if the person was out and an explicit opt-in is later.
//!
//! A record is told so unless it was told already, or said so itself, and the tool has not reported otherwise since. Times of a
//! tool are compared with times of the same tool only.

use super::{Consent, Report, Subject};
use crate::config::ConsentConfig;
use crate::event::{Channel, Choice, Source};
use crate::id::{Digest, EventId};
use crate::person::RecordKey;
use crate::ports::Destination;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One thing that a tool keeps of consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    pub destination: Destination,
    /// Customer.io: an attribute; Intercom: `email`, or a type of subscription by its id; Segment: a trait.
    pub key: String,
    /// Of Customer.io's topics, which say who is in, while everything else says who is out.
    pub is_topic: bool,
    /// Who is out of one of these must be out here.
    pub(super) covers: Vec<Subject>,
    /// By which the tool itself speaks of it.
    pub(super) speaks: Vec<(Source, Subject)>,
}

/// Of a channel that a tool has a switch for besides the one for everything: by tool the attribute or trait that is true for
/// people who are out.
pub type Channels = BTreeMap<Channel, BTreeMap<Destination, String>>;

/// One topic under the id that each tool has for it.
pub type Topics = BTreeMap<Destination, String>;

/// At Customer.io and at Segment it is about everything; it is also all that they have for e-mail.
const UNSUBSCRIBED: &str = "unsubscribed";

/// Everything that the tools can be told.
pub fn switches(channels: &Channels, topics: &[Topics]) -> Vec<Switch> {
    let all = || Subject::new(None, None);
    let of = |channel| Subject::new(Some(channel), None);
    let email = || of(Channel::Email);
    let switch = |destination, key: &str, covers, speaks| Switch { destination, key: key.to_owned(), is_topic: false, covers, speaks };
    let both = || vec![all(), email()];
    let mut switches = vec![
        switch(Destination::Customerio, UNSUBSCRIBED, both(), vec![(Source::Customerio, all()), (Source::Pipelines, all())]),
        switch(Destination::Intercom, "email", both(), vec![(Source::Intercom, email())]),
        switch(Destination::Segment, UNSUBSCRIBED, both(), vec![(Source::Segment, all()), (Source::Segment, email())]),
    ];
    for (channel, keys) in channels {
        switches.extend(keys.iter().map(|(tool, key)| switch(*tool, key, vec![all(), of(*channel)], Vec::new())));
    }
    for ids in topics {
        let subjects = |tool: Destination, id: &str| -> Vec<(Source, Subject)> {
            let sources: &[Source] = match tool {
                Destination::Customerio => &[Source::Customerio, Source::Pipelines],
                Destination::Intercom => &[Source::Intercom],
                Destination::Segment => &[Source::Segment],
            };
            // Some tools say by which channel a topic comes, and some do not.
            let channels = [None, Some(Channel::Email), Some(Channel::Sms)];
            let each = |source: &Source| channels.map(|channel| (*source, Subject::new(channel, Some((*source, id)))));
            sources.iter().flat_map(each).collect()
        };
        let covers: Vec<Subject> = ids.iter().flat_map(|(tool, id)| subjects(*tool, id)).map(|(_, subject)| subject).collect();
        for (tool, id) in ids {
            let key = match tool {
                Destination::Customerio => format!("cio_subscription_preferences.topics.{id}"),
                Destination::Intercom => id.clone(),
                Destination::Segment => format!("{UNSUBSCRIBED}_{id}"),
            };
            switches.push(Switch { is_topic: true, speaks: subjects(*tool, id), ..switch(*tool, &key, covers.clone(), Vec::new()) });
        }
    }
    switches
}

/// What a tool must have of one of its switches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<'c> {
    pub key: &'c str,
    pub choice: Choice,
    /// When the person did what this follows from.
    pub since: Timestamp,
    /// When one of the tool's records last reported otherwise, by the tool's clock.
    otherwise: Option<Timestamp>,
    /// The records' last reports.
    reports: Vec<(&'c RecordKey, Report)>,
}

/// What one record was last told of one switch. Kept by the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub choice: Choice,
    /// The tool's last report of something else that was known then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    otherwise: Option<Timestamp>,
    /// Whether it was applied, or is still there, is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unsure: bool,
}

impl Told {
    /// From now on it is not known whether the record has it.
    pub fn doubt(&mut self) {
        self.unsure = true;
    }

    #[must_use]
    pub fn doubted(self) -> Self {
        Self { unsure: true, ..self }
    }
}

impl Wanted<'_> {
    /// Whether `record` has to be told. `None`: one that is about to be made, or that the tool has no id for. `told`: what it was
    /// told last.
    pub fn must_be_told(&self, record: Option<&RecordKey>, told: Option<&Told>) -> bool {
        let own = record.and_then(|record| self.reports.iter().find(|(of, _)| *of == record)).map(|(_, report)| *report);
        let says_so = own.is_some_and(|own| own.choice == self.choice && Some(own.at) > self.otherwise);
        match told {
            // Whether what it says so itself is from before it was told otherwise, nobody knows.
            Some(told) if told.unsure || told.choice != self.choice => true,
            Some(told) => !says_so && self.otherwise > told.otherwise,
            // Nobody is taken back into what they are not known to be out of.
            None => !says_so && (self.choice == Choice::Out || own.is_some_and(|own| own.choice == Choice::Out)),
        }
    }

    /// To be remembered once the record was told.
    pub fn told(&self) -> Told {
        Told { choice: self.choice, otherwise: self.otherwise, unsure: false }
    }
}

/// What a tool must have, as a hash: a job is left for the tool when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Level {
    #[serde(default)]
    version: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    hash: String,
    /// The event that moved it last: seeing that one again leaves the job again, in case it was lost in a crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moved_by: Option<EventId>,
}

impl Level {
    pub(super) fn unite(&mut self, other: &Self) {
        self.version = self.version.max(other.version);
    }
}

impl Consent {
    /// What a tool must have, by switch. A switch that is not listed stays as it is.
    pub fn wanted<'c>(&'c self, tool: Destination, rules: &'c ConsentConfig) -> impl Iterator<Item = Wanted<'c>> {
        let switches = if self.wishes.is_empty() { &[] } else { rules.switches.as_slice() };
        switches.iter().filter(move |switch| switch.destination == tool).filter_map(|switch| self.wanted_of(switch))
    }

    /// The tool is to keep the person out of something.
    pub fn wants_out(&self, tool: Destination, rules: &ConsentConfig) -> bool {
        self.wanted(tool, rules).any(|wanted| wanted.choice == Choice::Out)
    }

    fn wanted_of<'c>(&'c self, switch: &'c Switch) -> Option<Wanted<'c>> {
        let out_at = self.out_of(switch).map(|(_, out_at)| out_at).max();
        let (choice, since) = match out_at {
            Some(out_at) if self.own_in_at(switch).is_none_or(|own_in| own_in <= out_at) => (Choice::Out, out_at),
            Some(_) => return None,
            None => (Choice::In, self.back_in_at(switch)?),
        };
        let of = |(source, subject): &'c (Source, Subject)| {
            let reports = self.wishes.get(subject).into_iter().flat_map(|wish| &wish.reports);
            reports.filter(|(record, _)| record.is_of(*source)).map(|(record, report)| (record, *report))
        };
        let reports: Vec<(&RecordKey, Report)> = switch.speaks.iter().flat_map(of).collect();
        let otherwise = reports.iter().filter(|(_, report)| report.choice != choice).map(|(_, report)| report.at).max();
        Some(Wanted { key: &switch.key, choice, since, otherwise, reports })
    }

    /// When the person, having been out of something that the switch covers, explicitly opted in again.
    fn back_in_at(&self, switch: &Switch) -> Option<Timestamp> {
        let wishes = || switch.covers.iter().filter_map(|subject| self.wishes.get(subject));
        wishes().any(|wish| wish.out_at.is_some()).then(|| wishes().filter_map(|wish| wish.in_at).max())?
    }

    /// The person's latest opt-in in the tool itself.
    fn own_in_at(&self, switch: &Switch) -> Option<Timestamp> {
        let wishes = switch.speaks.iter().filter_map(|(_, subject)| self.wishes.get(subject));
        wishes.filter_map(|wish| wish.own_in.get(&switch.destination)).max().copied()
    }

    /// The tool had to take the person in again: since when.
    pub(super) fn was_told_in(&self, switch: &Switch) -> Option<Timestamp> {
        self.back_in_at(switch).filter(|_| self.may_have_been_told(switch.destination))
    }

    /// A job has been left for the tool.
    fn may_have_been_told(&self, tool: Destination) -> bool {
        self.version(tool) > 0
    }

    /// The tool had to be out at that time: since when. A report of that may be the echo of our telling. The tools tell seconds.
    pub(super) fn was_told_out(&self, switch: &Switch, at: Timestamp) -> Option<Timestamp> {
        if !self.may_have_been_told(switch.destination) {
            return None;
        }
        let wishes = || switch.covers.iter().filter_map(|subject| self.wishes.get(subject));
        let out_at = wishes().filter_map(|wish| wish.out_at).max().filter(|out_at| out_at.secs() <= at.secs())?;
        let back = wishes().filter_map(|wish| wish.in_at).chain(self.own_in_at(switch)).max();
        back.is_none_or(|back| back <= out_at || back > at).then_some(out_at)
    }

    /// The tool may have been told to take the person in again, and this may be its echo, rather than an act of the person: unless the
    /// record was out in between.
    pub(super) fn may_echo_opt_in(&self, switch: &Switch, last: Option<Report>, at: Timestamp) -> bool {
        let Some(in_at) = self.was_told_in(switch).filter(|in_at| in_at.secs() <= at.secs()) else { return false };
        !last.is_some_and(|last| last.choice == Choice::Out && last.at.secs() >= in_at.secs() && last.at < at)
    }

    /// What the person is out of, of all that the switch covers, and since when. A topic that the tools share is one topic: an
    /// explicit opt-in to it in one of them is one in all.
    pub(super) fn out_of<'s>(&'s self, switch: &'s Switch) -> impl Iterator<Item = (&'s Subject, Timestamp)> {
        let wishes = || switch.covers.iter().filter_map(|subject| Some((subject, self.wishes.get(subject)?)));
        let back_at = if switch.is_topic { wishes().filter_map(|(_, wish)| wish.in_at).max() } else { None };
        let out = wishes().filter(|(subject, _)| self.is_out(subject)).filter_map(|(subject, wish)| Some((subject, wish.out_at?)));
        out.filter(move |(_, out_at)| back_at.is_none_or(|back_at| *out_at >= back_at))
    }

    /// Notes what each tool must have now, as a consequence of `event`. `gained`: the person has another id, or another record at a
    /// tool, so that even what has not changed has somewhere new to go.
    pub fn settle(&mut self, event: &EventId, gained: bool, rules: &ConsentConfig) {
        for tool in Destination::ALL {
            let mut digest = Digest::new("consent");
            let mut is_anything_wanted = false;
            for Wanted { key, choice, otherwise, .. } in self.wanted(tool, rules) {
                is_anything_wanted = true;
                let otherwise = otherwise.map_or_else(String::new, |at| at.millis().to_string());
                digest = digest.with(key).with(if choice == Choice::Out { "out" } else { "in" }).with(&otherwise);
            }
            let hash = if is_anything_wanted { digest.hex() } else { String::new() };
            let known = self.levels.get(&tool);
            let moved = known.map_or("", |level| level.hash.as_str()) != hash;
            if moved || (gained && is_anything_wanted) {
                let level = self.levels.entry(tool).or_default();
                *level = Level { version: level.version + 1, hash, moved_by: Some(event.clone()) };
            }
        }
    }

    /// This event is the one for which the tool must be told something: the version of it.
    pub fn moved_by(&self, event: &EventId, tool: Destination) -> Option<u64> {
        self.levels.get(&tool).filter(|level| level.moved_by.as_ref() == Some(event)).map(|level| level.version)
    }

    pub fn version(&self, tool: Destination) -> u64 {
        self.levels.get(&tool).map_or(0, |level| level.version)
    }
}
