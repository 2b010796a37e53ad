//! The three tools, as far as consent goes: who is in and who is out, records that die, are merged and made again without a word,
//! and webhooks that come late, twice, or never.

use crate::sim::{World, point};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use trefoil_domain::action::{ContactRole, SegmentVerb};
use trefoil_domain::event::{
    Channel, Choice, ConsentChange, Event, IdKind, Identifier, Kind, Merged, Parent, Profile, Source, Workspace, event_id,
};
use trefoil_domain::id::EventId;
use trefoil_domain::job::LookUp;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::*;
use trefoil_domain::time::{Span, Timestamp};

pub(crate) fn workspace() -> Workspace {
    Workspace::new("main").expect("a workspace")
}

fn id(kind: IdKind, value: &str) -> Identifier {
    Identifier::new(kind, value).expect("an id")
}

#[derive(Clone, Debug)]
struct CustomerioProfile {
    user: String,
    out: bool,
    edited_at: i64,
    alive: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Life {
    Living,
    Deleted,
    MergedInto(String),
}

#[derive(Clone, Debug)]
struct Contact {
    user: String,
    out: bool,
    life: Life,
}

#[derive(Default)]
struct Inside {
    profiles: BTreeMap<String, CustomerioProfile>,
    contacts: BTreeMap<String, Contact>,
    /// The trait `unsubscribed`, by `user:…` or `anonymous:…`.
    traits: BTreeMap<String, bool>,
    webhooks: Vec<(Timestamp, Event)>,
    /// Of records and events.
    last: u64,
}

pub(crate) struct Tools<'w> {
    world: &'w World,
    inside: Mutex<Inside>,
    /// Percent of calls that fail; half of them after having been applied.
    pub(crate) failing: AtomicU64,
    /// Percent of what is written that is reported back.
    echoes: usize,
    /// A dead contact that was merged says where it went.
    tells_where: bool,
    /// Webhooks come late and again.
    is_late: bool,
}

