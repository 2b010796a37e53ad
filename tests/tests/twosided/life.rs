//! The people, and what they and those who work with the tools do.

use crate::oracle::{Subject, Switch, Tool, Wishes};
use crate::post::Body;
use crate::road::Tools;
use fastrand::Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trefoil_standins::customerio::{self, Channel, Identifier, Message};
use trefoil_standins::intercom::{Author, ContactChange, ConversationState, Life as Fate, NewContact, Priority, Role};
use trefoil_standins::segment::{self, Audience, Caller, SentAs};

/// One human, with all records that are theirs.
pub(crate) struct Human {
    pub(crate) name: &'static str,
    pub(crate) contacts: Vec<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) email: Option<String>,
    /// Others have the address too.
    pub(crate) shares_email: bool,
    pub(crate) wishes: Wishes,
    browser: Option<String>,
}

/// What holds for a whole run.
pub(crate) struct Rules {
    /// The topic at Intercom; with it, there is one at all three.
    pub(crate) topic: Option<&'static str>,
    pub(crate) explicit: Vec<Tool>,
}

pub(crate) struct Life {
    pub(crate) people: Vec<Human>,
    pub(crate) rules: Rules,
    /// What was done, for whoever reads of a failure.
    pub(crate) diary: Vec<String>,
    /// How often something was done.
    pub(crate) done: BTreeMap<Deed, usize>,
    /// Priorities, plans and names change to values that were not there before.
    values: u32,
}

/// What happens outside, by where. `Choice`: somebody opts out or in, anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    AtIntercom,
    AtCustomerio,
    AtSegment,
    Choice,
}

pub(crate) const TOPIC: u64 = 1;
pub(crate) const LIST: &str = "product_news";

impl Human {
    fn new(name: &'static str, user: bool, email: Option<&str>) -> Self {
        Self {
            name,
            contacts: Vec::new(),
            user_id: user.then(|| format!("u-{name}")),
            email: email.map(str::to_owned),
            shares_email: email == Some(SHARED),
            wishes: Wishes::default(),
            browser: None,
        }
    }

    pub(crate) fn active<'h>(&'h self, tools: &'h Tools) -> impl Iterator<Item = trefoil_standins::intercom::Contact> + 'h {
        self.contacts.iter().filter_map(|id| tools.intercom.contact(id)).filter(|contact| contact.life == Fate::Active)
    }

    /// Every profile at Customer.io that is theirs.
    pub(crate) fn profiles(&self, tools: &Tools) -> Vec<customerio::Profile> {
        let own_email = self.email.as_ref().filter(|_| !self.shares_email);
        let is_theirs = |profile: &customerio::Profile| {
            (self.user_id.is_some() && profile.id == self.user_id) || (own_email.is_some() && profile.email.as_ref() == own_email)
        };
        tools.customerio.profiles().into_iter().filter(is_theirs).collect()
    }

    pub(crate) fn profile(&self, tools: &Tools) -> Option<customerio::Profile> {
        let by_id = self.user_id.as_ref().and_then(|id| tools.customerio.profile(&Identifier::Id(id.clone())));
        by_id.or_else(|| tools.customerio.profile(&Identifier::Email(self.email.clone().filter(|_| !self.shares_email)?)))
    }

    /// Theirs alone: an address that two people share may have made one profile of both.
    pub(crate) fn at_segment(&self, tools: &Tools) -> Option<segment::Profile> {
        let by_id = self.user_id.as_ref().and_then(|id| tools.segment.profile(id));
        let own_email = self.email.as_ref().filter(|_| !self.shares_email);
        let by_email =
            || tools.segment.profiles().into_iter().find(|profile| own_email.is_some_and(|email| profile.emails.contains(email)));
        by_id.or_else(by_email).filter(|profile| profile.user_ids.len() < 2)
    }

    fn caller(&self) -> Option<Caller> {
        let user_id = self.user_id.as_ref()?;
        Some(Caller { anonymous_id: self.browser.clone(), email: self.email.clone(), ..Caller::on_server(user_id) })
    }
}

const SHARED: &str = "family@example.com";

pub(crate) fn is_true(value: Option<&Value>) -> bool {
    value == Some(&Value::Bool(true))
}

