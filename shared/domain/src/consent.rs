//! Whether a person may be written to, by channel and topic, whoever was told.
//!
//! Of each subject the latest opt-out and the latest explicit opt-in are kept. Each is a maximum, so that order and repeats
//! do not matter; an opt-out that is not older than the opt-in wins. Only what the operator calls explicit moves the second:
//! by itself consent only ever tightens. What each tool was last heard to believe is kept beside it: it is not the truth,
//! but what a later comparison starts from.
//!
//! `telling` says which tool must be told what. This module knows nothing of how.

mod telling;

pub use telling::{Channels, Switch, Topics, switches};

use crate::config::ConsentConfig;
use crate::event::{Channel, Choice, ConsentChange, Source};
use crate::id::{Digest, EventId};
use crate::ports::Destination;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Subjects kept of one person: every channel, and some tens of topics of three tools.
const SUBJECTS_KEPT: usize = 200;

/// Of a topic's id; longer ones are kept as their hash.
const LONGEST_TOPIC_BYTES: usize = 100;

/// All that is known of one person's wishes, and what the tools have been told of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Consent {
    /// A subject that is not in it has never been spoken of.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    wishes: BTreeMap<Subject, Wish>,
    /// By tool, and by key of the switch.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    stands: BTreeMap<Destination, BTreeMap<String, telling::Stand>>,
    /// Moves when a tool must be told something.
    #[serde(skip_serializing_if = "is_zero")]
    version: u64,
    /// The event that moved it last: seeing that one again leaves the jobs again, in case they were lost in a crash.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_by: Option<EventId>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(version: &u64) -> bool {
    *version == 0
}

/// What an opt-out or opt-in is about: `email`, `all`, `email/intercom:1943066`. A topic is named as its own tool names it,
/// since only a mapping by the operator can say which topics of two tools are the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject(String);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// The latest opt-out, in whatever tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_at: Option<Timestamp>,
    /// The latest explicit opt-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_at: Option<Timestamp>,
    /// What each tool was last heard to believe.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub believed: BTreeMap<Source, Belief>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belief {
    pub choice: Choice,
    pub at: Timestamp,
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
}

impl Subject {
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

    /// The later belief, of two at once the tighter one.
    fn believe(&mut self, source: Source, choice: Choice, at: Timestamp) {
        let belief = self.believed.entry(source).or_insert(Belief { choice, at });
        if (at, choice) > (belief.at, belief.choice) {
            *belief = Belief { choice, at };
        }
    }

    /// The tool believed the person to be in at that time. If it is known to have believed them out later, then that was
    /// news, though it was told first.
    fn news_after(&mut self, source: Source, at: Timestamp) {
        if let Some(Belief { choice: Choice::Out, at: later }) = self.believed.get(&source).copied()
            && later >= at
        {
            self.opt_out(later);
        }
    }

    fn unite(&mut self, other: Self) {
        self.out_at = self.out_at.max(other.out_at);
        self.in_at = self.in_at.max(other.in_at);
        for (source, Belief { choice, at }) in other.believed {
            self.believe(source, choice, at);
        }
    }
}

impl Consent {
    pub fn is_empty(&self) -> bool {
        self.wishes.is_empty()
    }

    /// The person, or somebody for them, opted out or in.
    pub fn note_act(&mut self, source: Source, change: &ConsentChange, at: Timestamp, rules: &ConsentConfig) {
        if self.is_echo(source, change, at, true, rules) {
            return;
        }
        let Some(wish) = self.wish(source, change) else { return };
        match change.choice {
            Choice::Out => wish.opt_out(at),
            Choice::In => wish.news_after(source, at),
        }
        wish.believe(source, change.choice, at);
        if change.choice == Choice::In && rules.explicit_opt_ins.contains(&source) {
            wish.in_at = wish.in_at.max(Some(at));
        }
    }

    /// What a tool believes, told along with something else. An opt-out that it was not known to believe in is news; that
    /// it still believes in one is none, and that it believes the person to be in never is.
    pub fn note_belief(&mut self, source: Source, change: &ConsentChange, at: Timestamp, rules: &ConsentConfig) {
        if self.is_echo(source, change, at, false, rules) {
            return;
        }
        if change.choice == Choice::In && !self.wishes.contains_key(&Subject::of(source, change)) {
            // Almost everybody is in: not worth remembering.
            return;
        }
        let Some(wish) = self.wish(source, change) else { return };
        match change.choice {
            Choice::Out if wish.believed.get(&source).is_none_or(|belief| belief.choice != Choice::Out) => wish.opt_out(at),
            Choice::Out => {}
            Choice::In => wish.news_after(source, at),
        }
        wish.believe(source, change.choice, at);
    }

    /// Takes over what another record of the same human wished: opt-outs united.
    pub fn absorb(&mut self, other: Self) {
        let out: Vec<Subject> = self.out().chain(other.out()).cloned().collect();
        for (subject, wish) in other.wishes {
            self.wishes.entry(subject).or_default().unite(wish);
        }
        // That one of two records opted in says nothing about the other's opt-out: who was out stays out.
        let all_in_at = self.all_in_at();
        // Which topics are one is not known here, so that an opt-in to any of them is older.
        let topics_in_at = self.wishes.iter().filter(|(subject, _)| subject.is_topic()).filter_map(|(_, wish)| wish.in_at).max();
        for subject in out {
            let in_at = if subject.is_topic() { topics_in_at } else { all_in_at };
            let wish = self.wishes.entry(subject).or_default();
            if wish.out_at < wish.in_at.max(in_at) {
                wish.out_at = wish.in_at.max(in_at);
            }
        }
        // What each tool was told, it was told of one of the two.
        self.stands.clear();
        self.version = self.version.max(other.version);
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