impl<'w> Tools<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        let dice = &world.dice;
        Self {
            world,
            inside: Mutex::default(),
            failing: AtomicU64::new([0, 10][dice.below(2)]),
            echoes: [0, 60, 100][dice.below(3)],
            tells_where: dice.percent(50),
            is_late: true,
        }
    }

    /// Nothing fails, nothing is late, and nothing that Trefoil writes is reported back.
    pub(crate) fn calm(world: &'w World, tells_where: bool) -> Self {
        Self { world, inside: Mutex::default(), failing: AtomicU64::new(0), echoes: 0, tells_where, is_late: false }
    }

    fn inside<T>(&self, act: impl FnOnce(&mut Inside) -> T) -> T {
        act(&mut self.inside.lock().expect("lock"))
    }

    fn fails(&self) -> bool {
        self.world.dice.percent(self.failing.load(Ordering::Relaxed) as usize)
    }

    /// A webhook; its time is in whole seconds. It may come late, and again.
    fn reports(&self, source: Source, ids: Vec<Identifier>, kind: Kind) {
        let now = self.world.now();
        let dice = &self.world.dice;
        let delays = [Span::from_secs(0), Span::from_secs(5), Span::from_mins(3), Span::from_hours(2)];
        let delay = || if self.is_late { delays[dice.below(4)] } else { Span::ZERO };
        let (delay, again) = (delay(), delay());
        let is_repeated = self.is_late && dice.percent(15);
        self.inside(|inside| {
            inside.last += 1;
            let event = Event {
                id: event_id(source, &workspace(), &["tools", &inside.last.to_string()]),
                source,
                workspace: workspace(),
                occurred_at: Timestamp::from_secs(now.secs()),
                received_at: now,
                ids,
                person: None,
                origin: None,
                kind,
            };
            if is_repeated {
                inside.webhooks.push((now.plus(again), event.clone()));
            }
            inside.webhooks.push((now.plus(delay), event));
        });
    }

    /// Takes the webhooks that have arrived by now.
    pub(crate) fn arrived(&self) -> Vec<Event> {
        let now = self.world.now();
        self.inside(|inside| {
            let (arrived, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut inside.webhooks).into_iter().partition(|(at, _)| *at <= now);
            inside.webhooks = rest;
            arrived.into_iter().map(|(_, event)| event).collect()
        })
    }

    pub(crate) fn next_arrival(&self) -> Option<Timestamp> {
        self.inside(|inside| inside.webhooks.iter().map(|(at, _)| *at).min())
    }

    fn new_id(&self, kind: &str) -> String {
        self.inside(|inside| {
            inside.last += 1;
            format!("{kind}{:x}", inside.last)
        })
    }

    // ------------------------------------------------------------------------------------------ what people do

    fn about(channel: Option<Channel>, choice: Choice) -> Vec<ConsentChange> {
        vec![ConsentChange { channel, topic: None, choice }]
    }

    /// `false`: there is no record in which it could be done.
    pub(crate) fn chooses(&self, tool: Destination, user: &str, choice: Choice) -> bool {
        let out = choice == Choice::Out;
        match tool {
            Destination::Customerio => {
                let now = self.world.now().secs();
                let Some(own) = self.any_profile(user) else { return false };
                self.inside(|inside| {
                    inside.profiles.entry(own.clone()).and_modify(|p| (p.out, p.edited_at) = (out, now));
                });
                self.report_profile(&own, Kind::ConsentChanged(Self::about(None, choice)));
            }
            Destination::Intercom => {
                let Some(contact) = self.any_contact(user) else { return false };
                self.inside(|inside| {
                    inside.contacts.entry(contact.clone()).and_modify(|c| c.out = out);
                });
                self.report_contact(&contact, Kind::ConsentChanged(Self::about(Some(Channel::Email), choice)));
            }
            // It has only an event for leaving, which leaves the trait as it was.
            Destination::Segment => {
                self.reports(
                    Source::Segment,
                    vec![id(IdKind::UserId, user)],
                    Kind::ConsentChanged(Self::about(Some(Channel::Email), Choice::Out)),
                );
            }
        }
        true
    }

    /// An opt-out at Customer.io that was taken back there since, and is reported only now.
    pub(crate) fn reports_late_opt_out(&self, user: &str, at: Timestamp) {
        let own = self.any_profile(user).expect("a profile");
        self.report_profile(&own, Kind::ConsentChanged(Self::about(None, Choice::Out)));
        self.inside(|inside| inside.webhooks.iter_mut().for_each(|(_, event)| event.occurred_at = at));
    }

    pub(crate) fn has_profile(&self, user: &str) -> bool {
        self.any_profile(user).is_some()
    }

    pub(crate) fn browser_opts_out(&self, browser: &str) {
        self.reports(
            Source::Segment,
            vec![id(IdKind::AnonymousId, browser)],
            Kind::ConsentChanged(Self::about(Some(Channel::Email), Choice::Out)),
        );
    }

    /// The browser says whose it is.
    pub(crate) fn signs_in(&self, user: &str, browser: &str) {
        if self.world.dice.percent(50) {
            let from = [IdKind::UserId, IdKind::AnonymousId].into_iter().map(|kind| id(kind, browser)).collect();
            let alias = Kind::PersonMerged(Merged { from, profile: Profile::default() });
            self.reports(Source::Segment, vec![id(IdKind::UserId, user)], alias);
        } else {
            let ids = vec![id(IdKind::UserId, user), id(IdKind::AnonymousId, browser)];
            self.reports(Source::Segment, ids, Kind::PersonUpdated(Profile::default()));
        }
    }

    /// The customer's own code sends what it believes: that everybody is in.
    pub(crate) fn identifies(&self, user: &str, states: bool) {
        let mut profile = Profile::default();
        let step = self.inside(|inside| inside.last);
        profile.attributes.insert("step".to_owned(), step.into());
        if states {
            self.inside(|inside| inside.traits.insert(format!("user:{user}"), false));
            profile.consent = Self::about(None, Choice::In);
        }
        self.reports(Source::Segment, vec![id(IdKind::UserId, user)], Kind::PersonUpdated(profile));
    }

    /// Something else has changed, and the state goes along.
    pub(crate) fn states(&self, tool: Destination, user: &str) {
        let choice = |out: bool| if out { Choice::Out } else { Choice::In };
        let updated = |consent| Kind::PersonUpdated(Profile { consent, ..Profile::default() });
        match tool {
            Destination::Customerio => {
                if let Some(own) = self.any_profile(user) {
                    let out = self.inside(|inside| inside.profiles[&own].out);
                    self.report_profile(&own, updated(Self::about(None, choice(out))));
                }
            }
            Destination::Intercom => {
                if let Some(contact) = self.any_contact(user) {
                    let out = self.inside(|inside| inside.contacts[&contact].out);
                    self.report_contact(&contact, updated(Self::about(Some(Channel::Email), choice(out))));
                }
            }
            Destination::Segment => self.identifies(user, true),
        }
    }

    // ---------------------------------------------------------------------------------- what becomes of records

    pub(crate) fn make(&self, tool: Destination, user: &str, is_told: bool) {
        match tool {
            // Customer.io keeps one profile an id.
            Destination::Customerio if self.any_profile(user).is_none() => {
                let own = self.new_id("0a");
                let profile = CustomerioProfile { user: user.to_owned(), out: false, edited_at: 0, alive: true };
                self.inside(|inside| inside.profiles.insert(own.clone(), profile));
                if is_told {
                    self.report_profile(&own, Kind::PersonUpdated(Profile::default()));
                }
            }
            Destination::Intercom if self.any_contact(user).is_none() => {
                let contact = self.new_id("c");
                self.inside(|inside| {
                    inside.contacts.insert(contact.clone(), Contact { user: user.to_owned(), out: false, life: Life::Living })
                });
                if is_told {
                    let consent = Self::about(Some(Channel::Email), Choice::In);
                    self.report_contact(&contact, Kind::PersonCreated(Profile { consent, whole: true, ..Profile::default() }));
                }
            }
            Destination::Customerio | Destination::Intercom | Destination::Segment => {}
        }
    }

    pub(crate) fn delete(&self, tool: Destination, user: &str, is_told: bool) {
        match tool {
            // It tells nobody.
            Destination::Customerio => {
                if let Some(own) = self.any_profile(user) {
                    self.inside(|inside| {
                        inside.profiles.entry(own).and_modify(|p| p.alive = false);
                    });
                }
            }
            Destination::Intercom => {
                if let Some(contact) = self.any_contact(user) {
                    if is_told {
                        self.report_contact(&contact, Kind::PersonDeleted);
                    }
                    self.inside(|inside| {
                        inside.contacts.entry(contact).and_modify(|c| c.life = Life::Deleted);
                    });
                }
            }
            Destination::Segment => {}
        }
    }

    /// The contact goes on under another id, and the one that it goes on as is in.
    pub(crate) fn merges(&self, user: &str, is_told: bool) {
        let Some(old) = self.any_contact(user) else { return };
        let new = self.new_id("c");
        self.inside(|inside| {
            inside.contacts.insert(new.clone(), Contact { user: user.to_owned(), out: false, life: Life::Living });
            inside.contacts.entry(old.clone()).and_modify(|c| c.life = Life::MergedInto(new.clone()));
        });
        if is_told {
            let from = vec![id(IdKind::IntercomId, &old)];
            self.report_contact(&new, Kind::PersonMerged(Merged { from, profile: Profile::default() }));
        }
    }

    fn report_profile(&self, own: &str, kind: Kind) {
        let user = self.inside(|inside| inside.profiles[own].user.clone());
        self.reports(Source::Customerio, vec![id(IdKind::CioId, own), id(IdKind::UserId, &user)], kind);
    }

    fn report_contact(&self, contact: &str, kind: Kind) {
        let user = self.inside(|inside| inside.contacts[contact].user.clone());
        self.reports(Source::Intercom, vec![id(IdKind::IntercomId, contact), id(IdKind::UserId, &user)], kind);
    }

    fn any_profile(&self, user: &str) -> Option<String> {
        self.inside(|inside| inside.profiles.iter().find(|(_, p)| p.alive && p.user == user).map(|(own, _)| own.clone()))
    }

    fn any_contact(&self, user: &str) -> Option<String> {
        let living = self.inside(|inside| {
            let theirs = |(_, c): &(&String, &Contact)| c.life == Life::Living && c.user == user;
            inside.contacts.iter().filter(theirs).map(|(id, _)| id.clone()).collect::<Vec<_>>()
        });
        (!living.is_empty()).then(|| living[self.world.dice.below(living.len())].clone())
    }

    /// Living records of the user that may be written to.
    pub(crate) fn still_in(&self, user: &str) -> Vec<String> {
        self.inside(|inside| {
            let profiles =
                inside.profiles.iter().filter(|(_, p)| p.alive && p.user == user && !p.out).map(|(own, _)| format!("profile {own}"));
            let living = |c: &Contact| c.life == Life::Living && c.user == user && !c.out;
            let contacts = inside.contacts.iter().filter(|(_, c)| living(c)).map(|(id, _)| format!("contact {id}"));
            let name = format!("user:{user}");
            let segment = inside.traits.get(&name).is_none_or(|out| !out).then_some(name);
            profiles.chain(contacts).chain(segment).collect()
        })
    }
}

