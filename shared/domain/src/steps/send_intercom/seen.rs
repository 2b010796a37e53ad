//! What people see: conversations, messages, notes and tickets.

use super::IntercomSender;
use super::visit::{Contact, Halt, Visit};
use crate::action::{CreateTicket, IntercomAction, MessageChannel, NoteOn, OpenConversation, SendMessage};
use crate::event::{Channel, IdKind, Identifier, Kind};
use crate::job::Job;
use crate::ledger::{Entry, Ledger};
use crate::outcome::Outcome;
use crate::ports::{Clock, EventNames, Intercom, IntercomCall, Store};
use crate::tickets::{Status, TicketFact, TicketId, TicketReport, opening};
use crate::time::Span;

/// What reaches out to people is worth nothing when it comes late.
const REACHES_OUT_FOR: Span = Span::from_hours(72);

impl<S: Store + Ledger + EventNames, Q, C: Clock, J, V: Intercom> IntercomSender<'_, S, Q, C, J, V> {
    pub(super) async fn open(
        &self,
        visit: &mut Visit<'_>,
        job: &Job,
        action: &IntercomAction,
        open: &OpenConversation,
    ) -> Result<(), Halt> {
        let mut entry = self.reach_out(job, action).await?;
        let needs_teammate = open.assign_to_admin.is_some() || open.assign_to_team.is_some() || open.note.is_some() || open.tag.is_some();
        if needs_teammate && !self.intercom.has_teammate() {
            return Err(no_teammate());
        }
        let call = |c: &Contact| IntercomCall::OpenConversation { contact: c.id.clone(), role: c.role, body: open.body.clone() };
        let Some(conversation) = self.once(visit, job, &mut entry, "open", call).await? else {
            visit.notes.push("conversation_unknown".to_owned());
            return Ok(());
        };
        self.ours(visit, job, action, &conversation).await?;
        // A team that is gone takes neither the note nor the tag with it.
        let mut assigned = Ok(());
        if let Some(call) = assign(&conversation, open.assign_to_admin.as_ref(), open.assign_to_team.as_ref()) {
            assigned = self.follow_up(visit, &mut entry, "assign", true, call).await;
        }
        if let Some(body) = &open.note {
            let call = IntercomCall::NoteOnConversation { conversation: conversation.clone(), body: body.clone() };
            self.follow_up(visit, &mut entry, "note", false, call).await?;
        }
        if let Some(tag) = &open.tag {
            let call = IntercomCall::TagConversation { conversation, tag: tag.clone() };
            self.follow_up(visit, &mut entry, "tag", true, call).await?;
        }
        assigned
    }

    pub(super) async fn message(
        &self,
        visit: &mut Visit<'_>,
        job: &Job,
        action: &IntercomAction,
        message: &SendMessage,
    ) -> Result<(), Halt> {
        let mut entry = self.reach_out(job, action).await?;
        let is_email = message.channel == MessageChannel::Email;
        if is_email && entry.steps.is_empty() && visit.person.consent.is_out_of(Channel::Email) {
            return Err(Halt::Ends(Outcome::skipped("opted_out")));
        }
        let call = |c: &Contact| IntercomCall::SendMessage {
            contact: c.id.clone(),
            role: c.role,
            channel: message.channel,
            subject: message.subject.clone(),
            body: message.body.clone(),
        };
        self.once(visit, job, &mut entry, "send", call).await.map(drop)
    }

    /// The entry of something that reaches out to a person, unless it is too late to begin.
    async fn reach_out(&self, job: &Job, action: &IntercomAction) -> Result<Entry, Halt> {
        let entry = self.entry(job, action).await?;
        let too_late = self.clock.now().since(job.created_at) > REACHES_OUT_FOR;
        if too_late && entry.steps.is_empty() { Err(Halt::Ends(Outcome::skipped("too_late"))) } else { Ok(entry) }
    }

    pub(super) async fn note(&self, visit: &mut Visit<'_>, job: &Job, action: &IntercomAction, body: &str, on: NoteOn) -> Result<(), Halt> {
        let mut entry = self.entry(job, action).await?;
        let conversation = if on == NoteOn::Conversation { self.open_conversation(visit) } else { None };
        match conversation {
            Some(conversation) => {
                let call = IntercomCall::NoteOnConversation { conversation, body: body.to_owned() };
                self.follow_up(visit, &mut entry, "note", false, call).await
            }
            None => {
                let call = |c: &Contact| IntercomCall::NoteOnContact { contact: c.id.clone(), body: body.to_owned() };
                self.once(visit, job, &mut entry, "note", call).await.map(drop)
            }
        }
    }

    /// The open ticket of the person that was opened last.
    fn open_conversation(&self, visit: &Visit<'_>) -> Option<String> {
        let open = visit.person.tickets.iter().filter(|(_, ticket)| ticket.status(&self.config.tickets.count) == Status::Open);
        open.max_by_key(|(id, ticket)| (ticket.opened_at(), *id)).map(|(id, _)| id.as_str().to_owned())
    }

    pub(super) async fn ticket(
        &self,
        visit: &mut Visit<'_>,
        job: &Job,
        action: &IntercomAction,
        ticket: &CreateTicket,
    ) -> Result<(), Halt> {
        let mut entry = self.entry(job, action).await?;
        let needs_teammate = ticket.assign_to_admin.is_some() || ticket.assign_to_team.is_some();
        if needs_teammate && !self.intercom.has_teammate() {
            return Err(no_teammate());
        }
        let call = |c: &Contact| IntercomCall::CreateTicket {
            contact: c.id.clone(),
            ticket_type: ticket.ticket_type.clone(),
            title: ticket.title.clone(),
            description: ticket.description.clone(),
            attributes: ticket.attributes.clone(),
        };
        let Some(id) = self.once(visit, job, &mut entry, "create", call).await? else {
            visit.notes.push("ticket_unknown".to_owned());
            return Ok(());
        };
        self.ours(visit, job, action, &id).await?;
        if let Some(assignee) = ticket.assign_to_admin.as_ref().or(ticket.assign_to_team.as_ref()) {
            let call = IntercomCall::AssignTicket { ticket: id, assignee: assignee.clone() };
            self.follow_up(visit, &mut entry, "assign", true, call).await?;
        }
        Ok(())
    }

    /// Tells that this conversation or ticket is none of the customer's.
    async fn ours(&self, visit: &mut Visit<'_>, job: &Job, action: &IntercomAction, id: &str) -> Result<(), Halt> {
        let Some(ticket) = TicketId::new(id) else { return Ok(()) };
        // Known, unless the process that opened it has died before it could say so.
        let contact = self.contact(visit, job).await?;
        // With its words, so that no other conversation is taken for it.
        let opening = action.what.opens_with().and_then(|words| opening(&words));
        let report = TicketReport { opening, ..TicketReport::new(ticket, TicketFact::Ours) };
        let contact = Identifier { kind: IdKind::IntercomId, value: contact.id };
        visit.tell(&["ours", id], contact, Kind::Ticket(report), job, self.clock.now());
        Ok(())
    }
}

/// Said before anything is begun that could not be finished.
fn no_teammate() -> Halt {
    Halt::Ends(Outcome::rejected("no_admin_id", "set TREFOIL_INTERCOM_ADMIN_ID to the id of the teammate in whose name Trefoil writes"))
}

fn assign(conversation: &str, admin: Option<&String>, team: Option<&String>) -> Option<IntercomCall> {
    let conversation = conversation.to_owned();
    match (admin, team) {
        (Some(admin), _) => Some(IntercomCall::AssignToAdmin { conversation, admin: admin.clone() }),
        (None, Some(team)) => Some(IntercomCall::AssignToTeam { conversation, team: team.clone() }),
        (None, None) => None,
    }
}
