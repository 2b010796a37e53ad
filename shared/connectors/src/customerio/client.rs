//! The client: batches what may go together, and reads the answers item by item. Never waits: what cannot go now comes back
//! with the time after which it may.

use super::outcome::Verdict;
use super::writes::{Memberships, Rendered, render};
use crate::door::{Door, Health, NoAnswer};
use crate::http::{self, Answer, Call, Http};
use crate::limit::{Limiter, Share};
use bytes::Bytes;
use reqwest::header::HeaderValue;
use reqwest::{Method, Url};
use secrecy::SecretString;
use serde::Deserialize;
use std::fmt;
use trefoil_domain::event::Parent;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{Address, Clock, Customerio, CustomerioWrite, ProfileLookUp};
use trefoil_domain::time::{Span, Timestamp};

/// The vendor says 500 KB for a batch; see [`super::writes`] on what happens above.
const MOST_BATCH_BYTES: usize = 500_000;
/// `{"batch":[` and `]}`.
const BATCH_FRAME_BYTES: usize = 12;

/// Where the workspace's data live. Never guessed: the wrong one sends people's data through the other continent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    Us,
    Eu,
}

impl Region {
    /// Base address of the Track API.
    pub fn track_url(self) -> &'static str {
        match self {
            Self::Us => "https://track.customer.io",
            Self::Eu => "https://track-eu.customer.io",
        }
    }

    /// Base address of the App API.
    pub fn app_url(self) -> &'static str {
        match self {
            Self::Us => "https://api.customer.io",
            Self::Eu => "https://api-eu.customer.io",
        }
    }
}

#[derive(Clone, Debug)]
pub struct CustomerioSettings {
    pub region: Region,
    /// Instead of the region's, for stand-ins.
    pub track_url: Option<String>,
    pub app_url: Option<String>,
    pub site_id: String,
    pub api_key: SecretString,
    /// Without it nobody can be asked which profiles exist.
    pub app_key: Option<SecretString>,
    /// The vendor's limits, of which 0.8 are used.
    pub track_per_second: f64,
    pub app_per_second: f64,
    /// Processes that share these limits.
    pub copies: u32,
    /// Texts that are ISO 8601 dates go as unix seconds: Customer.io knows no other dates.
    pub dates_as_seconds: bool,
}

impl CustomerioSettings {
    pub fn new(region: Region, site_id: String, api_key: SecretString, app_key: Option<SecretString>) -> Self {
        Self {
            region,
            track_url: None,
            app_url: None,
            site_id,
            api_key,
            app_key,
            track_per_second: 100.0,
            app_per_second: 10.0,
            copies: 1,
            dates_as_seconds: true,
        }
    }
}

/// A setting cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    setting: &'static str,
    problem: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the Customer.io setting {} {}", self.setting, self.problem)
    }
}

impl std::error::Error for SettingsError {}

pub struct CustomerioClient<C> {
    pub(super) track: Api,
    pub(super) app: Option<Api>,
    pub(super) clock: C,
    dates_as_seconds: bool,
}

impl<C> fmt::Debug for CustomerioClient<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomerioClient").field("track", &self.track.base.as_str()).finish_non_exhaustive()
    }
}

/// One of the two APIs.
pub(super) struct Api {
    base: Url,
    authorization: HeaderValue,
    door: Door,
}

impl Api {
    pub(super) fn call(&self, method: Method, segments: &[&str], body: Option<Bytes>) -> Call {
        Call {
            method,
            url: http::at(&self.base, segments),
            authorization: self.authorization.clone(),
            headers: Vec::new(),
            body,
            repeatable: true,
            most_answer_bytes: None,
        }
    }

    /// An answer that says yes, at least to some of it.
    ///
    /// # Errors
    /// What became of it instead.
    pub(super) async fn ask(&self, call: &Call, now: Timestamp) -> Result<Answer, No> {
        self.ask_and_judge(call, now, |verdict, _| verdict.health()).await
    }

    /// As [`Api::ask`], of which a refusal concerns no other call.
    ///
    /// # Errors
    /// As [`Api::ask`].
    pub(super) async fn ask_beside(&self, call: &Call, now: Timestamp) -> Result<Answer, No> {
        self.ask_and_judge(call, now, |verdict, _| if verdict == Verdict::KeyRefused { Health::Works } else { verdict.health() }).await
    }

