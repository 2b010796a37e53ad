//! Whether a person may be written to, by channel and topic.
//!
//! For each subject three times are kept: the latest opt-out, wherever it happened; the latest opt-in that counts everywhere
//! (only the facts that the operator lists as explicit); and the latest opt-in that counts in its own tool alone. Each is a
//! maximum, so order and repeats do not matter, and an opt-out that is not older than the opt-in wins. By itself consent only
//! ever tightens.
//!
//! Beside them stands what each record (a contact, a profile, a user) last reported, by the tool's own clock. A report of a
//! tool that we have told something may be the echo of that: it is then no act of the person.
//!
//! [`sync`] says what each tool must have. This module knows nothing of how it is told.

mod sync;

pub use sync::{Channels, Switch, Told, Topics, Wanted, switches};

use crate::config::ConsentConfig;
use crate::event::{Channel, Choice, ConsentChange, Source};
use crate::id::Digest;
use crate::person::RecordKey;
use crate::ports::Destination;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Subjects kept of one person: every channel, and some tens of topics of three tools.
const SUBJECTS_KEPT: usize = 200;

/// Records whose last report is kept for one subject. What is dropped is told once more.
const REPORTS_KEPT: usize = 20;

/// Of a topic's id; longer ones are kept as their hash.
const LONGEST_TOPIC_BYTES: usize = 100;

/// All that is known of one person's wishes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Consent {
    /// A subject that is not in it has never been spoken of.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    wishes: BTreeMap<Subject, Wish>,
    /// What each tool must have, as it was when a job was last left for it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    levels: BTreeMap<Destination, sync::Level>,
}

/// What an opt-out or opt-in is about: `email`, `all`, `email/intercom:1943066`. A topic is named as its own tool names it,
/// since only a mapping by the operator can say which topics of two tools are the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject(String);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// The latest opt-out, in any tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_at: Option<Timestamp>,
    /// The latest explicit opt-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_at: Option<Timestamp>,
    /// The latest opt-in in each tool: there it holds against every older opt-out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub own_in: BTreeMap<Destination, Timestamp>,
    /// What each record last reported.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reports: BTreeMap<RecordKey, Report>,
}

/// What a record had, by the clock of its tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub choice: Choice,
    pub at: Timestamp,
}

/// One thing that a tool says of a person's consent.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    pub source: Source,
    /// The contact, profile or user that it is said of.
    pub record: &'a RecordKey,
    pub change: &'a ConsentChange,
    pub at: Timestamp,
    pub how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The person, or somebody for them, did it at that time.
    Act,
    /// It is the state that the tool had at that time, told along with something else.
    State,
}

impl Subject {
    pub fn of(source: Source, change: &ConsentChange) -> Self {
        Self::new(change.channel, change.topic.as_ref().map(|topic| (source, topic.id.as_str())))
    }

    /// `channel`: `None` for all of them. `topic`: with the tool that calls it so.
    pub fn new(channel: Option<Channel>, topic: Option<(Source, &str)>) -> Self {
        let channel = channel.map_or("all", Channel::as_str);
        // No tool's own ids are nearly as long; but anybody who may send can make some up, and all of them are kept.
        let short = |id: &str| if id.len() > LONGEST_TOPIC_BYTES { Digest::new("topic").with(id).hex() } else { id.to_owned() };
        Self(topic.map_or_else(|| channel.to_owned(), |(source, id)| format!("{channel}/{}:{}", source.name(), short(id))))
    }

