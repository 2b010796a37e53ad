//! Sixty people with conversations, told by shuffled and repeated webhooks; and the truth that must come of it.

use crate::stage::Stage;
use fastrand::Rng;
use std::collections::BTreeMap;
use std::time::Duration;
use trefoil_standins::customerio::{Identifier, StoredEvent};
use trefoil_standins::intercom::{Author, ConversationState, NewContact, Priority, Redelivery, Role, Webhook};

const PEOPLE: usize = 60;

pub(crate) struct World {
    people: Vec<Person>,
    /// As Intercom sends them: in no order, some twice.
    pub(crate) webhooks: Vec<Webhook>,
}

struct Person {
    contact: String,
    /// Their profile at Customer.io, unless they are unknown there.
    profile: Option<String>,
    conversations: Vec<Conversation>,
}

struct Conversation {
    id: String,
    /// The customer began it.
    theirs: bool,
    /// They have spoken in it.
    counts: bool,
    deleted: bool,
    tags: usize,
    ratings: usize,
}

impl World {
    /// Everything that happens, the same for the same seed.
    pub(crate) fn of(seed: u64, stage: &Stage) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut world = Self { people: Vec::new(), webhooks: Vec::new() };
        for number in 0..PEOPLE {
            world.arrive(number, &mut rng, stage);
        }
        for _ in 0..PEOPLE * 10 {
            // Often several things in one second.
            stage.clock.advance(Duration::from_secs(if rng.u8(..10) == 0 { 0 } else { rng.u64(1..400) }));
            let person = rng.usize(..PEOPLE);
            world.something_happens(person, &mut rng, stage);
        }
        stage.clock.advance(Duration::from_secs(60));
        let again: Vec<Webhook> =
            world.webhooks.iter().filter(|_| rng.u8(..10) < 3).map(|webhook| stage.intercom.redelivery(webhook)).collect();
        world.webhooks.extend(again);
        rng.shuffle(&mut world.webhooks);
        world
    }

    /// A new contact, in one of the ways in which the tools may know a person.
    fn arrive(&mut self, number: usize, rng: &mut Rng, stage: &Stage) {
        stage.clock.advance(Duration::from_secs(rng.u64(1..60)));
        let (id, email) = (format!("user-{number}"), format!("person{number}@example.com"));
        let unknown = number % 10 == 9;
        let (role, external_id, profile_id, profile_email) = match number % 4 {
            0 => (Role::User, Some(id.clone()), Some(id), Some(email.clone())),
            // Only the address leads to the profile.
            1 => (Role::User, None, Some(id), Some(email.clone())),
            // Intercom makes up an external id, which is nobody's user id.
            2 => (Role::Lead, None, None, Some(email.clone())),
            _ => (Role::User, Some(id.clone()), Some(id), None),
        };
        let profile = (!unknown).then(|| stage.customerio.add_profile(profile_id.as_deref(), profile_email.as_deref(), &[]));
        let new = NewContact { role: Some(role), external_id, email: Some(email), name: None, ..NewContact::default() };
        let (contact, created) = stage.intercom.create_contact(new);
        // Half of them are first heard of through a conversation that names a bare contact.
        if number.is_multiple_of(2) {
            self.webhooks.push(created);
        }
        let (first, opened) = stage.intercom.open_conversation(&contact, priority(rng)).expect("the contact exists");
        self.webhooks.push(opened);
        self.people.push(Person { contact, profile, conversations: vec![conversation(first, true)] });
    }

    fn something_happens(&mut self, person: usize, rng: &mut Rng, stage: &Stage) {
        let intercom = &stage.intercom;
        let Person { contact, conversations, .. } = &mut self.people[person];
        if conversations.len() < 3 && rng.u8(..6) == 0 {
            let counts = rng.u8(..5) > 0;
            let opened = if counts {
                intercom.open_conversation(contact, priority(rng))
            } else {
                intercom.open_conversation_as_teammate(contact, priority(rng))
            };
            let (id, webhook) = opened.expect("the contact exists");
            conversations.push(conversation(id, counts));
            self.webhooks.push(webhook);
            return;
        }
        let at = rng.usize(..conversations.len());
        let conversation = &mut conversations[at];
        let id = conversation.id.clone();
        let Some(now) = intercom.conversation(&id) else { return };
        let webhooks = match (rng.u8(..20), now.state) {
            (0..6, ConversationState::Open | ConversationState::Snoozed) => intercom.close(&id, Author::Admin).map(one),
            (0..4, ConversationState::Closed) => intercom.reopen(&id).map(one),
            (4..6, ConversationState::Closed) | (6..9, _) => {
                conversation.counts = true;
                intercom.reply(&id, Author::Contact(contact.clone()), "Still here.")
            }
            (9..11, _) => intercom.reply(&id, Author::Admin, "We are on it."),
            (11..13, ConversationState::Open) => intercom.snooze(&id, stage.clock.now() + 3600).map(one),
            (11..13, ConversationState::Snoozed) => intercom.unsnooze(&id).map(one),
            (13..15, _) => {
                conversation.tags += 1;
                intercom.tag(&id, ["churn-risk", "vip", "billing"][rng.usize(..3)]).map(one)
            }
            (15..17, _) => {
                conversation.ratings += 1;
                intercom.rate(&id, rng.u8(1..6), None).map(one)
            }
            (17, _) if at > 0 => {
                conversation.deleted = true;
                intercom.delete(&id).map(one)
            }
            (11..13, ConversationState::Closed) | (17.., _) => intercom.set_priority(&id, priority(rng)).map(one),
        };
        self.webhooks.extend(webhooks.expect("the conversation exists"));
    }

    /// How Customer.io differs from the truth; empty at rest.
    pub(crate) fn wrong(&self, stage: &Stage) -> Vec<String> {
        let mut wrong = Vec::new();
        let events = stage.customerio.events();
        let mut told: BTreeMap<(&str, String), usize> = BTreeMap::new();
        for event in &events {
            *told.entry((event.name.as_str(), ticket_of(event))).or_default() += 1;
        }
        let exact = stage.intercom.options().variants.redelivery == Redelivery::SameId;
        for Person { contact, profile, conversations } in &self.people {
            let mut check = |what: &str, expected: String, actual: String| {
                if expected != actual {
                    wrong.push(format!("contact {contact}: {what} is {actual}, should be {expected}"));
                }
            };
            for conversation in conversations {
                let count = |name| told.get(&(name, conversation.id.clone())).copied().unwrap_or(0);
                let expects = conversation.counts && profile.is_some();
                // Of a conversation that is deleted before it was ever heard of, nothing is told.
                if !conversation.deleted {
                    let opened = usize::from(expects);
                    check("support_ticket_opened", opened.to_string(), count("support_ticket_opened").to_string());
                }
                let facts = [("support_tag_applied", conversation.tags), ("csat_score_submitted", conversation.ratings)];
                for (name, times) in facts {
                    let (least, told) = (if expects { times } else { 0 }, count(name));
                    // Where each delivery has an id of its own, nobody can tell a repeat from a second time.
                    // Nothing is reported before the customer speaks, and webhooks come in any order.
                    let least_told = if conversation.theirs || !expects { least } else { 0 };
                    let most_told = if exact || !expects { least } else { 2 * least };
                    let right = (least_told..=most_told).contains(&told);
                    if !conversation.deleted && !right {
                        check(name, least.to_string(), told.to_string());
                    }
                }
            }
            let Some(cio_id) = profile else { continue };
            let Some(profile) = stage.customerio.profile(&Identifier::CioId(cio_id.clone())) else {
                check("the profile", "there".to_owned(), "gone".to_owned());
                continue;
            };
            let state = |id: &str| stage.intercom.conversation(id).map(|conversation| conversation.state);
            let is_open = |conversation: &&Conversation| {
                conversation.counts && state(&conversation.id).is_some_and(|state| state != ConversationState::Closed)
            };
            let open = conversations.iter().filter(is_open).count();
            check("open_ticket_count", open.to_string(), profile.text("open_ticket_count").unwrap_or_default());
            check("has_open_ticket", (open > 0).to_string(), profile.text("has_open_ticket").unwrap_or_default());
        }
        if stage.customerio.profile_created_by_accident() {
            wrong.push("a profile was created by accident".to_owned());
        }
        let known = self.people.iter().filter(|person| person.profile.is_some()).count();
        if stage.customerio.profiles().len() != known {
            wrong.push(format!("{} profiles, should be {known}", stage.customerio.profiles().len()));
        }
        if !stage.customerio.vanished_events().is_empty() {
            wrong.push("events were sent for somebody whom Customer.io does not know".to_owned());
        }
        wrong
    }
}

fn ticket_of(event: &StoredEvent) -> String {
    event.attributes.get("ticket_id").and_then(|id| id.as_str()).unwrap_or_default().to_owned()
}

fn conversation(id: String, counts: bool) -> Conversation {
    Conversation { id, theirs: counts, counts, deleted: false, tags: 0, ratings: 0 }
}

fn one(webhook: Webhook) -> Vec<Webhook> {
    vec![webhook]
}

fn priority(rng: &mut Rng) -> Priority {
    [Priority::None, Priority::Low, Priority::Medium, Priority::High, Priority::Urgent][rng.usize(..5)]
}