impl Life {
    /// Whoever is there already.
    pub(crate) fn begin(tools: &Tools, rules: Rules) -> (Self, Vec<Body>) {
        let mut people = vec![
            Human::new("ada", true, Some("ada@example.com")),
            Human::new("ben", true, Some("ben@example.com")),
            // A lead who gives an address one day, and signs up another.
            Human::new("cyd", false, None),
            // With a second contact, a lead.
            Human::new("dan", true, Some("dan@example.com")),
            Human::new("eve", true, Some(SHARED)),
            Human::new("fin", true, Some(SHARED)),
            // A browser that signs up one day.
            Human::new("gil", false, None),
        ];
        let mut posts = Vec::new();
        for human in &mut people {
            let (id, email) = (human.user_id.clone(), human.email.clone());
            let own_email = email.as_deref().filter(|_| human.name != "fin");
            if matches!(human.name, "ada" | "dan" | "eve") {
                tools.customerio.add_profile(id.as_deref(), own_email, &[("name", json!(human.name))]);
            }
            if matches!(human.name, "ada" | "ben" | "dan" | "eve") {
                let new = NewContact { role: Some(Role::User), external_id: id, email: email.clone(), ..NewContact::default() };
                let (id, webhook) = tools.intercom.create_contact(new);
                human.contacts.push(id);
                posts.push(Body::Intercom(webhook));
            }
            if matches!(human.name, "cyd" | "dan") {
                let new = NewContact { role: Some(Role::Lead), email: email.clone(), ..NewContact::default() };
                let (id, webhook) = tools.intercom.create_contact(new);
                human.contacts.push(id);
                posts.push(Body::Intercom(webhook));
            }
            if human.name == "gil" {
                human.browser = Some("browser-gil".to_owned());
                tools.segment.app_page(&Caller::visitor("browser-gil"), "Pricing", &json!({}));
            }
            if let Some(caller) = human.caller() {
                tools.segment.app_identify(&caller, &json!({"email": email, "name": human.name}));
            }
        }
        (Self { people, rules, diary: Vec::new(), done: BTreeMap::new(), values: 0 }, posts)
    }

    /// Intercom's way to make a user of a lead may be to make a user and merge the lead into that one: then this one is theirs.
    pub(crate) fn follow_merges(&mut self, tools: &Tools) {
        for human in &mut self.people {
            let lives = human.contacts.iter().filter_map(|id| tools.intercom.contact(id)).map(|contact| contact.life);
            let into: Vec<String> = lives.filter_map(|life| if let Fate::MergedInto(into) = life { Some(into) } else { None }).collect();
            human.contacts.extend(into);
            human.contacts.sort();
            human.contacts.dedup();
        }
    }

    /// Something happens. `None`: it could not.
    pub(crate) fn happens(&mut self, tools: &Tools, now: i64, dice: &mut Rng) -> Option<Vec<Body>> {
        self.values += 1;
        let who = dice.usize(..self.people.len());
        let deed = match dice.u8(..10) {
            0..=3 => Deed::AtIntercom,
            4..=5 => Deed::AtCustomerio,
            6..=7 => Deed::AtSegment,
            _ => Deed::Choice,
        };
        let (what, posts) = match deed {
            Deed::AtIntercom => self.at_intercom(who, tools, dice)?,
            Deed::AtCustomerio => self.at_customerio(who, tools, dice)?,
            Deed::AtSegment => self.at_segment(who, tools, dice)?,
            Deed::Choice => self.chooses(who, tools, now, dice)?,
        };
        self.diary.push(format!("{now} {} {what}", self.people[who].name));
        *self.done.entry(deed).or_default() += 1;
        Some(posts)
    }