impl Customerio for Tools<'_> {
    async fn find_profiles(&self, people: &[Address]) -> Vec<ProfileLookUp> {
        point().await;
        if self.fails() {
            return people.iter().map(|_| ProfileLookUp::Failed(Outcome::retry(Span::ZERO, "unavailable"))).collect();
        }
        let find = |inside: &Inside, address: &Address| {
            let named = |own: &String, p: &CustomerioProfile, (kind, value): &(IdKind, String)| match kind {
                IdKind::CioId => own == value,
                IdKind::UserId => p.user == *value,
                IdKind::IntercomId | IdKind::Email | IdKind::Phone | IdKind::AnonymousId => false,
            };
            let by = |name| inside.profiles.iter().find(|(own, p)| p.alive && named(own, p, name));
            address.ids.iter().find_map(by).map_or(ProfileLookUp::Absent, |(own, p)| {
                ProfileLookUp::Found(SeenProfile { own: own.clone(), user_id: Some(p.user.clone()), email: None })
            })
        };
        let found = self.inside(|inside| people.iter().map(|address| find(inside, address)).collect());
        point().await;
        found
    }

    async fn write(&self, writes: &[CustomerioWrite]) -> Vec<Outcome> {
        point().await;
        let fails = self.fails();
        if fails && self.world.dice.percent(50) {
            return writes.iter().map(|_| Outcome::retry(Span::ZERO, "unavailable")).collect();
        }
        for write in writes {
            let CustomerioWrite::Attributes { profile, timestamp, create, own: values, .. } = write else { continue };
            let own = match profile {
                ProfileRef::Own(own) => own.clone(),
                ProfileRef::By(IdKind::UserId, user) if *create => self.any_profile(user).unwrap_or_else(|| {
                    let own = self.new_id("0b");
                    let made = CustomerioProfile { user: user.clone(), out: false, edited_at: 0, alive: true };
                    self.inside(|inside| inside.profiles.insert(own.clone(), made));
                    own
                }),
                ProfileRef::By(..) => panic!("addressed without looking, although looking is possible"),
            };
            let Some(out) = values.get("unsubscribed").and_then(|value| value.as_bool()) else { continue };
            let changes = self.inside(|inside| {
                let profile = inside.profiles.get_mut(&own).filter(|p| p.alive && *timestamp >= p.edited_at)?;
                profile.edited_at = *timestamp;
                Some(std::mem::replace(&mut profile.out, out) != out)
            });
            let is_reported = changes.is_some_and(|changes| changes || self.world.dice.percent(20)) && self.world.dice.percent(self.echoes);
            if is_reported {
                self.report_profile(&own, Kind::ConsentChanged(Self::about(None, if out { Choice::Out } else { Choice::In })));
            }
        }
        // The answer may come after others have gone on.
        point().await;
        writes.iter().map(|_| if fails { Outcome::retry(Span::ZERO, "answer_lost") } else { Outcome::Done }).collect()
    }

    async fn campaign_name(&self, _: &Parent) -> Result<Option<String>, Outcome> {
        Ok(None)
    }

    fn pause(&self, _: Timestamp) -> Option<Span> {
        None
    }
}

