//! Tickets. Their ids come from the number space of conversations. (notes 1.6)
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/tickets>

use super::{Assignee, NotInWorld, World};
use serde_json::{Map, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketState {
    Submitted,
    InProgress,
    WaitingOnCustomer,
    Resolved,
}

impl TicketState {
    pub(crate) const ALL: [Self; 4] = [Self::Submitted, Self::InProgress, Self::WaitingOnCustomer, Self::Resolved];

    pub(crate) fn category(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::InProgress => "in_progress",
            Self::WaitingOnCustomer => "waiting_on_customer",
            Self::Resolved => "resolved",
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Submitted => "Submitted",
            Self::InProgress => "In progress",
            Self::WaitingOnCustomer => "Waiting on customer",
            Self::Resolved => "Resolved",
        }
    }

    /// What `ticket_state_id` has.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Submitted => "4517893",
            Self::InProgress => "4517894",
            Self::WaitingOnCustomer => "4517895",
            Self::Resolved => "4517896",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketType {
    /// Digits.
    pub id: String,
    pub name: String,
    /// `Customer`, `Back-office` or `Tracker`.
    pub category: String,
    /// Names of its attributes beside title and description.
    pub attributes: Vec<String>,
}

/// The ids of the notes 2.10 and 1.7.
pub(crate) fn default_type() -> TicketType {
    TicketType { id: "88".to_owned(), name: "Tickets".to_owned(), category: "Customer".to_owned(), attributes: Vec::new() }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Ticket {
    /// Digits, for API calls.
    pub id: u64,
    /// Digits, shown to people.
    pub ticket_id: u64,
    pub ticket_type: TicketType,
    pub attributes: Map<String, Value>,
    pub state: TicketState,
    pub open: bool,
    /// The contact's Intercom id.
    pub contact: String,
    pub admin_assignee: Option<u64>,
    pub team_assignee: Option<u64>,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
    /// All of them, oldest first.
    pub parts: Vec<TicketPart>,
}

/// What was done to a ticket through the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketPart {
    /// Digits; a later part has a greater one.
    pub id: u64,
    pub part_type: &'static str,
    /// Unix seconds.
    pub created_at: i64,
    pub assigned_to: Option<Assignee>,
    pub state: TicketState,
    pub previous_state: TicketState,
}

impl World {
    pub(crate) fn ticket(&self, id: &str) -> Result<&Ticket, NotInWorld> {
        let found = id.parse().ok().and_then(|number: u64| self.tickets.get(&number));
        found.ok_or_else(|| NotInWorld { what: "ticket", id: id.to_owned() })
    }

    pub(crate) fn tickets(&self) -> impl Iterator<Item = &Ticket> {
        self.tickets.values()
    }

    pub(crate) fn create_ticket(&mut self, contact: &str, ticket_type: TicketType, attributes: Map<String, Value>, now: i64) -> Ticket {
        self.last_conversation += 1 + self.seeded.next() % 10_000;
        self.last_ticket += 1;
        let ticket = Ticket {
            id: self.last_conversation,
            ticket_id: self.last_ticket,
            ticket_type,
            attributes,
            state: TicketState::Submitted,
            open: true,
            contact: contact.to_owned(),
            admin_assignee: None,
            team_assignee: None,
            created_at: now,
            updated_at: now,
            parts: Vec::new(),
        };
        self.tickets.insert(ticket.id, ticket.clone());
        ticket
    }

    /// Whatever `change` makes of it, with a part that says so.
    pub(crate) fn change_ticket(
        &mut self,
        id: &str,
        part_type: &'static str,
        assigned_to: Option<Assignee>,
        now: i64,
        change: impl FnOnce(&mut Ticket),
    ) -> Result<Ticket, NotInWorld> {
        let number = self.ticket(id)?.id;
        let part_id = self.next_part();
        let missing = || NotInWorld { what: "ticket", id: id.to_owned() };
        let ticket = self.tickets.get_mut(&number).ok_or_else(missing)?;
        let previous_state = ticket.state;
        change(ticket);
        match assigned_to {
            Some(Assignee::Admin(admin)) => ticket.admin_assignee = Some(admin),
            Some(Assignee::Team(team)) => ticket.team_assignee = Some(team),
            Some(Assignee::Nobody) => (ticket.admin_assignee, ticket.team_assignee) = (None, None),
            None => {}
        }
        ticket.updated_at = now;
        ticket.parts.push(TicketPart { id: part_id, part_type, created_at: now, assigned_to, state: ticket.state, previous_state });
        Ok(ticket.clone())
    }
}
