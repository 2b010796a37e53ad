//! Every action that there is, as one table: parsing, checks, suggestions, rendering and the page `docs/configuration.md`
//! go by it. What an action is once its fields are filled in: [`crate::action`].
//!
//! Limits of Intercom: <https://www.intercom.com/help/en/articles/175-set-up-event-tracking-in-intercom>.

use super::{Trigger, What};
use crate::ports::Destination;

/// Customer.io: the longest event name, in bytes.
const MAX_EVENT_NAME_BYTES: usize = 100;
/// Customer.io takes these keys of an event as overrides of a campaign's own settings.
const RESERVED_PROPERTIES: [&str; 3] = ["recipient", "from_address", "reply_to"];
/// Customer.io: the most attributes in a call.
const MOST_ATTRIBUTES: usize = 300;
/// These name a person there, or change their consent, or how a call is taken.
const RESERVED_ON_PEOPLE: [&str; 10] = [
    "id",
    "email",
    "cio_id",
    "anonymous_id",
    "unsubscribed",
    "cio_subscription_preferences",
    "_cio_subscription_preferences_computed",
    "cio_relationships",
    "_timestamp",
    "_update",
];
/// Segment: the most traits or properties that a profile takes of a message.
const MOST_PROPERTIES: usize = 300;
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
    /// Names that mean something else to the destination, and what, for messages.
    pub(super) reserved: &'static [&'static str],
    pub(super) reserved_for: &'static str,
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
    /// It deletes people, and a ticket is no reason to.
    NotForTickets,
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
        on.source == self.destination.source() && self.causes.contains(&on.what)
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
    reserved_for: "",
    unasked: &[],
});
/// Of a profile, an object or a device at Customer.io.
const PROFILE_ATTRIBUTES: Shape = Shape::Map(Map {
    entry: "an attribute",
    example: "plan: \"${event.attributes.plan}\"",
    open_names: true,
    most: Some((MOST_ATTRIBUTES, "Customer.io takes no more in a call")),
    reserved: &RESERVED_ON_PEOPLE,
    reserved_for: "says at Customer.io who somebody is or what they consented to, which goes along by itself",
    unasked: &RESERVED_ON_PEOPLE,
});
const EVENT_NAME: Field = required(
    "name",
    Shape::Name { expected: "the event's name", most_bytes: Some(MAX_EVENT_NAME_BYTES) },
    "say what the event is called at Customer.io",
    "At most 100 bytes",
);
const EVENT_PROPERTIES: Field = optional(
    "properties",
    Shape::Map(Map {
        entry: "a property",
        example: "ticket_id: \"${ticket.id}\"",
        open_names: false,
        most: None,
        reserved: &RESERVED_PROPERTIES,
        reserved_for: "of an event is taken by Customer.io as an override of the campaign's own",
        unasked: &[],
    }),
    "`recipient`, `from_address` and `reply_to` are Customer.io's own",
);
const SEGMENT_ID: Shape = text("the id of a manual segment");
const OBJECT_TYPE: Field = optional("type", text("the number of a kind of objects"), "Customer.io's number of the kind; left out: `1`");
const OBJECT_ID: Field = required(
    "id",
    text("your own id of the object"),
    "write `id: \"${event.company_id}\"`, or what else is your own id of it",
    "Your own id of it",
);
const TIME: Shape = Shape::Value;

/// Of a person, an event or a company at Segment.
const fn segment_values(entry: &'static str, example: &'static str) -> Shape {
    Shape::Map(Map {
        entry,
        example,
        open_names: true,
        most: Some((MOST_PROPERTIES, "Segment's profiles leave the others out")),
        reserved: &[],
        reserved_for: "",
        unasked: &["email"],
    })
}
const TAG: Shape = text("the name of a tag");
const ADMIN: Field = optional("assign_to_admin", text("the id of a teammate"), "Id of a teammate. Not beside `assign_to_team`");
const TEAM: Field = optional("assign_to_team", text("the id of a team"), "Id of a team. Not beside `assign_to_admin`");

