//! Writes at Intercom: each file builds the requests of one kind of thing; here they are made and their answers read.
//!
//! A call of the port is one call that changes something. What it needs besides, as the id of a tag, is asked for first and
//! remembered.
//!
//! <https://developers.intercom.com/docs/references/rest-api/errors/error-codes>

mod company;
mod contact;
mod conversation;
mod data_attributes;
mod event;
mod message;
mod subscription;
mod tag;
mod ticket;
mod values;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod tests;

use super::client::{IntercomClient, canonical_contact, read, unreadable};
use super::outcome::{Verdict, WAIT_FOR_A_HUMAN};
use super::request::Request;
use super::wire;
use crate::http::Answer;
use crate::lenient::{List, Text};
use conversation::Assignee;
use data_attributes::Model;
use message::Message;
use serde::Deserialize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use subscription::SubscriptionType;
use trefoil_domain::action::ContactRole;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{Called, Intercom, IntercomCall, Made, SeenContact, Sought};
use trefoil_domain::time::{Span, Timestamp};

/// The kinds of messages are asked for again when one is not among them, no more often than this.
const TYPES_LAST: Span = Span::from_mins(1);
/// A search that missed a contact is made again after this long.
const SEARCHED_AGAIN: Span = Span::from_mins(1);
/// What Intercom says of a contact that it does not know, and of nothing else.
const NO_CONTACT: [&str; 2] = ["User Not Found", "Contact not found"];
/// Within the text of the refusal where an address is several contacts'.
const SEVERAL: &str = "must be more specific";
/// Within the text of the refusal of one name too many.
const TOO_MANY_NAMES: &str = "active event names";

/// What has been learnt of the workspace.
#[derive(Debug, Default)]
pub(super) struct Known {
    tags: Mutex<tag::TagIds>,
    subscription_types: Mutex<Option<(Timestamp, Vec<SubscriptionType>)>>,
    attributes: data_attributes::Lists,
}

/// What came of a call that was not answered with a yes.
#[derive(Debug)]
struct No {
    /// 0: there was no answer.
    status: u16,
    /// Of the first error. May quote what was sent: it is compared with, and goes nowhere.
    message: String,
    called: Called,
}

impl From<No> for Called {
    fn from(no: No) -> Self {
        no.called
    }
}

impl From<Called> for No {
    fn from(called: Called) -> Self {
        Self { status: 0, message: String::new(), called }
    }
}

impl No {
    fn can_wait(&self) -> bool {
        matches!(&self.called, Called::Not(Outcome::RetryAfter { .. }) | Called::Unknown(Outcome::RetryAfter { .. }))
    }

    /// It is the contact that is not there, and not what it was to have or to lose.
    fn is_no_contact(&self) -> bool {
        self.status == 404 && NO_CONTACT.iter().any(|text| self.message.eq_ignore_ascii_case(text))
    }

    /// Of a call that names `other` beside the contact.
    fn or_no(self, other: &str) -> Called {
        // Without a text nobody knows which of the two is missing, and a contact may only be too new.
        let is_other = self.called == Called::NoContact && !self.message.is_empty() && !self.is_no_contact();
        if is_other { Called::Not(Outcome::rejected("not_found", format!("Intercom knows no {other} of that id"))) } else { self.called }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal<'a> {
    #[serde(borrow)]
    errors: List<Error<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Error<'a> {
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(borrow)]
    field: Text<'a>,
    #[serde(borrow)]
    message: Text<'a>,
}

impl Refusal<'_> {
    /// For a human. Messages may quote values; codes and names of fields are words.
    fn detail(&self, status: u16) -> String {
        let first = self.errors.iter().next();
        let word = |text: Option<&Text<'_>>| {
            let is_word = |text: &&str| text.len() <= 80 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
            text.and_then(Text::get).filter(is_word).map_or_else(String::new, |word| format!(" {word}"))
        };
        format!("status {status}{}{}", word(first.map(|error| &error.code)), word(first.map(|error| &error.field)))
    }
}

/// `…already exists with id=5da6f18e3d7cf967e4582d05`, and whether it lies in the archive.
fn existing(message: &str) -> Option<(String, bool)> {
    let (before, id) = message.rsplit_once("id=")?;
    let end = id.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(id.len());
    let id = id.get(..end).filter(|id| !id.is_empty())?;
    Some((id.to_owned(), before.to_lowercase().contains("archived")))
}

