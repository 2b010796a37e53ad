//! The topics of Intercom's webhooks and what each one says.
//!
//! <https://developers.intercom.com/docs/references/webhooks/webhook-models>

use trefoil_domain::event::Choice;
use trefoil_domain::tickets::{Author, Register, StartedBy};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Ping,
    /// The app's API version is so old that the shapes are others.
    TooOld,
    /// Known, and nothing for us.
    Unused,
    Unknown,
    Person(About),
    Consent(Asks),
    Company(Life),
    /// Something that somebody did in the customer's product.
    Behaviour,
    Ticket(Register, Says),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Created,
    Updated,
    SignedUp,
    /// As the one before, in the model from before contacts.
    VisitorSignedUp,
    Merged,
    Deleted,
    Archived,
    Restored,
    Tagged,
    Untagged,
}

/// What somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// All mail or none of it, unless the contact itself says otherwise.
    Email(Choice),
    /// Some subscription types.
    Types(Choice),
    NoSms,
}

/// What became of a company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Created,
    Updated,
    Deleted,
    Joined,
    Left,
}

/// What a topic says happened to a conversation or ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// By this one, unless the item names somebody else.
    Opened(Option<StartedBy>),
    /// By this one, unless the part names somebody else.
    Replied(Author),
    Snoozed,
    Closed,
    Reopened,
    /// The last part tells what became of the state.
    StateChanged,
    Prioritised,
    Tagged,
    Rated,
    Attached,
    Detached,
    Deleted,
    Updated,
}

impl Topic {
    pub(super) fn of(topic: &str) -> Self {
        use Register::{Conversation, Ticket};
        let (register, says) = match topic {
            "conversation.user.created" => (Conversation, Says::Opened(Some(StartedBy::Customer))),
            "conversation.admin.single.created" => (Conversation, Says::Opened(Some(StartedBy::Teammate))),
            "conversation.user.replied" => (Conversation, Says::Replied(Author::Customer)),
            "conversation.admin.replied" => (Conversation, Says::Replied(Author::Teammate)),
            "conversation.operator.replied" => (Conversation, Says::Replied(Author::Bot)),
            "conversation.admin.closed" => (Conversation, Says::Closed),
            "conversation.admin.opened" => (Conversation, Says::Reopened),
            "conversation.admin.snoozed" => (Conversation, Says::Snoozed),
            // Waking up is no opening: it was open all the while.
            "conversation.admin.unsnoozed"
            | "conversation.admin.noted"
            | "conversation.admin.assigned"
            | "conversation.admin.open.assigned"
            | "conversation.company.updated"
            | "conversation.read" => (Conversation, Says::Updated),
            "conversation.priority.updated" => (Conversation, Says::Prioritised),
            "conversation.rating.added" => (Conversation, Says::Rated),
            "conversation.deleted" => (Conversation, Says::Deleted),
            "conversation.contact.attached" => (Conversation, Says::Attached),
            "conversation.contact.detached" => (Conversation, Says::Detached),
            "conversation_part.tag.created" => (Conversation, Says::Tagged),

            "ticket.created" => (Ticket, Says::Opened(None)),
            "ticket.closed" | "ticket.resolved" => (Ticket, Says::Closed),
            "ticket.state.updated" => (Ticket, Says::StateChanged),
            "ticket.admin.replied" => (Ticket, Says::Replied(Author::Teammate)),
            "ticket.contact.replied" => (Ticket, Says::Replied(Author::Customer)),
            "ticket.attribute.updated" | "ticket.admin.assigned" | "ticket.team.assigned" | "ticket.note.created" => {
                (Ticket, Says::Updated)
            }
            "ticket.contact.attached" => (Ticket, Says::Attached),
            "ticket.contact.detached" => (Ticket, Says::Detached),
            "ticket.rating.provided" => (Ticket, Says::Rated),

            other => return Self::other(other),
        };
        Self::Ticket(register, says)
    }

    fn other(topic: &str) -> Self {
        match topic {
            "ping" => Self::Ping,
            "contact.user.created" | "contact.lead.created" => Self::Person(About::Created),
            "contact.user.updated" | "contact.lead.updated" | "contact.email.updated" | "contact.lead.added_email" => {
                Self::Person(About::Updated)
            }
            "contact.lead.signed_up" => Self::Person(About::SignedUp),
            "visitor.signed_up" => Self::Person(About::VisitorSignedUp),
            "contact.merged" => Self::Person(About::Merged),
            "contact.deleted" => Self::Person(About::Deleted),
            // The lists of topics say one of each pair, payloads the other.
            "contact.archived" | "contact.archive" => Self::Person(About::Archived),
            "contact.unarchive" | "contact.unarchived" => Self::Person(About::Restored),
            "contact.user.tag.created" | "contact.lead.tag.created" => Self::Person(About::Tagged),
            "contact.user.tag.deleted" | "contact.lead.tag.deleted" => Self::Person(About::Untagged),

            "contact.unsubscribed" => Self::Consent(Asks::Email(Choice::Out)),
            "contact.subscribed" => Self::Consent(Asks::Email(Choice::In)),
            "granular.unsubscribe" => Self::Consent(Asks::Types(Choice::Out)),
            "granular.subscribe" => Self::Consent(Asks::Types(Choice::In)),
            "contact.unsubscribed_from_sms" => Self::Consent(Asks::NoSms),

            "company.created" => Self::Company(Life::Created),
            "company.updated" => Self::Company(Life::Updated),
            "company.deleted" => Self::Company(Life::Deleted),
            "company.contact.attached" => Self::Company(Life::Joined),
            "company.contact.detached" => Self::Company(Life::Left),

            "event.created" => Self::Behaviour,

            "conversation_part.redacted" | "job.completed" | "api.request.completed" => Self::Unused,
            // From 2.16 on; the reply itself has its own topic.
            _ if topic.ends_with(".translated") => Self::Unused,
            _ => {
                let area = topic.split('.').next().unwrap_or_default();
                match area {
                    // Up to API 2.4 people were `user.*`, and `contact.*` meant leads.
                    "user" => Self::TooOld,
                    "admin"
                    | "article"
                    | "audience"
                    | "call"
                    | "content_import_source"
                    | "content_snippet"
                    | "content_stat"
                    | "data_connector"
                    | "messenger"
                    | "procedure" => Self::Unused,
                    _ => Self::Unknown,
                }
            }
        }
    }
}
