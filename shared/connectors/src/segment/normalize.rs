//! From one message to canonical events. What nothing can want is left before anything of it is built: a product reports
//! far more than any route acts on.

use super::computed::Computed;
use super::consent::{Says, of_trait};
use super::identity::{address, identifiers, user};
use super::traits::canonical;
use super::wire::{Call, Context, PageNames, Unreadable, Who, object, unwrapped};
use crate::half_characters::without_half_characters;
use crate::lenient::Object;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use trefoil_domain::config::{Trigger, What};
use trefoil_domain::event::{
    Attributes, Behaviour, Company, ConsentChange, Device, Event, IdKind, Identifier, Kind, Merged, Profile, Source, Value, Workspace,
    event_id,
};
use trefoil_domain::identifier::is_placeholder;
use trefoil_domain::ports::{Several, UnusablePart};
use trefoil_domain::time::Timestamp;
use trefoil_domain::wanted::Wanted;

/// Segment takes no larger message than 32 KB. What is much larger would not fit a queue once it is an event.
const MOST_BYTES: usize = 128 * 1024;

/// Reads the messages of one source.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) source: Source,
    pub(super) workspace: Workspace,
    pub(super) wanted: Wanted,
}

/// Why a message makes no event: a stable word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// There is nothing in it for us.
    Dropped(&'static str),
    /// It should have been of use.
    Unusable(&'static str),
}

/// No route takes it, and it says nothing of who somebody is or agreed to.
const NOT_WANTED: Left = Left::Dropped("not_wanted");

const UNREADABLE_TRAITS: Left = Left::Unusable("unreadable_traits");
const UNREADABLE_PROPERTIES: Left = Left::Unusable("unreadable_properties");

impl Reader {
    pub(super) fn read(&self, raw: &RawValue, now: Timestamp, into: &mut Several) {
        let message = unwrapped(raw);
        let mut read = self.events(message, now);
        if matches!(read, Err(Left::Unusable(_)))
            && let Some(mended) = without_half_characters(message.get().as_bytes()).and_then(|json| RawValue::from_string(json).ok())
        {
            read = self.events(&mended, now);
        }
        match read {
            Ok(events) => into.events.extend(events),
            Err(Left::Dropped(why)) => *into.dropped.entry(why).or_default() += 1,
            Err(Left::Unusable(reason)) => {
                into.unusable.push(UnusablePart { reason, about: about(message), body: message.get().as_bytes().to_vec() });
            }
        }
    }

    fn events(&self, raw: &RawValue, now: Timestamp) -> Result<Vec<Event>, Left> {
        if raw.get().len() > MOST_BYTES {
            return Err(Left::Unusable("over_128_kib"));
        }
        let call: Object<Call<'_>> = serde_json::from_str(raw.get()).map_err(|_| Left::Unusable("unreadable_message"))?;
        let call = call.0.ok_or(Left::Unusable("not_an_object"))?;
        let context = match call.context {
            None => Context::default(),
            Some(raw) => serde_json::from_str::<Object<Context<'_>>>(raw.get())
                .map_err(|_| Left::Unusable("unreadable_context"))?
                .0
                .unwrap_or_default(),
        };
        if context.trefoil.0.is_some() {
            return Err(Left::Dropped("own_echo"));
        }
        let message = Message { reader: self, raw, call, context, now };
        match message.call.kind.get() {
            None => Err(Left::Unusable("no_type")),
            Some("identify") => message.identify(),
            Some("track") => message.track(),
            Some("page") => message.viewed(What::PageViewed, Kind::PageViewed),
            Some("screen") => message.viewed(What::ScreenViewed, Kind::ScreenViewed),
            Some("group") => message.group(),
            Some("alias") => message.alias(),
            Some("delete") => message.named(message.ids(None)).map(|ids| vec![message.event(ids, Kind::PersonDeleted)]),
            Some(_) => Err(Left::Dropped("unknown_type")),
        }
    }

    fn trigger(&self, what: What) -> Trigger {
        Trigger { source: self.source, what }
    }

    fn takes(&self, what: What, name: Option<&str>) -> bool {
        self.wanted.takes(self.trigger(what), name)
    }
}

struct Message<'a> {
    reader: &'a Reader,
    raw: &'a RawValue,
    call: Call<'a>,
    context: Context<'a>,
    now: Timestamp,
}

