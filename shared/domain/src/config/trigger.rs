//! What a route can hang on: every name that may stand behind `on:`.
//!
//! Edges of a ticket's life come from the folded state, not from a webhook's topic.

use crate::event::{Channel, Metric, Source};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trigger {
    pub source: Source,
    pub what: What,
}

/// Kinds of facts, across the sources that report them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    TicketOpened,
    TicketReopened,
    TicketResolved,
    TicketReplied,
    TicketSnoozed,
    TicketPrioritised,
    TicketTagged,
    TicketRated,
    TicketAiRated,
    TicketAiEscalated,
    TicketDeleted,
    PersonCreated,
    PersonUpdated,
    PersonSignedUp,
    PersonMerged,
    PersonDeleted,
    PersonArchived,
    PersonRestored,
    PersonTagged,
    PersonUntagged,
    PersonUnsubscribed,
    PersonSubscribed,
    CompanyUpdated,
    CompanyDeleted,
    CompanyJoined,
    CompanyLeft,
    Message(Channel, Metric),
    ListEntered,
    ListLeft,
    JourneyStepReached,
    EventTracked,
    PageViewed,
    ScreenViewed,
    TraitComputed,
    Converted,
    ChurnRisk,
    Custom,
}

/// What Customer.io reports of each kind of message (<https://docs.customer.io/integrations/data-out/connections/webhooks/>):
/// nobody opens a webhook, and no route may wait for it.
const MESSAGES: [(Channel, &[Metric]); 7] = {
    use Metric::{
        Attempted, Bounced, Clicked, Converted, Deferred, Delivered, Drafted, Dropped, Failed, Opened, Replied, Sent, Spammed,
        Undeliverable, Unsubscribed,
    };
    [
        (
            Channel::Email,
            &[
                Drafted,
                Attempted,
                Deferred,
                Sent,
                Delivered,
                Opened,
                Clicked,
                Converted,
                Unsubscribed,
                Bounced,
                Dropped,
                Failed,
                Undeliverable,
                Spammed,
            ],
        ),
        (Channel::Sms, &[Drafted, Attempted, Sent, Delivered, Clicked, Replied, Converted, Bounced, Dropped, Failed, Undeliverable]),
        (Channel::Push, &[Drafted, Attempted, Sent, Delivered, Opened, Clicked, Converted, Bounced, Dropped, Failed, Undeliverable]),
        (Channel::InApp, &[Drafted, Attempted, Sent, Opened, Clicked, Converted, Failed, Undeliverable]),
        (
            Channel::Whatsapp,
            &[Drafted, Attempted, Sent, Delivered, Opened, Clicked, Replied, Converted, Bounced, Dropped, Failed, Undeliverable],
        ),
        (Channel::Slack, &[Drafted, Attempted, Sent, Clicked, Converted, Failed, Undeliverable]),
        (Channel::Webhook, &[Drafted, Attempted, Sent, Clicked, Converted, Failed, Undeliverable]),
    ]
};