/// What an answer that says no means for the call. One table without gaps, after "Error codes" and "HTTP responses".
fn refused(request: &Request, verdict: Verdict, answer: &Answer, wait: Option<Span>) -> No {
    let status = answer.status;
    let refusal: Refusal<'_> = read(answer).unwrap_or_default();
    let message = refusal.errors.iter().next().and_then(|error| error.message.get()).unwrap_or_default().to_owned();
    let rejected = || Called::Not(Outcome::rejected("refused_by_intercom", refusal.detail(status)));
    let wait = wait.unwrap_or_default();
    let called = match verdict {
        // Asked for nothing but this.
        Verdict::Answered | Verdict::Refused | Verdict::Forbidden => rejected(),
        Verdict::NotFound if request.is_about_a_contact() => Called::NoContact,
        Verdict::NotFound => Called::Not(Outcome::rejected("not_found", refusal.detail(status))),
        Verdict::Conflict => match existing(&message) {
            Some((contact, archived)) if request.gives_a_contact() => Called::Exists { contact, archived },
            // There is one, and the search will know it.
            None if request.gives_a_contact() && !message.contains(SEVERAL) => {
                Called::Not(Outcome::retry(SEARCHED_AGAIN, "contact_exists"))
            }
            Some(_) | None => Called::Not(Outcome::blocked("ambiguous")),
        },
        Verdict::Merged => match canonical_contact(answer) {
            Some(survivor) if request.path.contains(&survivor) => Called::Not(Outcome::rejected("merged_into_merged_contact", "")),
            Some(survivor) => Called::MergedInto(survivor),
            None => Called::Not(Outcome::rejected("merged_into_unknown_contact", "")),
        },
        Verdict::KeyRefused => Called::Not(Outcome::retry(WAIT_FOR_A_HUMAN, "destination_refused_key")),
        Verdict::Redirected => Called::Not(Outcome::retry(WAIT_FOR_A_HUMAN, "destination_redirected")),
        Verdict::TooMany => Called::Not(Outcome::retry(wait, "rate_limited")),
        // Nobody knows how far it got. Where twice is as good as once, nobody needs to.
        Verdict::Busy if request.repeatable => Called::Not(Outcome::retry(wait, "destination_failed")),
        Verdict::Busy => Called::Unknown(Outcome::retry(wait, "destination_failed")),
    };
    No { status, message, called }
}

/// Intercom's id of what was made, and of a contact what it is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    role: Text<'a>,
    /// Of a message: what it began.
    #[serde(borrow)]
    conversation_id: Text<'a>,
}

fn role(word: Option<&str>) -> Option<ContactRole> {
    match word? {
        "user" => Some(ContactRole::User),
        "lead" => Some(ContactRole::Lead),
        _ => None,
    }
}

/// A yes that does not name what was made is no answer that tells.
fn made(answer: &Answer, notes: Vec<String>) -> Result<Made, Called> {
    let named: Named<'_> = read(answer).map_err(Called::Unknown)?;
    let id = named.id.get().ok_or_else(|| Called::Unknown(unreadable()))?;
    let left_out = notes.iter().filter_map(|note| left_out(note)).map(str::to_owned).collect();
    Ok(Made { id: Some(id.to_owned()), role: role(named.role.get()), notes, left_out })
}

/// The field or attribute that a note is about, if it was not written at all.
fn left_out(note: &str) -> Option<&str> {
    let (problem, name) = note.split_once(": ")?;
    matches!(problem, "attribute_unknown" | "attribute_type" | "attribute_name" | "time_unreadable" | "number_unreadable").then_some(name)
}

/// A yes is enough.
fn named(answer: &Answer) -> Result<Made, Called> {
    let named: Named<'_> = read(answer).unwrap_or_default();
    Ok(Made { id: named.id.get().map(str::to_owned), role: role(named.role.get()), ..Made::default() })
}