    fn at_intercom(&mut self, who: usize, tools: &Tools, dice: &mut Rng) -> Option<(&'static str, Vec<Body>)> {
        let intercom = &tools.intercom;
        let value = self.values;
        let human = &mut self.people[who];
        let contacts: Vec<_> = human.active(tools).collect();
        let contact = contacts.get(dice.usize(..contacts.len().max(1)))?.clone();
        let theirs: Vec<_> = intercom.conversations().into_iter().filter(|c| c.contacts.contains(&contact.id)).collect();
        let one = || Body::Intercom;
        let conversation = theirs.get(dice.usize(..theirs.len().max(1)));
        let id = conversation.map(|conversation| conversation.id.to_string()).unwrap_or_default();
        let is_open = conversation.is_some_and(|conversation| conversation.state != ConversationState::Closed);
        let posts = |webhook| vec![one()(webhook)];
        Some(match (dice.u8(..20), conversation) {
            (0..=2, _) => ("opens a conversation", posts(intercom.open_conversation(&contact.id, priority(dice)).ok()?.1)),
            (3, _) => ("is written to", posts(intercom.open_conversation_as_teammate(&contact.id, Priority::None).ok()?.1)),
            (4, _) => {
                let custom_attributes = [("plan".to_owned(), json!(format!("plan {value}"))), ("mrr".to_owned(), json!(value))];
                let change = ContactChange { custom_attributes: custom_attributes.into_iter().collect(), ..ContactChange::default() };
                ("is given a plan at Intercom", posts(intercom.update_contact(&contact.id, change).ok()?))
            }
            (5, _) => {
                let change = ContactChange { name: Some(format!("{} {value}", human.name)), ..ContactChange::default() };
                ("is named at Intercom", posts(intercom.update_contact(&contact.id, change).ok()?))
            }
            (6, _) if contact.role == Role::Lead && contact.email.is_none() => {
                let email = format!("{}@example.com", human.name);
                human.email = Some(email.clone());
                let change = ContactChange { email: Some(email), ..ContactChange::default() };
                ("leaves an address", posts(intercom.update_contact(&contact.id, change).ok()?))
            }
            (7, _) if human.name == "dan" && contacts.len() == 2 => {
                let with = |role| contacts.iter().find(|contact| contact.role == role).map(|contact| contact.id.clone());
                let (lead, user) = (with(Role::Lead)?, with(Role::User)?);
                ("is merged at Intercom", posts(intercom.merge_contacts(&lead, &user).ok()?))
            }
            (8..=9, Some(_)) => {
                let webhooks = intercom.reply(&id, Author::Contact(contact.id.clone()), "And now?").ok()?;
                ("replies", webhooks.into_iter().map(Body::Intercom).collect())
            }
            (10, Some(_)) => {
                let by = if dice.bool() { Author::Admin } else { Author::Bot };
                ("is answered", intercom.reply(&id, by, "We look into it").ok()?.into_iter().map(Body::Intercom).collect())
            }
            (11..=13, Some(_)) if is_open => ("is done with", posts(intercom.close(&id, Author::Admin).ok()?)),
            (14, Some(_)) if !is_open => ("is taken up again", posts(intercom.reopen(&id).ok()?)),
            (15, Some(_)) if is_open => ("is put off", posts(intercom.snooze(&id, 2_000_000_000).ok()?)),
            (16, Some(_)) => {
                let tag = dice.choice(["churn-risk", "refund", "bug"]).unwrap_or("bug");
                ("gets a tag on a conversation", posts(intercom.tag(&id, tag).ok()?))
            }
            (17, Some(_)) => ("rates", posts(intercom.rate(&id, dice.u8(1..=5), None).ok()?)),
            (18, Some(_)) => ("gets another priority", posts(intercom.set_priority(&id, priority(dice)).ok()?)),
            (19, Some(_)) if dice.u8(..4) == 0 => ("loses a conversation", posts(intercom.delete(&id).ok()?)),
            _ => return None,
        })
    }

    fn at_customerio(&mut self, who: usize, tools: &Tools, dice: &mut Rng) -> Option<(&'static str, Vec<Body>)> {
        let customerio = &tools.customerio;
        let value = self.values;
        let profile = self.people[who].profile(tools)?;
        let cio_id = &profile.cio_id;
        let delivery_id = Some(format!("delivery-{value}"));
        let message = Message { delivery_id, subject: Some("News".to_owned()), ..Message::default() };
        let (what, webhooks) = match dice.u8(..9) {
            0 => ("is named at Customer.io", customerio.edit_profile(cio_id, &[("name", json!(format!("C {value}")))])),
            1 => (
                "is given a plan at Customer.io",
                customerio.edit_profile(cio_id, &[("subscription_plan", json!(format!("tier {value}")))]),
            ),
            2 => ("is sent a mail", customerio.metric(cio_id, Channel::Email, "sent", &message)),
            3 => ("opens a mail", customerio.metric(cio_id, Channel::Email, "opened", &message)),
            4 => {
                let message = Message { href: Some("https://example.com/".to_owned()), link_id: Some(1), ..message };
                ("clicks", customerio.metric(cio_id, Channel::Email, "clicked", &message))
            }
            5 => ("may leave", customerio.churn_risk(cio_id, "quiet").ok()?),
            6 => ("enters a segment", customerio.segment_entered(cio_id, 5, "Trial users").ok()?),
            7 => ("leaves a segment", customerio.segment_left(cio_id, 5, "Trial users").ok()?),
            _ => ("converts", customerio.conversion(cio_id, "purchase", "01HXXXXXXXXXXXXXXXXXXXXXXX", f64::from(value), "EUR").ok()?),
        };
        Some((what, webhooks.into_iter().map(Body::Customerio).collect()))
    }

