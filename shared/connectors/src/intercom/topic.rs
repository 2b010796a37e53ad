//! The topics of Intercom's webhooks and what each one says.
//!
//! <https://developers.intercom.com/docs/references/webhooks/webhook-models>

use trefoil_domain::tickets::{Author, Register};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Ping,
    /// The app's API version is so old that the shapes are others.
    TooOld,
    /// Known, and nothing for us.
    Unused,
    Unknown,
    Person(About),
    Ticket(Register, Says),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Created,
    Updated,
    SignedUp,
}

/// What a topic says happened to a conversation or ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Opened,
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
            "conversation.user.created" | "conversation.admin.single.created" => (Conversation, Says::Opened),
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
            | "conversation.read" => (Conversation, Says::Updated),
            "conversation.priority.updated" => (Conversation, Says::Prioritised),
            "conversation.rating.added" => (Conversation, Says::Rated),
            "conversation.deleted" => (Conversation, Says::Deleted),
            "conversation.contact.attached" => (Conversation, Says::Attached),
            "conversation.contact.detached" => (Conversation, Says::Detached),
            "conversation_part.tag.created" => (Conversation, Says::Tagged),

            "ticket.created" => (Ticket, Says::Opened),
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
            "contact.user.updated"
            | "contact.lead.updated"
            | "contact.email.updated"
            | "contact.lead.added_email"
            | "contact.unarchive" => Self::Person(About::Updated),
            "contact.lead.signed_up" => Self::Person(About::SignedUp),
            "contact.deleted"
            | "contact.archived"
            | "contact.merged"
            | "contact.user.tag.created"
            | "contact.user.tag.deleted"
            | "contact.lead.tag.created"
            | "contact.lead.tag.deleted"
            | "contact.unsubscribed"
            | "contact.subscribed"
            | "contact.unsubscribed_from_sms"
            | "granular.unsubscribe"
            | "granular.subscribe"
            | "conversation.company.updated"
            | "conversation_part.redacted"
            | "company.created"
            | "company.updated"
            | "company.deleted"
            | "company.contact.attached"
            | "company.contact.detached"
            | "event.created"
            | "visitor.signed_up"
            | "job.completed"
            | "api.request.completed" => Self::Unused,
            _ => {
                let area = topic.split('.').next().unwrap_or_default();
                match area {
                    // Up to API 2.4 people were `user.*`, and `contact.*` meant leads.
                    "user" => Self::TooOld,
                    "admin" | "article" | "call" | "content_stat" | "data_connector" | "audience" => Self::Unused,
                    _ => Self::Unknown,
                }
            }
        }
    }
}