    /// Rather than a whole channel, or everything.
    fn is_topic(&self) -> bool {
        self.0.contains('/')
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Wish {
    fn opt_out(&mut self, at: Timestamp) {
        self.out_at = self.out_at.max(Some(at));
    }

    fn opt_in_at(&mut self, tool: Destination, at: Timestamp) {
        let known = self.own_in.entry(tool).or_insert(at);
        *known = at.max(*known);
    }

    /// The later report; of two at once the opt-in, since it leaves more to be told.
    fn report(&mut self, record: &RecordKey, report: Report) {
        let known = self.reports.entry(record.clone()).or_insert(report);
        if report.is_after(*known) {
            *known = report;
        }
        while self.reports.len() > REPORTS_KEPT {
            let Some(oldest) = self.reports.iter().min_by_key(|(_, report)| report.at).map(|(record, _)| record.clone()) else { return };
            self.reports.remove(&oldest);
        }
    }

    fn unite(&mut self, other: Self) {
        self.out_at = self.out_at.max(other.out_at);
        self.in_at = self.in_at.max(other.in_at);
        for (tool, at) in other.own_in {
            self.opt_in_at(tool, at);
        }
        for (record, report) in other.reports {
            self.report(&record, report);
        }
    }
}

impl Report {
    fn is_after(self, other: Self) -> bool {
        (self.at, self.choice == Choice::In) > (other.at, other.choice == Choice::In)
    }
}

/// Of which tool's switches a source speaks.
fn tool_of(source: Source) -> Option<Destination> {
    match source {
        Source::Intercom => Some(Destination::Intercom),
        Source::Customerio | Source::Pipelines => Some(Destination::Customerio),
        Source::Segment => Some(Destination::Segment),
        Source::Trefoil => None,
    }
}

impl Consent {
    pub fn is_empty(&self) -> bool {
        self.wishes.is_empty()
    }

    /// Takes in what a tool says.
    pub fn hear(&mut self, said: &Said<'_>, rules: &ConsentConfig) {
        let Said { source, record, change, at, how } = *said;
        let spoken = (source, Subject::of(source, change));
        let switch = rules.switches.iter().find(|switch| switch.speaks.contains(&spoken));
        let is_spoken_of = |subject: &Subject| self.wishes.contains_key(subject);
        let is_known = is_spoken_of(&spoken.1) || switch.is_some_and(|switch| switch.covers.iter().any(is_spoken_of));
        if (change.choice, how) == (Choice::In, How::State) && !is_known {
            // Almost everybody is in: not worth remembering.
            return;
        }
        if change.choice == Choice::In {
            self.note_later_opt_out(said, &spoken.1, switch);
        }
        let is_act = self.is_act(said, &spoken.1, switch);
        let was_echo_of = switch.filter(|_| how == How::Act && change.choice == Choice::Out && !is_act);
        if let Some(switch) = was_echo_of {
            // The person may have done it as well, and nobody can tell. It counts for what the tool was told for, and no more.
            let out: Vec<Subject> = self.out_of(switch).map(|(subject, _)| subject.clone()).collect();
            for subject in out {
                self.wishes.entry(subject).or_default().opt_out(at);
            }
        }
        let Some(wish) = self.wish(source, change) else { return };
        match (change.choice, is_act) {
            (Choice::Out, true) => wish.opt_out(at),
            (Choice::In, true) => {
                if let Some(tool) = tool_of(source) {
                    wish.opt_in_at(tool, at);
                }
                if rules.explicit_opt_ins.contains(&source) {
                    wish.in_at = wish.in_at.max(Some(at));
                }
            }
            (Choice::Out | Choice::In, false) => {}
        }
        // An event at Segment says what somebody did, and leaves the trait there as it was.
        if !(how == How::Act && source == Source::Segment) {
            wish.report(record, Report { choice: change.choice, at });
        }
    }

    /// Whether what is said is something that the person did, rather than a state that was known or the echo of our own writing.
    fn is_act(&self, said: &Said<'_>, subject: &Subject, switch: Option<&Switch>) -> bool {
        let Said { source, record, change, at, how } = *said;
        let last = self.last_report(subject, record);
        // What Trefoil writes to Segment never comes back: it is recognised at the door by its mark.
        let is_segment = source == Source::Segment;
        let told_out = switch.filter(|_| !is_segment).and_then(|switch| self.was_told_out(switch, at));
        match (how, change.choice) {
            // The first report after the tool was told is the echo, a further one is not.
            (How::Act, Choice::Out) => told_out
                .is_none_or(|told| last.is_some_and(|last| last.choice == Choice::Out && last.at.secs() >= told.secs() && last.at < at)),
            (How::State, Choice::Out) => {
                let is_still_out = last.is_some_and(|last| {
                    // Segment never reports what it was told, so that what it is told counts as its report.
                    let told_in = switch.filter(|_| is_segment).and_then(|switch| self.was_told_in(switch));
                    last.choice == Choice::Out && told_in.is_none_or(|told| told < last.at)
                });
                told_out.is_none() && !is_still_out
            }
            (How::Act, Choice::In) => is_segment || switch.is_none_or(|switch| !self.may_echo_opt_in(switch, last, at)),
            (How::State, Choice::In) => false,
        }
    }

    /// The record was in at that time, and is known to have been out later: so it opted out in between, though that was told first.
    fn note_later_opt_out(&mut self, said: &Said<'_>, subject: &Subject, switch: Option<&Switch>) {
        let Some(later) = self.last_report(subject, said.record) else { return };
        let is_echo = switch.filter(|_| said.source != Source::Segment).is_some_and(|switch| self.was_told_out(switch, later.at).is_some());
        if later.choice == Choice::Out
            && later.at >= said.at
            && !is_echo
            && let Some(wish) = self.wishes.get_mut(subject)
        {
            wish.opt_out(later.at);
        }
    }

    fn last_report(&self, subject: &Subject, record: &RecordKey) -> Option<Report> {
        self.wishes.get(subject)?.reports.get(record).copied()
    }

    /// Takes over what another record of the same human wished: opt-outs united.
    pub fn absorb(&mut self, other: Self) {
        let out: Vec<Subject> = self.out().chain(other.out()).cloned().collect();
        for (tool, level) in other.levels {
            self.levels.entry(tool).or_default().unite(&level);
        }
        for (subject, wish) in other.wishes {
            self.wishes.entry(subject).or_default().unite(wish);
        }
        // That one of two records opted in says nothing about the other's opt-out: who was out stays out.
        let all_in_at = self.all_in_at();
        // Which topics are one is not known here, so that an opt-in to any of them is older.
        let topics_in_at = self.wishes.iter().filter(|(subject, _)| subject.is_topic()).filter_map(|(_, wish)| wish.in_at).max();
        if !out.is_empty() {
            self.wishes.values_mut().for_each(|wish| wish.own_in.clear());
        }
        for subject in out {
            let in_at = if subject.is_topic() { topics_in_at } else { all_in_at };
            let wish = self.wishes.entry(subject).or_default();
            if wish.out_at < wish.in_at.max(in_at) {
                wish.out_at = wish.in_at.max(in_at);
            }
        }
    }

    /// Out of this channel, or of everything. Topics are not looked at.
    pub fn is_out_of(&self, channel: Channel) -> bool {
        [Subject::new(Some(channel), None), Subject::new(None, None)].iter().any(|subject| self.is_out(subject))
    }

    /// Nobody may write to the person about this. Into everything is into each channel, though not into a topic.
    pub fn is_out(&self, subject: &Subject) -> bool {
        let Some(wish) = self.wishes.get(subject) else { return false };
        let in_at = if subject.is_topic() { wish.in_at } else { wish.in_at.max(self.all_in_at()) };
        wish.out_at.is_some_and(|out| in_at.is_none_or(|back_in| out >= back_in))
    }

    fn all_in_at(&self) -> Option<Timestamp> {
        self.wishes.get(&Subject::new(None, None))?.in_at
    }

    /// Subjects that the person is out of.
    pub fn out(&self) -> impl Iterator<Item = &Subject> {
        self.wishes.keys().filter(|subject| self.is_out(subject))
    }

    /// Every subject ever spoken of.
    pub fn wishes(&self) -> impl Iterator<Item = (&Subject, &Wish)> {
        self.wishes.iter()
    }

    /// Where there are too many topics, an opt-out of another one is taken for the whole channel, since it must not be lost.
    /// `None`: an opt-in to something that there is no room for, and that nobody is known to be out of.
    fn wish(&mut self, source: Source, change: &ConsentChange) -> Option<&mut Wish> {
        let mut subject = Subject::of(source, change);
        if self.wishes.len() >= SUBJECTS_KEPT && !self.wishes.contains_key(&subject) {
            match change.choice {
                Choice::Out => subject = Subject::new(change.channel, None),
                Choice::In => return None,
            }
        }
        Some(self.wishes.entry(subject).or_default())
    }
}
