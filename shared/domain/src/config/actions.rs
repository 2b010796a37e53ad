//! Every action that there is, as one table: parsing, checks, suggestions, rendering and the page `docs/configuration.md`
//! go by it. What an action is once its fields are filled in: [`crate::action`].
//!
//! Limits of Intercom: <https://www.intercom.com/help/en/articles/175-set-up-event-tracking-in-intercom>.

use super::{Trigger, What};
use crate::event::Source;

/// Customer.io: the longest event name, in bytes.
const MAX_EVENT_NAME_BYTES: usize = 100;
/// Customer.io takes these keys of an event as overrides of a campaign's own settings.
const RESERVED_PROPERTIES: [&str; 3] = ["recipient", "from_address", "reply_to"];
/// Intercom: the most names of events in a workspace.
pub(super) const MOST_EVENT_NAMES: usize = 120;
/// Intercom tracks 10 keys of an event; one of them is Trefoil's own mark.
const MOST_METADATA: usize = 9;

/// An action that a route may ask for.
#[derive(Debug, PartialEq, Eq)]
pub struct ActionKind {
    /// As it stands in the file.
    pub name: &'static str,
    pub destination: Destination,
    /// One line for people.
    pub help: &'static str,
    /// In the order in which they are listed to people.
    pub fields: &'static [Field],
    /// It is done to a person.
    pub needs_person: bool,
    /// What its destination reports of it: on these it would feed itself.
    pub causes: &'static [What],
    pub(super) rules: &'static [Rule],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    Customerio,
    Intercom,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    pub name: &'static str,
    pub shape: Shape,
    pub need: Need,
    /// One line for people.
    pub help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It must be there, and come to something; what to do where it is not there.
    Required(&'static str),
    /// It may be left out. Where it is there and comes to nothing, the action is not done: without it, it would be another.
    WhereGiven,
    Optional,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Shape {
    /// Text that may have `${…}` in it, and comes to a name: a number alone is none.
    Name { expected: &'static str, most_bytes: Option<usize> },
    /// Text that may have `${…}` in it; numbers and `true` become text.
    Text { expected: &'static str },
    /// Anything that JSON can hold; `"${…}"` keeps its type.
    Value,
    /// `true` or `false`, as it stands.
    Flag,
    /// One of these, as it stands.
    Word(&'static [&'static str]),
    /// Names to values, or one expression that comes to a mapping.
    Map(Map),
}

#[derive(Debug, PartialEq, Eq)]
pub struct Map {
    /// One of its entries, for messages: `a property`.
    pub(super) entry: &'static str,
    pub(super) example: &'static str,
    /// Names may have `${…}` in them.
    pub open_names: bool,
    /// The most entries, and what becomes of the others.
    pub(super) most: Option<(usize, &'static str)>,
    /// Names that mean something else to the destination.
    pub(super) reserved: &'static [&'static str],
    /// Names that do not go along where one expression gives everything: they are there only where they are written.
    pub(crate) unasked: &'static [&'static str],
}

/// What must hold between the fields of an action, or between it and its route or the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rule {
    NotBoth(&'static str, &'static str),
    /// Where this field is this word, that one must be there.
    Needs {
        field: &'static str,
        word: &'static str,
        other: &'static str,
        fix: &'static str,
    },
    /// Its names count among the few that Intercom takes: literal ones are counted, the others need a literal `fallback`.
    EventNames,
    /// `subscribed: true` only where a person opts in by an act that the operator lists.
    ExplicitOptIns,
}

impl ActionKind {
    /// The part of its name behind the destination.
    pub fn verb(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, verb)| verb)
    }

    pub(super) fn named(name: &str) -> Option<&'static Self> {
        ACTIONS.iter().find(|action| action.name == name)
    }

    /// It would be reported as the very fact that it hangs on.
    pub(super) fn feeds(&self, on: Trigger) -> bool {
        let own = match self.destination {
            Destination::Customerio => Source::Customerio,
            Destination::Intercom => Source::Intercom,
        };
        on.source == own && self.causes.contains(&on.what)
    }
}

const fn required(name: &'static str, shape: Shape, fix: &'static str, help: &'static str) -> Field {
    Field { name, shape, need: Need::Required(fix), help }
}

const fn optional(name: &'static str, shape: Shape, help: &'static str) -> Field {
    Field { name, shape, need: Need::Optional, help }
}

const fn where_given(name: &'static str, shape: Shape, help: &'static str) -> Field {
    Field { name, shape, need: Need::WhereGiven, help }
}

const fn text(expected: &'static str) -> Shape {
    Shape::Text { expected }
}

