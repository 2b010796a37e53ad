//! The client: batches what may go together. Never waits: what cannot go now comes back with the time after which it may.
//!
//! <https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/>

use super::message::{goes_alone, iso, namespace, render};
use super::outcome::{Verdict, wait};
use crate::door::Door;
use crate::http::{self, Answer, Call, Http};
use crate::limit::{Limiter, Share};
use bytes::Bytes;
use reqwest::header::HeaderValue;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use std::collections::VecDeque;
use std::fmt;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{Clock, Segment, SegmentMessage};
use trefoil_domain::time::{Span, Timestamp};

/// The vendor says 500 KB for a batch.
const MOST_BATCH_BYTES: usize = 500_000;
/// `{"batch":[`, `],"sentAt":"…"}` and room for a time.
const BATCH_FRAME_BYTES: usize = 60;
/// Beyond it Segment answers 200 and takes none.
const MOST_BATCH_EVENTS: usize = 2500;

/// Where the workspace's data live. Never guessed: the wrong one loses everything, for a long time without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    Us,
    Eu,
}

impl Region {
    /// Base address of the Tracking API.
    pub fn url(self) -> &'static str {
        match self {
            Self::Us => "https://api.segment.io/v1",
            Self::Eu => "https://events.eu1.segmentapis.com/v1",
        }
    }
}

#[derive(Clone, Debug)]
pub struct SegmentSettings {
    pub region: Region,
    /// Instead of the region's, for stand-ins: with the `/v1` at its end.
    pub url: Option<String>,
    /// Of a source of the kind "HTTP API".
    pub write_key: SecretString,
    /// Calls; 0.8 of them are used. Segment recommends at most 1,000 a second for a workspace, which others write to as well.
    pub per_second: f64,
    /// Processes that share this limit.
    pub copies: u32,
}

impl SegmentSettings {
    pub fn new(region: Region, write_key: SecretString) -> Self {
        Self { region, url: None, write_key, per_second: 500.0, copies: 1 }
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
        write!(f, "the Segment setting {} {}", self.setting, self.problem)
    }
}

impl std::error::Error for SettingsError {}

pub struct SegmentClient<C> {
    base: Url,
    authorization: HeaderValue,
    namespace: String,
    door: Door,
    clock: C,
}

impl<C> fmt::Debug for SegmentClient<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentClient").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl<C: Clock> SegmentClient<C> {
    /// # Errors
    /// The address or the write key cannot be used.
    pub fn new(settings: &SegmentSettings, http: &Http, clock: C) -> Result<Self, SettingsError> {
        let error = |setting, problem: &str| SettingsError { setting, problem: problem.to_owned() };
        let write_key = settings.write_key.expose_secret().trim();
        if write_key.is_empty() {
            return Err(error("write_key", "is empty"));
        }
        let base = settings.url.as_deref().unwrap_or(settings.region.url());
        Ok(Self {
            base: http::base_url(base).map_err(|problem| SettingsError { setting: "url", problem })?,
            authorization: http::basic(write_key, &SecretString::from(""))
                .map_err(|_| error("write_key", "has characters that no header can carry"))?,
            namespace: namespace(write_key),
            door: Door::new(http.clone(), Limiter::new(settings.per_second, settings.copies, Share::WITH_OTHERS)),
            clock,
        })
    }

    /// Sends messages that fit into one request.
    async fn send(&self, items: &[Item]) -> Sent {
        let now = self.clock.now();
        let (path, body) = match items {
            [] => return Sent::Each(Vec::new()),
            [Item { alone: true, json, .. }] => ("alias", json.clone()),
            _ => ("batch", batch(items, now)),
        };
        let call = Call {
            method: Method::POST,
            url: http::at(&self.base, &[path]),
            authorization: self.authorization.clone(),
            headers: Vec::new(),
            body: Some(body),
            repeatable: true,
            most_answer_bytes: None,
        };
        let answer = match self.door.send(&call, now).await {
            Ok(answer) => answer,
            Err(no) => {
                return match no.outcome {
                    outcome @ Outcome::RetryAfter { .. } => Sent::Nothing(outcome),
                    outcome => Sent::Each(vec![outcome; items.len()]),
                };
            }
        };
        let verdict = match Verdict::of(answer.status) {
            Verdict::Accepted if says_no(&answer) => Verdict::Invalid,
            verdict => verdict,
        };
        self.door.judged(verdict.health(), now);
        let wait = wait(&answer, now);
        if let (Verdict::TooMany | Verdict::Busy, Some(wait)) = (verdict, wait) {
            self.door.hold(wait, now);
        }
        match (verdict, verdict.outcome(answer.status, wait)) {
            // A page of some box in between, perhaps. Repeating is harmless.
            (_, None) if is_a_page(&answer) => Sent::Nothing(Outcome::retry(Span::ZERO, "unreadable_answer")),
            (_, None) => Sent::Each(vec![Outcome::Done; items.len()]),
            // The request as a whole was refused, for what one of its messages is.
            (Verdict::Invalid | Verdict::TooLarge, Some(_)) if items.len() > 1 => Sent::Split,
            (_, Some(outcome @ Outcome::RetryAfter { .. })) => Sent::Nothing(outcome),
            (_, Some(outcome)) => Sent::Each(vec![outcome; items.len()]),
        }
    }
}

