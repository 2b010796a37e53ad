//! What each tool must be told of consent, and what it has been told.
//!
//! A tool has *switches*: one for all its mail, one for each topic. The operator's mapping says which switches of different
//! tools are about the same. A switch must be out as soon as anything that it covers is; it is turned back only by an
//! explicit opt-in. What a tool reports after it was told so is its echo, and no news.

use super::{Belief, Consent, Subject};
use crate::config::ConsentConfig;
use crate::event::{Channel, Choice, ConsentChange, Source};
use crate::id::EventId;
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
    /// Whoever is out of one of these must be out here.
    covers: Vec<Subject>,
    /// By which the tool itself speaks of it.
    speaks: Vec<(Source, Subject)>,
}

/// Of a channel that a tool has a switch for besides the one for everything: by tool the attribute or trait that is true for
/// whoever is out.
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

/// Where a tool stands with one of its switches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Stand {
    /// By us, when.
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<Belief>,
    /// What the tool said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    heard: Option<Belief>,
    /// The person opted in again in this tool: there it holds against every opt-out before.
    #[serde(skip_serializing_if = "Option::is_none")]
    own_in: Option<Timestamp>,
}

/// What a tool's word about its own switch is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    News,
    /// Of what it is told.
    Echo,
    /// The state from before it was told.
    Old,
}

impl Stand {
    /// What the tool has, as far as we know.
    fn now(&self) -> Option<Choice> {
        let latest = match (&self.told, &self.heard) {
            (Some(told), Some(heard)) if heard.at > told.at => heard,
            (Some(one), _) | (None, Some(one)) => one,
            (None, None) => return None,
        };
        Some(latest.choice)
    }

    /// `act`: it is said to have been done just then. `listed`: all topics are told whenever one changes, so that an opt-in is an
    /// act only where the tool was heard to have the person out.
    fn hear(&mut self, choice: Choice, at: Timestamp, act: bool, listed: bool) -> Heard {
        let was_out = self.heard.is_some_and(|heard| heard.choice == Choice::Out);
        // It has been heard to have the person out since.
        let is_late = self.heard.is_some_and(|heard| heard.choice == Choice::Out && heard.at > at);
        // Of two words at once the one that leaves more to be told.
        if self.heard.is_none_or(|heard| at > heard.at || (at == heard.at && choice == Choice::In)) {
            self.heard = Some(Belief { choice, at });
        }
        let Some(told) = self.told else {
            if act && choice == Choice::In {
                self.own_in = self.own_in.max(Some(at));
            }
            return Heard::News;
        };
        // The tools tell seconds.
        let (said, told_at) = (at.secs(), told.at.secs());
        match (told.choice, choice) {
            (Choice::Out, Choice::Out) | (Choice::In, Choice::In) if said >= told_at => return Heard::Echo,
            (Choice::Out, Choice::Out) | (Choice::In, Choice::In) => {}
            (Choice::In, Choice::Out) if said >= told_at => self.told = None,
            (Choice::Out, Choice::In) if listed && !was_out => return Heard::Old,
            (Choice::Out, Choice::In) if act && said > told_at && !is_late => {
                self.told = None;
                self.own_in = self.own_in.max(Some(at));
            }
            // An older word, or a belief from before our own has arrived: it is told again.
            (Choice::In, Choice::Out) | (Choice::Out, Choice::In) => {}
        }
        Heard::News
    }
}

impl Consent {
    /// Takes note of what a tool says of its own switch. An echo of an opt-out is about no more than what the tool was told for,
    /// and an echo of an opt-in about nothing.
    pub(super) fn is_echo(&mut self, source: Source, change: &ConsentChange, at: Timestamp, act: bool, rules: &ConsentConfig) -> bool {
        let spoken = (source, Subject::of(source, change));
        let Some(switch) = rules.switches.iter().find(|switch| switch.speaks.contains(&spoken)) else { return false };
        // An event of Segment says what somebody did, and leaves the trait as it was; and it is never ours, since those are
        // known at the door.
        if act && source == Source::Segment {
            return false;
        }
        // Nearly everybody is in everywhere, and nobody has ever said more: not worth remembering.
        let is_known = self.stands.get(&switch.destination).is_some_and(|stands| stands.contains_key(&switch.key));
        if change.choice == Choice::In && !is_known && !switch.covers.iter().any(|subject| self.wishes.contains_key(subject)) {
            return false;
        }
        let stand = self.stands.entry(switch.destination).or_default().entry(switch.key.clone()).or_default();
        match stand.hear(change.choice, at, act, switch.is_topic) {
            Heard::News => return false,
            Heard::Old => return true,
            Heard::Echo => {}
        }
        if change.choice == Choice::Out {
            let out: Vec<Subject> = self.out_of(switch).map(|(subject, _)| subject.clone()).collect();
            // Told for what has been taken back since: then it says it by itself.
            if out.is_empty() {
                return false;
            }
            // A human may have done it as well, and nobody can tell: then it counts from now on.
            for subject in out {
                self.wishes.entry(subject).or_default().opt_out(at);
            }
        }
        let (_, subject) = spoken;
        if let Some(wish) = self.wishes.get_mut(&subject) {
            wish.believe(source, change.choice, at);
        }
        true
    }