impl Tools<'_> {
    fn seen(&self, fits: impl Fn(&String, &Contact) -> bool) -> Sought {
        if self.fails() {
            return Sought::Failed(Outcome::retry(Span::ZERO, "unavailable"));
        }
        self.inside(|inside| {
            let found = inside.contacts.iter().filter(|(id, c)| c.life == Life::Living && fits(id, c));
            let seen =
                |(id, c): (&String, &Contact)| SeenContact { id: id.clone(), role: ContactRole::User, user_id: Some(c.user.clone()) };
            Sought::Found(found.map(seen).collect())
        })
    }

    fn done(&self, call: &IntercomCall) -> Called {
        let made = |id: &str| {
            let role = Some(ContactRole::User);
            Called::Done(Made { id: Some(id.to_owned()), role, notes: Vec::new(), left_out: Vec::new() })
        };
        let (contact, out) = match call {
            IntercomCall::CreateContact(fields) => {
                let user = fields.user_id.clone().expect("a user");
                if let Some(contact) = self.any_contact(&user) {
                    return Called::Exists { contact, archived: false };
                }
                let contact = self.new_id("c");
                let new = Contact { user, out: fields.unsubscribed, life: Life::Living };
                self.inside(|inside| inside.contacts.insert(contact.clone(), new));
                return made(&contact);
            }
            IntercomCall::UpdateContact { contact, fields } => (contact, fields.unsubscribed.then_some(true)),
            IntercomCall::SetSubscription { contact, topic: None, subscribed } => (contact, Some(!subscribed)),
            other => panic!("not asked for: {other:?}"),
        };
        match self.inside(|inside| inside.contacts[contact].life.clone()) {
            Life::Living => {}
            Life::MergedInto(survivor) if self.tells_where => return Called::MergedInto(survivor),
            Life::MergedInto(_) | Life::Deleted => return Called::NoContact,
        }
        if let Some(out) = out {
            let changed = self.inside(|inside| {
                let contact = inside.contacts.get_mut(contact).expect("known");
                std::mem::replace(&mut contact.out, out) != out
            });
            let choice = if out { Choice::Out } else { Choice::In };
            let change = Self::about(Some(Channel::Email), choice);
            if changed && self.world.dice.percent(self.echoes) {
                self.report_contact(contact, Kind::ConsentChanged(change.clone()));
            }
            if self.world.dice.percent(self.echoes) {
                self.report_contact(contact, Kind::PersonUpdated(Profile { consent: change, ..Profile::default() }));
            }
        }
        made(contact)
    }
}