/// In the order in which they are listed to people.
pub static ACTIONS: &[ActionKind] = &[
    ActionKind {
        name: "customerio.update_person",
        destination: Destination::Customerio,
        help: "Brings the profile up to date",
        fields: &[
            optional(
                "create",
                Shape::Flag,
                "Makes a profile where there is none. `false` where it is left out; Customer.io bills by profiles",
            ),
            optional(
                "email",
                text("an e-mail address"),
                "The address that the profile is to have from now on. Left out: it keeps its own; a new one gets the person's",
            ),
            optional("attributes", PROFILE_ATTRIBUTES, "At most 300. Who somebody is, and consent, go along by themselves"),
        ],
        needs_person: true,
        causes: &[What::PersonUpdated, What::PersonCreated],
        rules: &[],
    },
    ActionKind {
        name: "customerio.create_person",
        destination: Destination::Customerio,
        help: "Makes a profile where there is none; one that is there is left as it is. Customer.io bills by profiles",
        fields: &[optional("attributes", PROFILE_ATTRIBUTES, "At most 300")],
        needs_person: true,
        causes: &[What::PersonCreated],
        rules: &[],
    },
    ActionKind {
        name: "customerio.track_event",
        destination: Destination::Customerio,
        help: "An event on the person's profile, which starts campaigns there",
        fields: &[EVENT_NAME, EVENT_PROPERTIES],
        needs_person: true,
        causes: &[],
        rules: &[],
    },
    ActionKind {
        name: "customerio.track_page",
        destination: Destination::Customerio,
        help: "A page that the person looked at",
        fields: &[
            required(
                "name",
                Shape::Name { expected: "the page's address", most_bytes: None },
                "write `name: \"${event.attributes.url}\"`",
                "The page's address",
            ),
            EVENT_PROPERTIES,
        ],
        needs_person: true,
        causes: &[],
        rules: &[],
    },
    ActionKind {
        name: "customerio.track_screen",
        destination: Destination::Customerio,
        help: "A screen of an app that the person looked at",
        fields: &[EVENT_NAME, EVENT_PROPERTIES],
        needs_person: true,
        causes: &[],
        rules: &[],
    },
    ActionKind {
        name: "customerio.set_subscription",
        destination: Destination::Customerio,
        help: "Takes the profile out of everything or out of one topic, or back in",
        fields: &[
            where_given(
                "topic",
                text("a topic's id"),
                "A topic of the subscription centre by its id, such as `topic_1`; left out: everything",
            ),
            required(
                "subscribed",
                Shape::Flag,
                "write `subscribed: false` to take the person out",
                "`true` only on an opt-in that stands under `consent.explicit_opt_ins`, and never against an opt-out",
            ),
        ],
        needs_person: true,
        causes: &[What::PersonUnsubscribed, What::PersonSubscribed],
        rules: &[Rule::ExplicitOptIns],
    },
    ActionKind {
        name: "customerio.add_to_segment",
        destination: Destination::Customerio,
        help: "Puts the profile into a manual segment",
        fields: &[required("segment", SEGMENT_ID, "give the id of a manual segment", "Its id, a number in its address")],
        needs_person: true,
        causes: &[What::ListEntered],
        rules: &[],
    },
    ActionKind {
        name: "customerio.remove_from_segment",
        destination: Destination::Customerio,
        help: "Takes the profile out of a manual segment",
        fields: &[required("segment", SEGMENT_ID, "give the id of a manual segment", "Its id, a number in its address")],
        needs_person: true,
        causes: &[What::ListLeft],
        rules: &[],
    },
    ActionKind {
        name: "customerio.upsert_object",
        destination: Destination::Customerio,
        help: "An object such as a company, and the person's relationship to it where there is a profile",
        fields: &[
            OBJECT_TYPE,
            OBJECT_ID,
            optional("attributes", PROFILE_ATTRIBUTES, "Of the object"),
            optional("relationship", PROFILE_ATTRIBUTES, "Of the person's relationship to it"),
        ],
        needs_person: false,
        causes: &[],
        rules: &[],
    },
    ActionKind {
        name: "customerio.delete_object",
        destination: Destination::Customerio,
        help: "For good, with all its relationships",
        fields: &[OBJECT_TYPE, OBJECT_ID],
        needs_person: false,
        causes: &[],
        rules: &[],
    },
    ActionKind {
        name: "customerio.remove_relationship",
        destination: Destination::Customerio,
        help: "The person belongs to the object no more; both stay",
        fields: &[OBJECT_TYPE, OBJECT_ID],
        needs_person: true,
        causes: &[],
        rules: &[],
    },
    ActionKind {
        name: "customerio.merge_people",
        destination: Destination::Customerio,
        help: "The profile that goes by another id goes up in the person's. Cannot be undone",
        fields: &[required(
            "from",
            text("the id of the other profile"),
            "write `from: \"${event.previous_id}\"`",
            "A user id, an e-mail address, or `cio_` and Customer.io's own id",
        )],
        needs_person: true,
        causes: &[],
        rules: &[],
    },
    ActionKind {
        name: "customerio.delete_person",
        destination: Destination::Customerio,
        help: "The profile, for good. Whoever comes again is a new one",
        fields: &[],
        needs_person: true,
        causes: &[],
        rules: &[Rule::NotForTickets],
    },
    ActionKind {
        name: "customerio.suppress_person",
        destination: Destination::Customerio,
        help: "The profile, for good, and nobody under its ids is taken any more: for deletion requests, never to hold marketing back",
        fields: &[],
        needs_person: true,
        causes: &[],
        rules: &[Rule::NotForTickets],
    },
    ActionKind {
        name: "customerio.unsuppress_person",
        destination: Destination::Customerio,
        help: "The person's ids are taken again; what was deleted stays so",
        fields: &[],
        needs_person: true,
        causes: &[],
        rules: &[],
    },
    ActionKind {
        name: "customerio.add_device",
        destination: Destination::Customerio,
        help: "A device that pushes can be sent to",
        fields: &[
            required("token", text("the device's token"), "write `token: \"${event.device_token}\"`", ""),
            required("platform", text("`ios` or `android`"), "write `platform: \"${event.device_platform}\"`", "`ios` or `android`"),
            optional("last_used", TIME, "Unix seconds, or ISO 8601"),
            optional("attributes", PROFILE_ATTRIBUTES, "Of the device"),
        ],
        needs_person: true,
        causes: &[],
        rules: &[],
    },
    ActionKind {
        name: "customerio.delete_device",
        destination: Destination::Customerio,
        help: "Pushes are not sent there any more",
        fields: &[required("token", text("the device's token"), "write `token: \"${event.device_token}\"`", "")],
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
                    reserved_for: "",
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
    ActionKind {
        name: "segment.identify",
        destination: Destination::Segment,
        help: "What the person is. What Segment has been told already is left out",
        fields: &[required(
            "traits",
            segment_values("a trait", "plan: \"${event.attributes.plan}\""),
            "say what of the person is to be told",
            "At most 300. The address goes along by itself",
        )],
        needs_person: true,
        causes: &[],
        rules: &[],
    },
    ActionKind {
        name: "segment.track",
        destination: Destination::Segment,
        help: "What the person did, or what happened to them",
        fields: &[
            required(
                "name",
                Shape::Name { expected: "the event's name", most_bytes: None },
                "say what the event is called at Segment",
                "As it stands in the tracking plan",
            ),
            optional(
                "properties",
                segment_values("a property", "ticket_id: \"${ticket.id}\""),
                "At most 300. `email` only where it is written, not out of `\"${event.attributes}\"`: Segment joins people by it",
            ),
        ],
        needs_person: true,
        causes: &[],
        rules: &[],
    },
    ActionKind {
        name: "segment.group",
        destination: Destination::Segment,
        help: "The company, and that the person belongs to it",
        fields: &[
            required(
                "group_id",
                text("your own id of the company"),
                "write `group_id: \"${event.company_id}\"`, or what else is your own id of it",
                "Your own id of it",
            ),
            optional("traits", segment_values("a trait", "plan: \"${event.attributes.plan}\""), "Of the company; at most 300"),
        ],
        needs_person: true,
        causes: &[],
        rules: &[],
    },
    ActionKind {
        name: "segment.alias",
        destination: Destination::Segment,
        help: "The person's user id takes the place of another id. Segment's own profiles do not go by it",
        fields: &[required(
            "previous_id",
            text("the other id"),
            "write `previous_id: \"${event.previous_id}\"`",
            "A user id or an anonymous id",
        )],
        needs_person: true,
        causes: &[],
        rules: &[],
    },
];