    /// What the product's own code says; what Segment says of it is taken from the stand-in.
    fn at_segment(&mut self, who: usize, tools: &Tools, dice: &mut Rng) -> Option<(&'static str, Vec<Body>)> {
        let segment = &tools.segment;
        let value = self.values;
        let human = &mut self.people[who];
        let Some(caller) = human.caller() else {
            if let ("cyd", Some(email)) = (human.name, human.email.clone()) {
                human.user_id = Some("u-cyd".to_owned());
                segment.app_identify(&human.caller()?, &json!({"email": email, "name": "cyd"}));
                return Some(("signs up", Vec::new()));
            }
            let browser = human.browser.clone()?;
            if human.name == "gil" && dice.bool() {
                human.user_id = Some("u-gil".to_owned());
                human.email = Some("gil@example.com".to_owned());
                segment.app_identify(&human.caller()?, &json!({"email": "gil@example.com", "name": "gil"}));
                return Some(("signs up", Vec::new()));
            }
            segment.app_track(&Caller::visitor(&browser), "Trial Started", &json!({"plan": "pro"}));
            return Some(("starts a trial as a stranger", Vec::new()));
        };
        let vip = Audience::new("vip");
        Some((
            match dice.u8(..10) {
                0..=1 => {
                    segment.app_identify(&caller, &json!({"name": format!("S {value}"), "email": human.email}));
                    "is named at Segment"
                }
                2..=3 => {
                    segment.app_identify(&caller, &json!({"plan": format!("S{value}"), "logins": value, "email": human.email}));
                    "is given a plan at Segment"
                }
                4..=5 => {
                    segment.app_track(
                        &caller,
                        "Order Completed",
                        &json!({"total": value, "currency": "EUR", "order_id": format!("o-{value}")}),
                    );
                    "orders"
                }
                6 => {
                    segment.app_track(&caller, "Something Nobody Wants", &json!({"value": value}));
                    "does something that nobody wants to know"
                }
                7 => {
                    segment.app_group(&caller, &format!("company-{}", dice.u8(..3)), &json!({"name": "Example", "employees": value}));
                    "joins a company"
                }
                8 => {
                    let as_call = if dice.bool() { SentAs::Identify } else { SentAs::Track };
                    segment.engage_audience(caller.user_id.as_deref()?, &vip, dice.bool(), as_call);
                    "enters or leaves an audience"
                }
                _ => {
                    segment.computed_trait(caller.user_id.as_deref()?, "lifetime_value", &json!(value), SentAs::Identify);
                    "has a trait computed"
                }
            },
            Vec::new(),
        ))
    }