impl Message<'_> {
    fn identify(&self) -> Result<Vec<Event>, Left> {
        let traits: Who<'_> = object(self.call.traits).map_err(|Unreadable| UNREADABLE_TRAITS)?.unwrap_or_default();
        let ids = self.ids(Some(&traits));
        let consent: Vec<ConsentChange> = of_trait(&traits.unsubscribed).into_iter().collect();
        let mut kinds = Vec::new();
        let computed = self.computed(self.call.traits, UNREADABLE_TRAITS)?;
        let is_computed = computed.is_some();
        kinds.extend(computed);
        // Two names for one person are worth knowing whoever asks. A membership that somebody takes carries them as well.
        let tells_who = !is_computed && (ids.len() >= 2 || self.reader.takes(What::PersonUpdated, None));
        if tells_who || !consent.is_empty() {
            let attributes = canonical(attributes(self.call.traits, UNREADABLE_TRAITS)?);
            kinds.push(Kind::PersonUpdated(Profile { attributes, whole: false, consent }));
        }
        self.all(ids, kinds)
    }

    fn track(&self) -> Result<Vec<Event>, Left> {
        let name = self.call.event.get().ok_or(Left::Unusable("no_event_name"))?;
        let mut kinds = Vec::new();
        let consent = self.consent(name)?;
        if !consent.is_empty() {
            kinds.push(Kind::ConsentChanged(consent));
        }
        if let Some(computed) = self.computed(self.call.properties, UNREADABLE_PROPERTIES)? {
            kinds.push(computed);
        } else if self.reader.takes(What::EventTracked, Some(name)) {
            let attributes = attributes(self.call.properties, UNREADABLE_PROPERTIES)?;
            kinds.push(Kind::Tracked(Behaviour { name: name.to_owned(), device: self.device(), attributes }));
        }
        if kinds.is_empty() {
            return Err(NOT_WANTED);
        }
        self.all(self.ids_or_address(self.call.properties, UNREADABLE_PROPERTIES)?, kinds)
    }

    /// What Engage sends goes by names that everybody can choose, and says nothing of consent.
    fn consent(&self, name: &str) -> Result<Vec<ConsentChange>, Left> {
        let of_engage = self.context.personas.0.as_ref().is_some_and(|personas| personas.computation_class.get().is_some());
        match Says::of(name, self.reader.source).filter(|_| !of_engage) {
            Some(says) => says.changes(self.call.properties).map_err(Left::Unusable),
            None => Ok(Vec::new()),
        }
    }

    fn viewed(&self, what: What, kind: fn(Behaviour) -> Kind) -> Result<Vec<Event>, Left> {
        // Without a route for any, the name need not be looked for.
        if !self.reader.takes(what, None) {
            return Err(NOT_WANTED);
        }
        let names: PageNames<'_> = object(self.call.properties).map_err(|Unreadable| UNREADABLE_PROPERTIES)?.unwrap_or_default();
        let told = [&self.call.name, &names.name, &names.title, &names.path];
        let name = told.into_iter().find_map(|text| text.get()).unwrap_or("unnamed");
        if !self.reader.takes(what, Some(name)) {
            return Err(NOT_WANTED);
        }
        let mut attributes = attributes(self.call.properties, UNREADABLE_PROPERTIES)?;
        if let Some(category) = self.call.category.get() {
            attributes.entry("category".to_owned()).or_insert_with(|| Value::String(category.to_owned()));
        }
        self.all(self.ids(None), vec![kind(Behaviour { name: name.to_owned(), device: self.device(), attributes })])
    }

    /// The traits are the company's, its address and telephone number included.
    fn group(&self) -> Result<Vec<Event>, Left> {
        let id = self.call.group_id.get().filter(|id| !is_placeholder(id)).ok_or(Left::Unusable("no_group_id"))?;
        let ids = self.ids_or_address(self.call.traits, UNREADABLE_TRAITS)?;
        let what = if ids.is_empty() { What::CompanyUpdated } else { What::CompanyJoined };
        if !self.reader.takes(what, None) {
            return Err(NOT_WANTED);
        }
        let attributes = canonical(attributes(self.call.traits, UNREADABLE_TRAITS)?);
        let company = Company { id: id.to_owned(), own_id: None, attributes };
        let kind = if ids.is_empty() { Kind::CompanyUpdated(company) } else { Kind::CompanyJoined(company) };
        Ok(vec![self.event(ids, kind)])
    }

    fn alias(&self) -> Result<Vec<Event>, Left> {
        let previous = self.call.previous_id.get().ok_or(Left::Unusable("no_previous_id"))?;
        let new: Vec<Identifier> = self.call.user_id.get().into_iter().flat_map(user).collect();
        if new.is_empty() {
            return Err(Left::Unusable("names_nobody"));
        }
        let mut from: Vec<Identifier> = user(previous).collect();
        // A user id or a browser's: which of the two, it does not say.
        if let [Identifier { kind: IdKind::UserId, .. }] = from.as_slice() {
            from.extend(Identifier::new(IdKind::AnonymousId, previous));
        }
        if from.last().filter(|id| id.kind != IdKind::AnonymousId).or(from.first()) == new.last() {
            return Err(Left::Dropped("alias_of_itself"));
        }
        from.retain(|id| !new.contains(id));
        if from.is_empty() {
            return Err(Left::Unusable("no_previous_id"));
        }
        Ok(vec![self.event(new, Kind::PersonMerged(Merged { from, profile: Profile::default() }))])
    }

    /// What Segment worked out by itself, if a route takes that. If none does, the call is as good as any other.
    fn computed(&self, values: Option<&RawValue>, otherwise: Left) -> Result<Option<Kind>, Left> {
        let computed = Computed::of(self.context.personas.0.as_ref(), values).map_err(|Unreadable| otherwise)?;
        let Some(computed) = computed else { return Ok(None) };
        if !self.reader.wanted.takes_any(self.reader.trigger(computed.what()), &computed.names()) {
            return Ok(None);
        }
        computed.kind().map(Some).ok_or(Left::Unusable("unreadable_value"))
    }

    fn device(&self) -> Option<Device> {
        let device = self.context.device.0.as_ref()?;
        let platform = device.kind.get().map(str::to_ascii_lowercase).filter(|kind| matches!(kind.as_str(), "ios" | "android"));
        let token = device.token.get().map(str::trim).filter(|token| !is_placeholder(token))?;
        Some(Device { token: token.to_owned(), platform })
    }

    fn ids(&self, traits: Option<&Who<'_>>) -> Vec<Identifier> {
        identifiers(&self.call, &self.context, traits)
    }

    /// Of a call whose values are not the person's: its ids, and where nothing but a browser is among them, and the operator
    /// says so, the address among the values. That one alone: whose the browser is it does not say.
    fn ids_or_address(&self, values: Option<&RawValue>, otherwise: Left) -> Result<Vec<Identifier>, Left> {
        let ids = self.ids(None);
        if !self.reader.wanted.address_in_properties || ids.iter().any(|id| id.kind != IdKind::AnonymousId) {
            return Ok(ids);
        }
        let who: Who<'_> = object(values).map_err(|Unreadable| otherwise)?.unwrap_or_default();
        Ok(who.email.get().and_then(address).map_or(ids, |email| vec![email]))
    }

    fn named(&self, ids: Vec<Identifier>) -> Result<Vec<Identifier>, Left> {
        if ids.is_empty() { Err(Left::Unusable("names_nobody")) } else { Ok(ids) }
    }

    fn all(&self, ids: Vec<Identifier>, kinds: Vec<Kind>) -> Result<Vec<Event>, Left> {
        if kinds.is_empty() {
            return Err(NOT_WANTED);
        }
        let ids = self.named(ids)?;
        Ok(kinds.into_iter().map(|kind| self.event(ids.clone(), kind)).collect())
    }

    fn event(&self, ids: Vec<Identifier>, kind: Kind) -> Event {
        Event {
            id: event_id(self.reader.source, &self.reader.workspace, &[&self.id(), kind.name()]),
            source: self.reader.source,
            workspace: self.reader.workspace.clone(),
            occurred_at: self.occurred_at(),
            received_at: self.now,
            ids,
            person: None,
            origin: None,
            kind,
        }
    }

    /// The same in whatever batch it comes again: batches are put together anew for every attempt.
    fn id(&self) -> Cow<'_, str> {
        match self.call.message_id.get() {
            Some(id) => Cow::Borrowed(id),
            None => Cow::Owned(format!("sha256:{}", hex::encode(Sha256::digest(self.raw.get())))),
        }
    }

    fn occurred_at(&self) -> Timestamp {
        let told = [self.call.timestamp, self.call.original_timestamp, self.call.received_at];
        told.into_iter().find_map(|time| time.credible(self.now)).unwrap_or(self.now)
    }
}

fn attributes(raw: Option<&RawValue>, otherwise: Left) -> Result<Attributes, Left> {
    object(raw).map(Option::unwrap_or_default).map_err(|Unreadable| otherwise)
}

/// Type and id of a message of no use, for whoever looks at it.
fn about(raw: &RawValue) -> Option<String> {
    let call: Call<'_> = object(Some(raw)).ok()??;
    let said: Vec<&str> = [call.kind.get(), call.message_id.get()].into_iter().flatten().collect();
    // Types and ids are short; what is not is neither.
    (!said.is_empty()).then(|| said.join(" ")).filter(|about| about.len() <= 200)
}
