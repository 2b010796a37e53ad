//! What becomes of a call that the API has answered with 200: lost, ignored as a repeat, or stored, folded into profiles
//! and passed on.

use super::Options;
use super::destinations::Native;
use super::message::{Kind, Loss, Message, Reason, Via, check, finish, unify_drops};
use super::variants::Memory;
use super::world::World;
use crate::journal::Keep;
use crate::seed::Seeded;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet, VecDeque};

/// "Segment stores at least 24 hours worth of event `messageId`s."
/// <https://www.twilio.com/docs/segment/guides/duplicate-data>
const MEMORY_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) seeded: Seeded,
    pub(crate) world: World,
    /// What came through the API; empty with [`Keep::Counters`].
    pub(crate) messages: Vec<Message>,
    pub(crate) counts: BTreeMap<Kind, u64>,
    pub(crate) lost: Vec<Loss>,
    /// Ids of repeats.
    pub(crate) duplicates: Vec<String>,
    pub(crate) outbox: Vec<Message>,
    pub(crate) forwarded: Vec<(Native, Message)>,
    /// Ids of the last day, and the same with the time of their coming (unix milliseconds).
    seen: HashSet<String>,
    seen_in_order: VecDeque<(i64, String)>,
}

impl Workspace {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            seeded: Seeded::new(options.seed),
            world: World::new(options.variants, options.keep == Keep::Everything),
            messages: Vec::new(),
            counts: BTreeMap::new(),
            lost: Vec::new(),
            duplicates: Vec::new(),
            outbox: Vec::new(),
            forwarded: Vec::new(),
            seen: HashSet::new(),
            seen_in_order: VecDeque::new(),
        }
    }

    pub(crate) fn lose(&mut self, reason: Reason, json: Value) {
        self.lost.push(Loss { reason, json });
    }

    /// Takes a call, or says why not; losing it is up to the caller.
    pub(crate) fn accept(&mut self, call: &Map<String, Value>, via: Via, options: &Options, now_ms: i64) -> Result<(), Reason> {
        let kind = check(call, &options.variants)?;
        let made = self.seeded.uuid();
        let message = finish(call.clone(), kind, via, now_ms, &options.variants, || format!("api_{made}"));
        if self.is_repeat(&message.id, options, now_ms) {
            self.duplicates.push(message.id);
            return Ok(());
        }
        match unify_drops(&message) {
            Some(reason) => self.lose(reason, Value::Object(call.clone())),
            None => self.world.apply(&message),
        }
        self.distribute(&message, options);
        match (via, options.keep) {
            (Via::Api, Keep::Everything) => {
                *self.counts.entry(kind).or_default() += 1;
                self.messages.push(message);
            }
            (Via::Api, Keep::Counters) => *self.counts.entry(kind).or_default() += 1,
            (Via::App | Via::Segment, _) => {}
        }
        Ok(())
    }

    /// Passes on what Segment itself says.
    pub(crate) fn say(&mut self, json: Map<String, Value>, kind: Kind, options: &Options, now_ms: i64) {
        let made = self.seeded.uuid();
        let message = finish(json, kind, Via::Segment, now_ms, &options.variants, || format!("personas_{made}"));
        self.distribute(&message, options);
    }

    fn distribute(&mut self, message: &Message, options: &Options) {
        if options.webhooks.is_some() && options.webhook_kind.takes(message) {
            self.outbox.push(message.clone());
        }
        for native in &options.native {
            if native.takes(message, options.variants.native) {
                self.forwarded.push((*native, message.clone()));
            }
        }
    }

    /// Across all sources: whoever uses an id again within a day is not heard.
    fn is_repeat(&mut self, id: &str, options: &Options, now_ms: i64) -> bool {
        while self.seen_in_order.front().is_some_and(|(at_ms, _)| now_ms.saturating_sub(*at_ms) >= MEMORY_MS) {
            if let Some((_, old)) = self.seen_in_order.pop_front() {
                self.seen.remove(&old);
            }
        }
        match options.variants.memory {
            Memory::ForgetsOnePercent if is_forgotten(id, options.seed) => return false,
            Memory::ForgetsOnePercent | Memory::Exact => {}
        }
        if self.seen.contains(id) {
            return true;
        }
        self.seen.insert(id.to_owned());
        self.seen_in_order.push_back((now_ms, id.to_owned()));
        false
    }
}

/// Depends on the id alone, so that it does not matter what came before. (FNV-1a, then one step of the generator.)
fn is_forgotten(id: &str, seed: u64) -> bool {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    Seeded::new(hash ^ seed).next().is_multiple_of(100)
}