    /// Decides what the tools must be told now. `again`: they may be others than before, or hold other records of the person.
    /// `several`: tools that keep several records of the person. What one of them says, the others need not know.
    pub fn settle(&mut self, event: &EventId, again: bool, several: &[Destination], rules: &ConsentConfig, now: Timestamp) {
        let mut moved = again && self.stands.values().flat_map(BTreeMap::values).any(|stand| stand.told.is_some());
        if !self.wishes.is_empty() {
            for switch in &rules.switches {
                moved |= self.settle_one(switch, several.contains(&switch.destination), now);
            }
        }
        if moved {
            self.version += 1;
            self.moved_by = Some(event.clone());
        }
    }

    fn settle_one(&mut self, switch: &Switch, several: bool, now: Timestamp) -> bool {
        let out_at = self.out_of(switch).map(|(_, out_at)| out_at).max();
        let is_back = switch.covers.iter().any(|subject| self.wishes.get(subject).is_some_and(|wish| wish.in_at.is_some()));
        let stand = self.stands.get(&switch.destination).and_then(|stands| stands.get(&switch.key));
        let has = stand.and_then(Stand::now);
        let choice = match out_at {
            Some(out_at) if stand.and_then(|stand| stand.own_in).is_none_or(|own_in| own_in <= out_at) => Choice::Out,
            None if is_back && (has == Some(Choice::Out) || (several && has.is_some())) => Choice::In,
            Some(_) | None => return false,
        };
        let was_told = || stand.and_then(|stand| stand.told).is_some_and(|told| told.choice == choice);
        if has == Some(choice) && (!several || was_told()) {
            return false;
        }
        let stand = self.stands.entry(switch.destination).or_default().entry(switch.key.clone()).or_default();
        // A tool whose clock is ahead has not said anything later than this.
        let at = stand.heard.map_or(now, |heard| now.max(heard.at));
        stand.told = Some(Belief { choice, at });
        // Segment never says what it was told, so that the next opt-out there would look like the one before.
        if switch.destination == Destination::Segment && choice == Choice::In {
            for (source, subject) in &switch.speaks {
                if let Some(wish) = self.wishes.get_mut(subject) {
                    wish.believe(*source, Choice::In, at);
                }
            }
        }
        true
    }

    /// What the person is out of, of all that the switch covers, and since when. A topic that the tools share is one topic: an
    /// explicit opt-in to it in one of them is one in all.
    fn out_of<'s>(&'s self, switch: &'s Switch) -> impl Iterator<Item = (&'s Subject, Timestamp)> {
        let wishes = || switch.covers.iter().filter_map(|subject| Some((subject, self.wishes.get(subject)?)));
        let back_at = if switch.is_topic { wishes().filter_map(|(_, wish)| wish.in_at).max() } else { None };
        let out = wishes().filter(|(subject, _)| self.is_out(subject)).filter_map(|(subject, wish)| Some((subject, wish.out_at?)));
        out.filter(move |(_, out_at)| back_at.is_none_or(|back_at| *out_at >= back_at))
    }

    /// What this tool is to be told, by key, and since when: the same told again is to be written again.
    pub fn told(&self, destination: Destination) -> impl Iterator<Item = (&str, Belief)> {
        let stands = self.stands.get(&destination).into_iter().flatten();
        stands.filter_map(|(key, stand)| Some((key.as_str(), stand.told?)))
    }

    /// The tool is to keep the person out of something.
    pub fn tells_out(&self, destination: Destination) -> bool {
        self.told(destination).any(|(_, told)| told.choice == Choice::Out)
    }

    /// This event is the one for which tools must be told something.
    pub fn moved_by(&self, event: &EventId) -> bool {
        self.moved_by.as_ref() == Some(event)
    }

    pub fn version(&self) -> u64 {
        self.version
    }
}