const CONTACT_ATTRIBUTES: Shape = Shape::Map(Map {
    entry: "an attribute",
    example: "plan: \"${event.attributes.plan}\"",
    open_names: true,
    most: None,
    reserved: &[],
    unasked: &[],
});
const TIME: Shape = Shape::Value;
const TAG: Shape = text("the name of a tag");
const ADMIN: Field = optional("assign_to_admin", text("the id of a teammate"), "Id of a teammate. Not beside `assign_to_team`");
const TEAM: Field = optional("assign_to_team", text("the id of a team"), "Id of a team. Not beside `assign_to_admin`");

/// In the order in which they are listed to people.
pub static ACTIONS: &[ActionKind] = &[
    ActionKind {
        name: "customerio.track_event",
        destination: Destination::Customerio,
        help: "An event on the person's profile, which starts campaigns there",
        fields: &[
            required(
                "name",
                Shape::Name { expected: "the event's name", most_bytes: Some(MAX_EVENT_NAME_BYTES) },
                "say what the event is called at Customer.io",
                "At most 100 bytes",
            ),
            optional(
                "properties",
                Shape::Map(Map {
                    entry: "a property",
                    example: "ticket_id: \"${ticket.id}\"",
                    open_names: false,
                    most: None,
                    reserved: &RESERVED_PROPERTIES,
                    unasked: &[],
                }),
                "`recipient`, `from_address` and `reply_to` are Customer.io's own",
            ),
        ],
        needs_person: true,
        causes: &[],
        rules: &[],
    },
    ActionKind {
        name: "intercom.upsert_contact",
        destination: Destination::Intercom,
        help: "Brings the contact up to date",
        fields: &[
            optional("create", Shape::Flag, "Makes a contact where there is none. `false` where it is left out; Intercom bills by people"),
            optional("role", Shape::Word(&["user", "lead"]), "Left out: a user where there is a user id, else a lead"),
            optional("name", text("the person's name"), ""),
            optional("phone", text("a telephone number"), ""),
            optional("avatar", text("the address of a picture"), "Address of a picture"),
            optional("signed_up_at", TIME, "Unix seconds, or ISO 8601"),
            optional("last_seen_at", TIME, "Unix seconds, or ISO 8601"),
            optional("owner_id", text("the id of a teammate"), "Id of a teammate"),
            optional("attributes", CONTACT_ATTRIBUTES, "Custom attributes; what is not defined at Intercom is left out, and said so"),
        ],
        needs_person: true,
        causes: &[What::PersonUpdated, What::PersonCreated],
        rules: &[],
    },
    ActionKind {
        name: "intercom.add_tag",
        destination: Destination::Intercom,
        help: "A tag on the contact; one that is not there yet is made",
        fields: &[required("tag", TAG, "say which tag", "By name")],
        needs_person: true,
        causes: &[What::PersonTagged],
        rules: &[],
    },
    ActionKind {
        name: "intercom.remove_tag",
        destination: Destination::Intercom,
        help: "Takes a tag off the contact",
        fields: &[required("tag", TAG, "say which tag", "By name")],
        needs_person: true,
        causes: &[What::PersonUntagged],
        rules: &[],
    },
    ActionKind {
        name: "intercom.track_event",
        destination: Destination::Intercom,
        help: "An event beside the contact's conversations",
        fields: &[
            required(
                "name",
                Shape::Name { expected: "the event's name", most_bytes: None },
                "say what the event is called at Intercom",
                "Intercom takes 120 names in all: those that stand in the file are counted",
            ),
            optional(
                "fallback",
                Shape::Name { expected: "the event's name", most_bytes: None },
                "Takes the place of a new `name` where Intercom has 120. As it stands; must be there where `name` has `${…}`",
            ),
            optional(
                "metadata",
                Shape::Map(Map {
                    entry: "an entry",
                    example: "plan: \"${event.attributes.plan}\"",
                    open_names: false,
                    most: Some((MOST_METADATA, "Intercom keeps the first 10 of an event, and one is Trefoil's own mark")),
                    reserved: &[],
                    unasked: &["email"],
                }),
                "At most 9. `email` only where it is written, not out of `\"${event.attributes}\"`",
            ),
        ],
        needs_person: true,
        causes: &[What::EventTracked],
        rules: &[Rule::EventNames],
    },
    ActionKind {
        name: "intercom.set_subscription",
        destination: Destination::Intercom,
        help: "Takes the contact out of e-mail, or back in",
        fields: &[
            where_given("topic", text("a subscription type"), "A subscription type by its name or id; left out: all e-mail"),
            required(
                "subscribed",
                Shape::Flag,
                "write `subscribed: false` to take the contact out",
                "`true` only on an opt-in that stands under `consent.explicit_opt_ins`, and never against an opt-out",
            ),
        ],
        needs_person: true,
        causes: &[What::PersonUnsubscribed, What::PersonSubscribed],
        rules: &[Rule::ExplicitOptIns],
    },
    ActionKind {
        name: "intercom.open_conversation",
        destination: Destination::Intercom,
        help: "A conversation as if the contact had begun it. People see it",
        fields: &[
            required("body", text("what the conversation begins with"), "say what the conversation begins with", ""),
            ADMIN,
            TEAM,
            optional("note", text("a note for teammates"), "For teammates only"),
            optional("tag", TAG, "On the conversation"),
        ],
        needs_person: true,
        causes: &[What::TicketOpened, What::TicketReopened],
        rules: &[Rule::NotBoth("assign_to_admin", "assign_to_team")],
    },
    ActionKind {
        name: "intercom.send_message",
        destination: Destination::Intercom,
        help: "A message from the teammate of the settings to the contact. People see it",
        fields: &[
            required("channel", Shape::Word(&["in_app", "email"]), "write `channel: in_app` or `channel: email`", ""),
            where_given("subject", text("the subject of a mail"), "Must be there for `channel: email`"),
            required("body", text("what the message says"), "say what the message says", ""),
        ],
        needs_person: true,
        causes: &[],
        rules: &[Rule::Needs {
            field: "channel",
            word: "email",
            other: "subject",
            fix: "Intercom sends no mail without one: add `subject:`, or write `channel: in_app`",
        }],
    },
    ActionKind {
        name: "intercom.add_note",
        destination: Destination::Intercom,
        help: "A note for teammates. People see it",
        fields: &[
            required("body", text("what the note says"), "say what the note says", ""),
            optional(
                "on",
                Shape::Word(&["contact", "conversation"]),
                "`conversation`: the latest open one; where there is none, the contact. Left out: `contact`",
            ),
        ],
        needs_person: true,
        causes: &[],
        rules: &[],
    },
    ActionKind {
        name: "intercom.create_ticket",
        destination: Destination::Intercom,
        help: "A ticket for the contact. People see it",
        fields: &[
            required("ticket_type", text("the id of a ticket type"), "give the id of one of your ticket types", "Id of the ticket type"),
            required("title", text("the ticket's title"), "say what the ticket is about", ""),
            optional("description", text("the ticket's description"), ""),
            optional("attributes", CONTACT_ATTRIBUTES, "Of the ticket type"),
            ADMIN,
            TEAM,
        ],
        needs_person: true,
        causes: &[What::TicketOpened, What::TicketReopened],
        rules: &[Rule::NotBoth("assign_to_admin", "assign_to_team")],
    },
    ActionKind {
        name: "intercom.upsert_company",
        destination: Destination::Intercom,
        help: "The company, and the person's part in it where there is a contact",
        fields: &[
            required(
                "company_id",
                text("your own id of the company"),
                "write `company_id: \"${event.company_id}\"`, or what else is your own id of it",
                "Your own id of it; never changes",
            ),
            optional("name", text("the company's name"), ""),
            optional("plan", text("the company's plan"), ""),
            optional("size", Shape::Value, "Number of people"),
            optional("website", text("an address"), ""),
            optional("industry", text("an industry"), ""),
            optional("monthly_spend", Shape::Value, "Whole units of money"),
            optional("remote_created_at", TIME, "Unix seconds, or ISO 8601"),
            optional("attributes", CONTACT_ATTRIBUTES, "Custom attributes of companies"),
        ],
        needs_person: false,
        causes: &[What::CompanyUpdated, What::CompanyJoined],
        rules: &[],
    },
    ActionKind {
        name: "intercom.archive_contact",
        destination: Destination::Intercom,
        help: "Out of sight, with its history; whoever comes back is taken out of the archive",
        fields: &[],
        needs_person: true,
        causes: &[],
        rules: &[],
    },
    ActionKind {
        name: "intercom.delete_contact",
        destination: Destination::Intercom,
        help: "For good, with its history",
        fields: &[],
        needs_person: true,
        causes: &[],
        rules: &[],
    },
    ActionKind {
        name: "intercom.merge_contacts",
        destination: Destination::Intercom,
        help: "Leads of the person go up in their user",
        fields: &[],
        needs_person: true,
        causes: &[],
        rules: &[],
    },
];
