//! From one message to canonical events. What nothing can want is left before anything of it is built: a product reports
//! far more than any route acts on.

use super::computed::Computed;
use super::consent::{Says, of_trait};
use super::identity::{identifiers, real};
use super::traits::canonical;
use super::wire::{Call, Context, PageNames, Who, object, unwrapped};
use crate::lenient::Object;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use trefoil_domain::config::{Trigger, What};
use trefoil_domain::event::{
    Attributes, Behaviour, Company, ConsentChange, Event, IdKind, Identifier, Kind, Merged, Profile, Source, Value, Workspace, event_id,
};
use trefoil_domain::ports::{Several, UnusablePart};
use trefoil_domain::time::{Span, Timestamp};
use trefoil_domain::wanted::Wanted;

/// Segment takes no larger message than 32 KB. What is much larger would not fit a queue once it is an event.
const MOST_BYTES: usize = 128 * 1024;

/// Clocks of devices are corrected by Segment, and still some are wrong.
const MOST_AHEAD: Span = Span::from_days(1);

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

impl Reader {
    pub(super) fn read(&self, raw: &RawValue, now: Timestamp, into: &mut Several) {
        let message = unwrapped(raw);
        let mut read = self.events(message, now);
        if matches!(read, Err(Left::Unusable(_)))
            && let Some(mended) = without_half_characters(message.get())
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

    fn takes(&self, what: What, name: Option<&str>) -> bool {
        self.wanted.takes(Trigger { source: self.source, what }, name)
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
        let traits: Who<'_> = object(self.call.traits).unwrap_or_default();
        let ids = self.ids(Some(&traits));
        let consent: Vec<ConsentChange> = of_trait(&traits.unsubscribed).into_iter().collect();
        let mut kinds = Vec::new();
        let computed = self.computed(self.call.traits)?;
        let is_computed = computed.is_some();
        kinds.extend(computed);
        // Two names for one person are worth knowing whoever asks. A membership that somebody takes carries them as well.
        let tells_who = !is_computed && (ids.len() >= 2 || self.reader.takes(What::PersonUpdated, None));
        if tells_who || !consent.is_empty() {
            let attributes = canonical(attributes(self.call.traits, "unreadable_traits")?);
            kinds.push(Kind::PersonUpdated(Profile { attributes, whole: false, consent }));
        }
        self.all(ids, kinds)
    }

    fn track(&self) -> Result<Vec<Event>, Left> {
        let name = self.call.event.get().ok_or(Left::Unusable("no_event_name"))?;
        let mut kinds = Vec::new();
        let consent = Says::of(name, self.reader.source).map(|says| says.changes(self.call.properties)).unwrap_or_default();
        if !consent.is_empty() {
            kinds.push(Kind::ConsentChanged(consent));
        }
        if let Some(computed) = self.computed(self.call.properties)? {
            kinds.push(computed);
        } else if self.reader.takes(What::EventTracked, Some(name)) {
            let attributes = attributes(self.call.properties, "unreadable_properties")?;
            kinds.push(Kind::Tracked(Behaviour { name: name.to_owned(), attributes }));
        }
        if kinds.is_empty() {
            return Err(NOT_WANTED);
        }
        self.all(self.ids(None), kinds)
    }

    fn viewed(&self, what: What, kind: fn(Behaviour) -> Kind) -> Result<Vec<Event>, Left> {
        // Without a route for any, the name need not be looked for.
        if !self.reader.takes(what, None) {
            return Err(NOT_WANTED);
        }
        let names: PageNames<'_> = object(self.call.properties).unwrap_or_default();
        let told = [&self.call.name, &names.name, &names.title, &names.path];
        let name = told.into_iter().find_map(|text| text.get()).unwrap_or("unnamed");
        if !self.reader.takes(what, Some(name)) {
            return Err(NOT_WANTED);
        }
        let mut attributes = attributes(self.call.properties, "unreadable_properties")?;
        if let Some(category) = self.call.category.get() {
            attributes.entry("category".to_owned()).or_insert_with(|| Value::String(category.to_owned()));
        }
        self.all(self.ids(None), vec![kind(Behaviour { name: name.to_owned(), attributes })])
    }

    /// The traits are the company's, its address and telephone number included.
    fn group(&self) -> Result<Vec<Event>, Left> {
        let id = self.call.group_id.get().ok_or(Left::Unusable("no_group_id"))?;
        let ids = self.ids(None);
        let what = if ids.is_empty() { What::CompanyUpdated } else { What::CompanyJoined };
        if !self.reader.takes(what, None) {
            return Err(NOT_WANTED);
        }
        let attributes = canonical(attributes(self.call.traits, "unreadable_traits")?);
        let company = Company { id: id.to_owned(), own_id: None, attributes };
        let kind = if ids.is_empty() { Kind::CompanyUpdated(company) } else { Kind::CompanyJoined(company) };
        Ok(vec![self.event(ids, kind)])
    }

    fn alias(&self) -> Result<Vec<Event>, Left> {
        let previous = real(self.call.previous_id.get()).ok_or(Left::Unusable("no_previous_id"))?;
        let new = real(self.call.user_id.get()).and_then(|id| Identifier::new(IdKind::UserId, id)).ok_or(Left::Unusable("names_nobody"))?;
        // Which of the two it is, it does not say.
        let from: Vec<Identifier> = [IdKind::UserId, IdKind::AnonymousId]
            .into_iter()
            .filter_map(|kind| Identifier::new(kind, previous))
            .filter(|id| *id != new)
            .collect();
        if new.value == previous {
            return Err(Left::Dropped("alias_of_itself"));
        }
        if from.is_empty() {
            return Err(Left::Unusable("no_previous_id"));
        }
        Ok(vec![self.event(vec![new], Kind::PersonMerged(Merged { from, profile: Profile::default() }))])
    }

    /// What Segment worked out by itself, if a route takes that. If none does, the call is as good as any other.
    fn computed(&self, values: Option<&RawValue>) -> Result<Option<Kind>, Left> {
        let Some(computed) = Computed::of(self.context.personas.0.as_ref(), values) else { return Ok(None) };
        if !self.reader.takes(computed.what(), Some(computed.key)) {
            return Ok(None);
        }
        computed.kind().map(Some).ok_or(Left::Unusable("unreadable_value"))
    }

    fn ids(&self, traits: Option<&Who<'_>>) -> Vec<Identifier> {
        identifiers(&self.call, &self.context, traits)
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
        let latest = self.now.plus(MOST_AHEAD);
        let told = [self.call.timestamp, self.call.original_timestamp, self.call.received_at];
        told.into_iter().filter_map(|time| time.0).find(|time| *time <= latest).unwrap_or(self.now)
    }
}

fn attributes(raw: Option<&RawValue>, otherwise: &'static str) -> Result<Attributes, Left> {
    let Some(raw) = raw else { return Ok(Attributes::new()) };
    let read: Object<Attributes> = serde_json::from_str(raw.get()).map_err(|_| Left::Unusable(otherwise))?;
    Ok(read.0.unwrap_or_default())
}

/// Type and id of a message of no use, for whoever looks at it.
fn about(raw: &RawValue) -> Option<String> {
    let call: Call<'_> = object(Some(raw))?;
    let said: Vec<&str> = [call.kind.get(), call.message_id.get()].into_iter().flatten().collect();
    // Types and ids are short; what is not is neither.
    (!said.is_empty()).then(|| said.join(" ")).filter(|about| about.len() <= 200)
}

/// JavaScript cuts text between the two halves of a character, and writes the half that is left as `\ud83d`. No text can
/// hold that. `None`: there is none.
fn without_half_characters(json: &str) -> Option<Box<RawValue>> {
    const REPLACEMENT: &str = "\\ufffd";
    let unit = |at: usize| {
        let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut mended = String::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
            Some(0xD800..=0xDFFF) => {
                mended.push_str(json.get(kept..at)?);
                mended.push_str(REPLACEMENT);
                at += 6;
                kept = at;
            }
            Some(_) => at += 6,
            // Another escape: the character after the backslash is no beginning of one.
            None => at += 2,
        }
    }
    if kept == 0 {
        return None;
    }
    mended.push_str(json.get(kept..)?);
    RawValue::from_string(mended).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_halves_of_characters_are_replaced() {
        for (json, expected) in [
            (r#"{"a":"x\ud83d"}"#, Some(r#"{"a":"x\ufffd"}"#)),
            (r#"{"a":"\ude00x\uD83D\ud83d\ude00"}"#, Some(r#"{"a":"\ufffdx\ufffd\ud83d\ude00"}"#)),
            (r#"{"a":"\ud83d\ude00"}"#, None),
            (r#"{"a":"\\ud83d"}"#, None),
            (r#"{"a":"\\\ud83d"}"#, Some(r#"{"a":"\\\ufffd"}"#)),
            (r#"{"a":"é\n😀"}"#, None),
        ] {
            assert_eq!(without_half_characters(json).as_deref().map(RawValue::get), expected, "{json}");
        }
    }
}