    /// As [`Api::ask`]; `health` says how a verdict, of a status, bears on the destination.
    ///
    /// # Errors
    /// As [`Api::ask`].
    pub(super) async fn ask_and_judge(&self, call: &Call, now: Timestamp, health: impl Fn(Verdict, u16) -> Health) -> Result<Answer, No> {
        let answer = self.door.send(call, now).await.map_err(No::Answer)?;
        let verdict = Verdict::of(answer.status);
        let wait = answer.retry_after(now);
        self.door.judged(health(verdict, answer.status), now);
        if let (Verdict::TooMany | Verdict::Busy, Some(wait)) = (verdict, wait) {
            self.door.hold(wait, now);
        }
        match verdict.outcome(answer.status, wait) {
            None => Ok(answer),
            Some(outcome) => Err(No::Success(verdict, outcome, answer)),
        }
    }
}

pub(super) enum No {
    Answer(NoAnswer),
    /// There is an answer that cannot be read.
    Reading(Outcome),
    Success(Verdict, Outcome, Answer),
}

impl No {
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Answer(no) => no.outcome,
            Self::Reading(outcome) => outcome,
            Self::Success(_, outcome, _) => outcome,
        }
    }
}

impl<C: Clock> CustomerioClient<C> {
    /// # Errors
    /// An address or a credential cannot be used.
    pub fn new(settings: &CustomerioSettings, http: &Http, clock: C) -> Result<Self, SettingsError> {
        let url = |setting, own: &Option<String>, region: &str| {
            http::base_url(own.as_deref().unwrap_or(region)).map_err(|problem| SettingsError { setting, problem })
        };
        let unusable = |setting| move |_| SettingsError { setting, problem: "has characters that no header can carry".to_owned() };
        let door = |per_second| Door::new(http.clone(), Limiter::new(per_second, settings.copies, Share::WITH_OTHERS));
        let track = Api {
            base: url("track_url", &settings.track_url, settings.region.track_url())?,
            authorization: http::basic(&settings.site_id, &settings.api_key).map_err(unusable("api_key"))?,
            door: door(settings.track_per_second),
        };
        let app = match &settings.app_key {
            None => None,
            Some(key) => Some(Api {
                base: url("app_url", &settings.app_url, settings.region.app_url())?,
                authorization: http::bearer(key).map_err(unusable("app_key"))?,
                door: door(settings.app_per_second),
            }),
        };
        Ok(Self { track, app, clock, dates_as_seconds: settings.dates_as_seconds })
    }

    /// Sends items that fit into one request.
    async fn send(&self, items: &[Item]) -> Sent {
        let call = match items {
            [] => return Sent::Each(Vec::new()),
            [one] => self.track.call(Method::POST, &["api", "v2", "entity"], Some(one.json.clone())),
            several => {
                let mut body = Vec::with_capacity(MOST_BATCH_BYTES);
                body.extend_from_slice(b"{\"batch\":[");
                for (index, item) in several.iter().enumerate() {
                    if index > 0 {
                        body.push(b',');
                    }
                    body.extend_from_slice(&item.json);
                }
                body.extend_from_slice(b"]}");
                self.track.call(Method::POST, &["api", "v2", "batch"], Some(body.into()))
            }
        };
        match self.track.ask(&call, self.clock.now()).await {
            Ok(answer) => match refusals(&answer, items.len()) {
                Some(refused) => Sent::Each(refused.into_iter().map(|refusal| refusal.unwrap_or(Outcome::Done)).collect()),
                // A page of some box in between, perhaps. Repeating is harmless.
                None => Sent::Nothing(Outcome::retry(Span::ZERO, "unreadable_answer")),
            },
            // The request as a whole was refused, for what one of its items is.
            Err(No::Success(Verdict::Invalid | Verdict::TooLarge, ..)) if items.len() > 1 => Sent::Split,
            Err(No::Success(Verdict::Invalid, _, answer)) => {
                let refusal = errors(&answer).and_then(|errors| errors.first().map(Refusal::outcome));
                Sent::Each(vec![refusal.unwrap_or_else(|| Outcome::rejected("refused_by_customerio", ""))])
            }
            Err(no) => match no.outcome() {
                outcome @ Outcome::RetryAfter { .. } => Sent::Nothing(outcome),
                outcome => Sent::Each(vec![outcome; items.len()]),
            },
        }
    }
}

/// A write that can be sent.
struct Item {
    /// Its place among the writes.
    index: usize,
    json: Bytes,
}

enum Sent {
    /// One for each item.
    Each(Vec<Outcome>),
    /// None of them, for a reason that is none of theirs.
    Nothing(Outcome),
    /// Each must be sent alone to find the one that is refused.
    Split,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    batch_index: Option<usize>,
    reason: Option<String>,
    field: Option<String>,
}