/// Every trigger with its name, in the order in which they are listed to people.
static ALL: LazyLock<Vec<(Trigger, String)>> = LazyLock::new(|| {
    let of = |source: Source, facts: &[(&'static str, What)]| -> Vec<(Trigger, String)> {
        facts.iter().map(|(name, what)| (Trigger { source, what: *what }, format!("{}.{name}", source.name()))).collect()
    };
    let mut all = of(
        Source::Intercom,
        &[
            ("ticket.opened", What::TicketOpened),
            ("ticket.reopened", What::TicketReopened),
            ("ticket.resolved", What::TicketResolved),
            ("ticket.replied", What::TicketReplied),
            ("ticket.snoozed", What::TicketSnoozed),
            ("ticket.prioritised", What::TicketPrioritised),
            ("ticket.tagged", What::TicketTagged),
            ("ticket.rated", What::TicketRated),
            ("ticket.ai_rated", What::TicketAiRated),
            ("ticket.ai_escalated", What::TicketAiEscalated),
            ("ticket.deleted", What::TicketDeleted),
            ("person.created", What::PersonCreated),
            ("person.updated", What::PersonUpdated),
            ("person.signed_up", What::PersonSignedUp),
            ("person.merged", What::PersonMerged),
            ("person.deleted", What::PersonDeleted),
            ("person.archived", What::PersonArchived),
            ("person.restored", What::PersonRestored),
            ("person.tagged", What::PersonTagged),
            ("person.untagged", What::PersonUntagged),
            ("person.unsubscribed", What::PersonUnsubscribed),
            ("person.subscribed", What::PersonSubscribed),
            ("company.updated", What::CompanyUpdated),
            ("company.deleted", What::CompanyDeleted),
            ("company.joined", What::CompanyJoined),
            ("company.left", What::CompanyLeft),
            ("event.tracked", What::EventTracked),
        ],
    );
    all.extend(of(
        Source::Customerio,
        &[
            ("person.created", What::PersonCreated),
            ("person.updated", What::PersonUpdated),
            ("person.unsubscribed", What::PersonUnsubscribed),
            ("person.subscribed", What::PersonSubscribed),
            ("segment.entered", What::ListEntered),
            ("segment.left", What::ListLeft),
            ("conversion", What::Converted),
            ("churn_risk", What::ChurnRisk),
            ("custom", What::Custom),
        ],
    ));
    for (channel, metrics) in MESSAGES {
        all.extend(metrics.iter().map(|metric| {
            let trigger = Trigger { source: Source::Customerio, what: What::Message(channel, *metric) };
            (trigger, format!("{}.{}.{}", Source::Customerio.name(), channel.as_str(), metric.as_str()))
        }));
    }
    let spec = [
        ("person.updated", What::PersonUpdated),
        ("person.merged", What::PersonMerged),
        ("person.deleted", What::PersonDeleted),
        ("person.unsubscribed", What::PersonUnsubscribed),
        ("person.subscribed", What::PersonSubscribed),
        ("company.joined", What::CompanyJoined),
        ("company.updated", What::CompanyUpdated),
        ("event.tracked", What::EventTracked),
        ("page.viewed", What::PageViewed),
        ("screen.viewed", What::ScreenViewed),
    ];
    all.extend(of(Source::Segment, &spec));
    all.extend(of(
        Source::Segment,
        &[
            ("audience.entered", What::ListEntered),
            ("audience.left", What::ListLeft),
            ("journey.reached", What::JourneyStepReached),
            ("trait.computed", What::TraitComputed),
        ],
    ));
    all.extend(of(Source::Pipelines, &spec));
    all
});

static NAMES: LazyLock<BTreeMap<Trigger, &'static str>> =
    LazyLock::new(|| ALL.iter().map(|(trigger, name)| (*trigger, name.as_str())).collect());

impl What {
    /// The source reports it under a name that people choose, or of a list that people make: a route may be narrowed by it.
    pub fn has_name(self) -> bool {
        matches!(
            self,
            Self::ListEntered
                | Self::ListLeft
                | Self::JourneyStepReached
                | Self::EventTracked
                | Self::PageViewed
                | Self::ScreenViewed
                | Self::TraitComputed
                | Self::Converted
                | Self::Custom
        )
    }

    /// There is a `person` in it, to speak of and to send to.
    pub fn concerns_a_person(self) -> bool {
        !matches!(self, Self::CompanyUpdated | Self::CompanyDeleted)
    }
}

impl Trigger {
    /// Short for the source that most facts come from.
    pub const fn intercom(what: What) -> Self {
        Self { source: Source::Intercom, what }
    }

    /// All of them with their names, in the order in which they are listed to people.
    pub fn all() -> impl Iterator<Item = (Self, &'static str)> + Clone {
        ALL.iter().map(|(trigger, name)| (*trigger, name.as_str()))
    }

    /// As it stands in the file; `None` for what no route can hang on, since that source never reports it.
    pub fn name(self) -> Option<&'static str> {
        NAMES.get(&self).copied()
    }

    /// Expressions of such a route may speak of `ticket`.
    pub fn is_about_a_ticket(self) -> bool {
        matches!(
            self.what,
            What::TicketOpened
                | What::TicketReopened
                | What::TicketResolved
                | What::TicketReplied
                | What::TicketSnoozed
                | What::TicketPrioritised
                | What::TicketTagged
                | What::TicketRated
                | What::TicketAiRated
                | What::TicketAiEscalated
                | What::TicketDeleted
        )
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}.?", self.source.name()),
        }
    }
}