impl Intercom for Tools<'_> {
    async fn with_user_id(&self, user_id: &str, _: Timestamp) -> Sought {
        point().await;
        let seen = self.seen(|_, contact| contact.user == user_id);
        point().await;
        seen
    }

    async fn with_email(&self, _: &str, _: Timestamp) -> Sought {
        point().await;
        self.seen(|_, _| false)
    }

    async fn contact(&self, contact: &str, _: Timestamp) -> Sought {
        point().await;
        self.seen(|id, _| id == contact)
    }

    async fn call(&self, call: &IntercomCall, _: Timestamp) -> Called {
        point().await;
        let fails = self.fails();
        if fails && self.world.dice.percent(50) {
            return Called::Unknown(Outcome::retry(Span::ZERO, "timed_out"));
        }
        let called = self.done(call);
        point().await;
        if fails { Called::Unknown(Outcome::retry(Span::ZERO, "timed_out")) } else { called }
    }

    fn has_teammate(&self) -> bool {
        true
    }

    fn pause(&self, _: Timestamp) -> Option<Span> {
        None
    }
}

impl IntercomLookUps for Tools<'_> {
    async fn look_up(&self, _: &Workspace, _: &LookUp, _: &EventId, _: Timestamp) -> LookedUp {
        LookedUp { outcome: Outcome::Done, events: Vec::new() }
    }

    fn pause(&self, _: Timestamp) -> Option<Span> {
        None
    }
}

impl Segment for Tools<'_> {
    async fn write(&self, messages: &[SegmentMessage]) -> Vec<Outcome> {
        point().await;
        let fails = self.fails();
        if !(fails && self.world.dice.percent(50)) {
            for message in messages {
                let SegmentVerb::Identify { traits } = &message.what else { continue };
                let Some(out) = traits.get("unsubscribed").and_then(|value| value.as_bool()) else { continue };
                let user = message.user_id.as_ref().map(|user| format!("user:{user}"));
                let name = user.or_else(|| message.anonymous_id.as_ref().map(|browser| format!("anonymous:{browser}"))).expect("a name");
                self.inside(|inside| inside.traits.insert(name, out));
            }
        }
        point().await;
        messages.iter().map(|_| if fails { Outcome::retry(Span::ZERO, "unavailable") } else { Outcome::Done }).collect()
    }

    fn pause(&self, _: Timestamp) -> Option<Span> {
        None
    }
}