impl Refusal {
    fn outcome(&self) -> Outcome {
        // `message` may quote the value, and so might these if they were not words.
        let word = |text: &Option<String>| {
            let text = text.as_deref().unwrap_or_default();
            let is_word = text.len() <= 80 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_. []-".contains(&b));
            if is_word { text.to_owned() } else { String::new() }
        };
        let (reason, field) = (word(&self.reason), word(&self.field));
        let separator = if reason.is_empty() || field.is_empty() { "" } else { ": " };
        Outcome::rejected("refused_by_customerio", format!("{field}{separator}{reason}"))
    }
}

fn errors(answer: &Answer) -> Option<Vec<Refusal>> {
    serde_json::from_slice::<Errors>(&answer.body).ok().map(|body| body.errors)
}

/// The items that an answer to `count` of them refuses; `None` where the answer cannot be understood.
fn refusals(answer: &Answer, count: usize) -> Option<Vec<Option<Outcome>>> {
    let mut refused = vec![None; count];
    if Verdict::of(answer.status) == Verdict::Partial {
        let errors = errors(answer)?;
        if errors.is_empty() {
            return None;
        }
        for refusal in errors {
            // Without a place among them, nobody knows which was refused.
            let index = if count == 1 { 0 } else { refusal.batch_index? };
            *refused.get_mut(index)? = Some(refusal.outcome());
        }
    } else if !answer.body.is_empty() {
        serde_json::from_slice::<serde_json::Map<_, _>>(&answer.body).ok()?;
    }
    Some(refused)
}

/// Groups of items that fit into one request each.
fn chunks(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut chunks: Vec<Vec<Item>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let more = item.json.len() + 1;
        match chunks.last_mut() {
            Some(chunk) if bytes + more <= MOST_BATCH_BYTES => {
                bytes += more;
                chunk.push(item);
            }
            Some(_) | None => {
                bytes = BATCH_FRAME_BYTES + more;
                chunks.push(vec![item]);
            }
        }
    }
    chunks
}

impl<C: Clock> Customerio for CustomerioClient<C> {
    async fn find_profiles(&self, people: &[Address]) -> Vec<ProfileLookUp> {
        self.find(people).await
    }

    async fn write(&self, writes: &[CustomerioWrite]) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; writes.len()];
        let mut items = Vec::with_capacity(writes.len());
        let mut memberships = Vec::new();
        for (index, write) in writes.iter().enumerate() {
            match render(write, self.dates_as_seconds) {
                Ok(Rendered::Item(json)) => items.push(Item { index, json: json.into() }),
                Ok(Rendered::Member(membership)) => memberships.push((index, membership)),
                Err(outcome) => outcomes[index] = Some(outcome),
            }
        }
        let mut waiting = chunks(items).into_iter();
        let mut stopped: Option<Outcome> = None;
        let mut alone: std::collections::VecDeque<Vec<Item>> = std::collections::VecDeque::new();
        while let Some(chunk) = alone.pop_front().or_else(|| waiting.next()) {
            // An event must not overtake the attributes before it: once one request has to wait, so do those after it.
            let sent = match &stopped {
                Some(outcome) => Sent::Nothing(outcome.clone()),
                None => self.send(&chunk).await,
            };
            match sent {
                Sent::Each(each) => {
                    for (item, outcome) in chunk.iter().zip(each) {
                        outcomes[item.index] = Some(outcome);
                    }
                }
                Sent::Nothing(outcome) => {
                    for item in &chunk {
                        outcomes[item.index] = Some(outcome.clone());
                    }
                    stopped = Some(outcome);
                }
                Sent::Split => alone.extend(chunk.into_iter().map(|item| vec![item])),
            }
        }
        // After the items: who is new must be there before they can be in a segment.
        for group in Memberships::grouped(memberships) {
            let outcome = match &stopped {
                Some(outcome) => outcome.clone(),
                None => self.change_members(&group).await,
            };
            for index in &group.indices {
                outcomes[*index] = Some(outcome.clone());
            }
            if matches!(outcome, Outcome::RetryAfter { .. }) {
                stopped = Some(outcome);
            }
        }
        // Every index has been filled; were one forgotten, sending it again would be harmless and losing it would not.
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Outcome::retry(Span::ZERO, "not_sent"))).collect()
    }

    async fn campaign_name(&self, campaign: &Parent) -> Result<Option<String>, Outcome> {
        self.name_of(campaign).await
    }

    /// Of the writes alone: what the App API wants comes back with each look-up.
    fn pause(&self, now: Timestamp) -> Option<Span> {
        self.track.door.pause(now)
    }
}