    /// Somebody opts out or in, where that changes what the tool has.
    fn chooses(&mut self, who: usize, tools: &Tools, now: i64, dice: &mut Rng) -> Option<(&'static str, Vec<Body>)> {
        let topic = self.rules.topic.filter(|_| dice.bool());
        let tool = dice.choice([Tool::Intercom, Tool::Customerio, Tool::Segment])?;
        let explicit = self.rules.explicit.contains(&tool);
        let human = &mut self.people[who];
        match (tool, topic) {
            (Tool::Intercom, None) => {
                let contacts: Vec<_> = human.active(tools).collect();
                let contact = contacts.get(dice.usize(..contacts.len().max(1)))?;
                let wants = contact.unsubscribed_from_emails;
                let webhook = tools.intercom.choose_mail(&contact.id, wants).ok()?;
                human.chose(tool, &contact.id, Subject::Mail, wants, explicit, now);
                Some((if wants { "wants mail at Intercom" } else { "leaves mail at Intercom" }, vec![Body::Intercom(webhook)]))
            }
            (Tool::Intercom, Some(kind)) => {
                let contacts: Vec<_> = human.active(tools).collect();
                let contact = contacts.get(dice.usize(..contacts.len().max(1)))?;
                let wants = is_out_of_topic(contact, kind);
                let webhook = tools.intercom.choose_subscription(&contact.id, kind, wants).ok()?;
                human.chose(tool, &contact.id, Subject::Topic, wants, explicit, now);
                Some((if wants { "wants the topic at Intercom" } else { "leaves the topic at Intercom" }, vec![Body::Intercom(webhook)]))
            }
            (Tool::Customerio, None) => {
                let profile = human.profile(tools)?;
                let wants = profile.is_unsubscribed();
                let (what, webhooks) = match (wants, dice.bool()) {
                    (true, _) => ("wants everything at Customer.io", tools.customerio.subscribe(&profile.cio_id).ok()?),
                    (false, true) => ("leaves everything at Customer.io", tools.customerio.unsubscribe(&profile.cio_id).ok()?),
                    (false, false) => {
                        let webhooks = tools.customerio.metric(&profile.cio_id, Channel::Email, "unsubscribed", &Message::default());
                        ("clicks to leave everything", webhooks)
                    }
                };
                human.chose(tool, &profile.cio_id, Subject::Everything, wants, explicit, now);
                Some((what, webhooks.into_iter().map(Body::Customerio).collect()))
            }
            (Tool::Customerio, Some(_)) => {
                let profile = human.profile(tools)?;
                let wants = profile.topic(TOPIC) == Some(false);
                let webhooks = tools.customerio.set_topic(&profile.cio_id, TOPIC, wants).ok()?;
                human.chose(tool, &profile.cio_id, Subject::Topic, wants, explicit, now);
                let what = if wants { "wants the topic at Customer.io" } else { "leaves the topic at Customer.io" };
                Some((what, webhooks.into_iter().map(Body::Customerio).collect()))
            }
            (Tool::Segment, topic) => {
                let caller = human.caller()?;
                let profile = human.at_segment(tools)?;
                let has = |name: &str| is_true(profile.traits.get(name));
                Some((
                    match (topic, has("unsubscribed"), dice.bool()) {
                        (Some(_), ..) if !has(&format!("unsubscribed_{LIST}")) => {
                            tools.segment.app_track(&caller, "Unsubscribed", &json!({"list_id": LIST}));
                            human.wishes.opt_out(Subject::Topic, now);
                            "leaves the topic at Segment"
                        }
                        (Some(_), ..) => return None,
                        // What Segment believes is no opt-in of anybody.
                        (None, true, _) => {
                            tools.segment.app_identify(&caller, &json!({"unsubscribed": false}));
                            "is believed to want everything at Segment"
                        }
                        (None, false, true) => {
                            tools.segment.app_identify(&caller, &json!({"unsubscribed": true}));
                            human.wishes.opt_out(Subject::Everything, now);
                            "leaves everything at Segment"
                        }
                        (None, false, false) => {
                            tools.segment.app_track(&caller, "Unsubscribed", &json!({}));
                            human.wishes.opt_out(Subject::Mail, now);
                            "leaves mail at Segment"
                        }
                    },
                    Vec::new(),
                ))
            }
        }
    }
}

impl Human {
    fn chose(&mut self, tool: Tool, record: &str, subject: Subject, wants: bool, explicit: bool, now: i64) {
        if wants {
            self.wishes.opt_in(tool, record, subject, explicit, now);
        } else {
            self.wishes.opt_out(subject, now);
        }
    }

    /// What each tool has: the tool, the switch, the record, and whether the human is out there; `None`: it has nothing to say.
    pub(crate) fn kept(&self, tools: &Tools, topic: Option<&str>) -> Vec<(Tool, Switch, String, Option<bool>)> {
        let mut all = Vec::new();
        for contact in self.active(tools) {
            all.push((Tool::Intercom, Switch::Mail, contact.id.clone(), Some(contact.unsubscribed_from_emails)));
            if let Some(kind) = topic {
                all.push((Tool::Intercom, Switch::Topic, contact.id.clone(), Some(is_out_of_topic(&contact, kind))));
            }
        }
        for profile in self.profiles(tools) {
            all.push((Tool::Customerio, Switch::Mail, profile.cio_id.clone(), Some(profile.is_unsubscribed())));
            if topic.is_some() {
                all.push((Tool::Customerio, Switch::Topic, profile.cio_id.clone(), Some(profile.topic(TOPIC) == Some(false))));
            }
        }
        if let Some(profile) = self.at_segment(tools) {
            let record = self.user_id.clone().unwrap_or_default();
            all.push((Tool::Segment, Switch::Mail, record.clone(), Some(is_true(profile.traits.get("unsubscribed")))));
            if topic.is_some() {
                all.push((Tool::Segment, Switch::Topic, record, Some(is_true(profile.traits.get(&format!("unsubscribed_{LIST}"))))));
            }
        }
        all
    }
}

fn is_out_of_topic(contact: &trefoil_standins::intercom::Contact, kind: &str) -> bool {
    // `Newsletter` of the stand-in: on its list is whoever does not want it.
    contact.subscriptions.contains(kind)
}

fn priority(dice: &mut Rng) -> Priority {
    dice.choice([Priority::None, Priority::High, Priority::Urgent]).unwrap_or(Priority::None)
}