fn conversation_made(answer: &Answer) -> Result<Made, Called> {
    let named: Named<'_> = read(answer).map_err(Called::Unknown)?;
    let id = named.conversation_id.get().ok_or_else(|| Called::Unknown(unreadable()))?;
    Ok(Made { id: Some(id.to_owned()), ..Made::default() })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn seen(contact: &wire::Contact<'_>) -> Option<SeenContact> {
    // Whatever is no user has an external id that Intercom made up.
    let role = role(contact.role.get()).unwrap_or(ContactRole::Lead);
    let user_id = match role {
        ContactRole::User => contact.external_id.get().map(str::to_owned),
        ContactRole::Lead => None,
    };
    Some(SeenContact { id: contact.id.get()?.to_owned(), role, user_id })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Contacts<'a> {
    #[serde(borrow)]
    data: List<wire::Contact<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tags<'a> {
    #[serde(borrow)]
    data: List<wire::Tag<'a>>,
}

impl IntercomClient {
    /// Makes a call that changes something.
    async fn write(&self, request: &Request, now: Timestamp) -> Result<Answer, No> {
        let answered = self.ask(request, now).await.map_err(|no| {
            let called = if no.may_have_arrived { Called::Unknown(no.outcome) } else { Called::Not(no.outcome) };
            No::from(called)
        })?;
        match answered.verdict {
            Verdict::Answered => Ok(answered.answer),
            no => Err(refused(request, no, &answered.answer, answered.wait)),
        }
    }

    /// Makes a call that another one needs. Whatever becomes of it, the other one was not made.
    async fn help(&self, request: &Request, now: Timestamp) -> Result<Answer, No> {
        self.write(request, now).await.map_err(|no| match no.called {
            Called::Unknown(outcome) => No { called: Called::Not(outcome), ..no },
            Called::Done(_) | Called::Exists { .. } | Called::Not(_) | Called::NoContact | Called::MergedInto(_) | Called::TooManyNames => {
                no
            }
        })
    }

    async fn make(&self, call: &IntercomCall, now: Timestamp) -> Result<Made, Called> {
        use IntercomCall as C;
        match call {
            C::CreateContact(fields) => {
                let request = |attributes: &_| contact::create(fields, attributes);
                let (answer, notes) = self.write_with(Model::Contact, &fields.attributes, request, now).await?;
                made(&answer, notes)
            }
            C::UpdateContact { contact, fields } => {
                let request = |attributes: &_| contact::update(contact, fields, attributes);
                let (answer, notes) = self.write_with(Model::Contact, &fields.attributes, request, now).await?;
                made(&answer, notes)
            }
            C::UpsertCompany(company) => {
                let request = |attributes: &_| company::upsert(company, attributes);
                let (answer, notes) = self.write_with(Model::Company, &company.attributes, request, now).await?;
                made(&answer, notes)
            }
            C::UnarchiveContact { contact } => self.done(&contact::unarchive(contact), now).await,
            C::ArchiveContact { contact } => self.done(&contact::archive(contact), now).await,
            C::DeleteContact { contact } => self.done(&contact::delete(contact), now).await,
            C::MergeContacts { from, into } => made(&self.write(&contact::merge(from, into), now).await?, Vec::new()),
            C::AddTag { contact, tag } => self.add_tag(tag, now, |id| tag::attach(contact, id)).await,
            C::TagConversation { conversation, tag } => {
                let admin = self.admin()?;
                self.add_tag(tag, now, |id| tag::attach_to_conversation(conversation, id, admin)).await
            }
            C::RemoveTag { contact, tag } => self.remove_tag(contact, tag, now).await,
            C::TrackEvent { contact, name, at, metadata } => {
                let (request, notes) = event::track(contact, name, *at, metadata);
                match self.write(&request, now).await {
                    Ok(_) => Ok(Made { notes, ..Made::default() }),
                    Err(no) if no.message.contains(TOO_MANY_NAMES) => Err(Called::TooManyNames),
                    Err(no) => Err(no.called),
                }
            }
            C::SetSubscription { contact, topic: None, subscribed } => self.done(&contact::subscribe(contact, *subscribed), now).await,
            C::SetSubscription { contact, topic: Some(topic), subscribed } => self.subscribe(contact, topic, *subscribed, now).await,
            C::OpenConversation { contact, role: _, body } => {
                conversation_made(&self.write(&conversation::open(contact, body), now).await?)
            }
            C::AssignToAdmin { conversation, admin } => {
                let request = conversation::assign(conversation, Assignee::Admin(admin), self.admin()?);
                self.done(&request, now).await
            }
            C::AssignToTeam { conversation, team } => {
                let request = conversation::assign(conversation, Assignee::Team(team), self.admin()?);
                self.done(&request, now).await
            }
            C::NoteOnConversation { conversation, body } => self.done(&conversation::note(conversation, body, self.admin()?), now).await,
            C::NoteOnContact { contact, body } => {
                let request = conversation::note_on_contact(contact, body, self.admin()?);
                named(&self.write(&request, now).await.map_err(|no| no.or_no("teammate (TREFOIL_INTERCOM_ADMIN_ID)"))?)
            }
            C::SendMessage { contact, role: Some(role), channel, subject, body } => {
                let message = Message { contact, role: *role, channel: *channel, subject: subject.as_deref(), body };
                self.send_message(&message, now).await
            }
            C::SendMessage { contact, role: None, channel, subject, body } => {
                let message = |role| Message { contact, role, channel: *channel, subject: subject.as_deref(), body };
                // Whoever is asked for as what they are not is not found, and nothing is sent.
                match self.send_message(&message(ContactRole::User), now).await {
                    Err(Called::NoContact) => self.send_message(&message(ContactRole::Lead), now).await,
                    sent => sent,
                }
            }
            C::CreateTicket { contact, ticket_type, title, description, attributes } => {
                let request = ticket::create(contact, ticket_type, title, description.as_deref(), attributes);
                made(&self.write(&request, now).await.map_err(|no| no.or_no("ticket type"))?, Vec::new())
            }
            C::AssignTicket { ticket, assignee } => self.done(&ticket::assign(ticket, assignee, self.admin()?), now).await,
            C::AttachCompany { contact, company } => {
                let request = company::attach(contact, company);
                made(&self.write(&request, now).await.map_err(|no| no.or_no("company"))?, Vec::new())
            }
        }
    }

    /// A call after which nobody needs to know more than that it was made.
    async fn done(&self, request: &Request, now: Timestamp) -> Result<Made, Called> {
        named(&self.write(request, now).await?)
    }

    async fn send_message(&self, message: &Message<'_>, now: Timestamp) -> Result<Made, Called> {
        let request = message::send(message, self.admin()?, &self.in_app_message_type)
            .ok_or_else(|| Called::Not(Outcome::rejected("no_subject", "an e-mail must have one: give the message a subject")))?;
        self.done(&request, now).await
    }

    fn admin(&self) -> Result<&str, Called> {
        let missing = || Outcome::rejected("no_admin_id", "set TREFOIL_INTERCOM_ADMIN_ID to the id of the teammate who is to write");
        self.admin_id.as_deref().ok_or_else(|| Called::Not(missing()))
    }

    async fn add_tag(&self, name: &str, now: Timestamp, attach: impl Fn(&str) -> Request + Sync) -> Result<Made, Called> {
        let known = lock(&self.known.tags).get(name);
        let tag = match &known {
            Some(id) => id.clone(),
            None => self.tag_id(name, now).await?,
        };
        let Err(no) = self.write(&attach(&tag), now).await else { return Ok(Made { id: Some(tag), ..Made::default() }) };
        if no.status != 404 || no.is_no_contact() || known.is_none() {
            return Err(no.called);
        }
        // Somebody may have deleted the tag since, and then it has another id.
        lock(&self.known.tags).forget(name);
        let anew = self.tag_id(name, now).await?;
        if anew == tag {
            return Err(no.called);
        }
        self.write(&attach(&anew), now).await?;
        Ok(Made { id: Some(anew), ..Made::default() })
    }

    async fn tag_id(&self, name: &str, now: Timestamp) -> Result<String, Called> {
        let answer = self.help(&tag::find_or_make(name), now).await?;
        let named: Named<'_> = read(&answer).map_err(Called::Not)?;
        let id = named.id.get().ok_or_else(|| Called::Not(unreadable()))?;
        lock(&self.known.tags).learn(name, id);
        Ok(id.to_owned())
    }

    async fn remove_tag(&self, contact: &str, name: &str, now: Timestamp) -> Result<Made, Called> {
        let known = lock(&self.known.tags).get(name);
        let id = match known {
            Some(id) => id,
            None => {
                let answer = self.help(&tag::list(), now).await?;
                let tags: Tags<'_> = read(&answer).map_err(Called::Not)?;
                let is_it = |tag: &&wire::Tag<'_>| tag.name.get().is_some_and(|other| other.to_lowercase() == name.to_lowercase());
                // Nobody has a tag that does not exist.
                let Some(id) = tags.data.iter().find(is_it).and_then(|tag| tag.id.get()) else { return Ok(Made::default()) };
                lock(&self.known.tags).learn(name, id);
                id.to_owned()
            }
        };
        match self.write(&tag::detach(contact, &id), now).await {
            Ok(_) => Ok(Made { id: Some(id), ..Made::default() }),
            Err(no) if no.status == 404 && !no.is_no_contact() => {
                lock(&self.known.tags).forget(name);
                Ok(Made::default())
            }
            Err(no) => Err(no.called),
        }
    }

    async fn subscribe(&self, contact: &str, topic: &str, subscribed: bool, now: Timestamp) -> Result<Made, Called> {
        let kind = self.subscription_type(topic, now).await?;
        let request = subscription::set(contact, &kind, subscribed);
        let takes_off = request.body.is_none();
        match self.write(&request, now).await {
            Ok(_) => Ok(Made::default()),
            // They were not on the list.
            Err(no) if takes_off && no.status == 404 && !no.is_no_contact() => Ok(Made::default()),
            Err(no) => {
                if no.status == 404 {
                    // It may be the type that is gone.
                    *lock(&self.known.subscription_types) = None;
                }
                Err(no.called)
            }
        }
    }

    async fn subscription_type(&self, topic: &str, now: Timestamp) -> Result<SubscriptionType, Called> {
        let known = lock(&self.known.subscription_types).clone();
        if let Some((read_at, types)) = &known {
            match subscription::find(types, topic) {
                Ok(kind) => return Ok(kind.clone()),
                Err(problem) if (Span::ZERO..TYPES_LAST).contains(&now.since(*read_at)) => return Err(no_type(problem, topic)),
                Err(_) => {}
            }
        }
        let answer = self.help(&subscription::list(), now).await?;
        let types = read::<subscription::Types<'_>>(&answer).map_err(Called::Not)?.read();
        let found = subscription::find(&types, topic).cloned().map_err(|problem| no_type(problem, topic));
        *lock(&self.known.subscription_types) = Some((now, types));
        found
    }

    async fn seek_user(&self, user_id: &str, now: Timestamp) -> Result<Vec<SeenContact>, Outcome> {
        self.seek_one(&contact::find_by_user_id(user_id), now).await
    }

    /// None or one; of one that was merged, the one it went up in.
    async fn seek_one(&self, asked: &Request, now: Timestamp) -> Result<Vec<SeenContact>, Outcome> {
        let (mut verdict, mut answer) = self.question(asked, now).await?;
        if let (Verdict::Merged, Some(survivor)) = (verdict, canonical_contact(&answer)) {
            (verdict, answer) = self.question(&contact::find(&survivor), now).await?;
        }
        if verdict != Verdict::Answered {
            return Ok(Vec::new());
        }
        let contact: wire::Contact<'_> = read(&answer)?;
        Ok(vec![seen(&contact).ok_or_else(unreadable)?])
    }

    async fn seek_email(&self, email: &str, now: Timestamp) -> Result<Vec<SeenContact>, Outcome> {
        let (verdict, answer) = self.question(&contact::search_by_email(email), now).await?;
        if verdict != Verdict::Answered {
            return Ok(Vec::new());
        }
        let found: Contacts<'_> = read(&answer)?;
        let contacts = found.data.0.ok_or_else(unreadable)?;
        // Somebody else's contact is not taken for theirs, whatever the search thinks alike.
        let is_theirs = |contact: &&wire::Contact<'_>| contact.email.get().is_none_or(|found| found.to_lowercase() == email.to_lowercase());
        Ok(contacts.iter().filter(is_theirs).filter_map(seen).collect())
    }
}

fn no_type(problem: &str, topic: &str) -> Called {
    Called::Not(Outcome::rejected(problem, format!("the topic {topic:?} of the route; see Intercom's subscription types")))
}

impl Intercom for IntercomClient {
    async fn with_user_id(&self, user_id: &str, now: Timestamp) -> Sought {
        self.seek_user(user_id, now).await.map_or_else(Sought::Failed, Sought::Found)
    }

    async fn with_email(&self, email: &str, now: Timestamp) -> Sought {
        self.seek_email(email, now).await.map_or_else(Sought::Failed, Sought::Found)
    }

    async fn contact(&self, contact: &str, now: Timestamp) -> Sought {
        self.seek_one(&contact::find(contact), now).await.map_or_else(Sought::Failed, Sought::Found)
    }

    fn has_teammate(&self) -> bool {
        self.admin().is_ok()
    }

    async fn call(&self, call: &IntercomCall, now: Timestamp) -> Called {
        self.make(call, now).await.map_or_else(|called| called, Called::Done)
    }

    fn pause(&self, now: Timestamp) -> Option<Span> {
        self.door.pause(now)
    }
}