fn batch(items: &[Item], now: Timestamp) -> Bytes {
    let mut body = Vec::with_capacity(BATCH_FRAME_BYTES + items.iter().map(|item| item.json.len() + 1).sum::<usize>());
    body.extend_from_slice(b"{\"batch\":[");
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&item.json);
    }
    body.push(b']');
    if let Some(now) = iso(now) {
        body.extend_from_slice(format!(",\"sentAt\":\"{now}\"").as_bytes());
    }
    body.push(b'}');
    body.into()
}

/// What a yes looks like is not documented. This is none.
fn says_no(answer: &Answer) -> bool {
    serde_json::from_slice::<Value>(&answer.body).is_ok_and(|body| body.get("success") == Some(&Value::Bool(false)))
}

fn is_a_page(answer: &Answer) -> bool {
    answer.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

/// A message that can be sent.
struct Item {
    /// Its place among the messages.
    index: usize,
    json: Bytes,
    /// It may not be part of a batch.
    alone: bool,
}

enum Sent {
    /// One for each item.
    Each(Vec<Outcome>),
    /// None of them, for a reason that is none of theirs.
    Nothing(Outcome),
    /// Each must be sent in a batch of its own to find the one that is refused.
    Split,
}

/// Groups of items, in their order, that fit into one request each.
fn chunks(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut chunks: Vec<Vec<Item>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let more = item.json.len() + 1;
        let joins = |chunk: &&mut Vec<Item>| {
            let fits = bytes + more <= MOST_BATCH_BYTES && chunk.len() < MOST_BATCH_EVENTS;
            fits && !item.alone && chunk.iter().all(|other| !other.alone)
        };
        match chunks.last_mut().filter(joins) {
            Some(chunk) => {
                bytes += more;
                chunk.push(item);
            }
            None => {
                bytes = BATCH_FRAME_BYTES + more;
                chunks.push(vec![item]);
            }
        }
    }
    chunks
}

impl<C: Clock> Segment for SegmentClient<C> {
    async fn write(&self, messages: &[SegmentMessage]) -> Vec<Outcome> {
        let now = self.clock.now();
        let mut outcomes: Vec<Option<Outcome>> = vec![None; messages.len()];
        let mut items = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            match render(message, &self.namespace, now) {
                Ok(json) => items.push(Item { index, json: json.into(), alone: goes_alone(message) }),
                Err(outcome) => outcomes[index] = Some(outcome),
            }
        }
        let mut waiting = VecDeque::from(chunks(items));
        let mut stopped: Option<Outcome> = None;
        while let Some(chunk) = waiting.pop_front() {
            // An event must not overtake what was said before it: once one request has to wait, so do those after it.
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
                Sent::Split => chunk.into_iter().rev().for_each(|item| waiting.push_front(vec![item])),
            }
        }
        // Every index has been filled; were one forgotten, sending it again would be harmless and losing it would not.
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Outcome::retry(Span::ZERO, "not_sent"))).collect()
    }

    fn pause(&self, now: Timestamp) -> Option<Span> {
        self.door.pause(now)
    }
}
