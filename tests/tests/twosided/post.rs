//! Webhooks on their way: late, twice, out of order.

use fastrand::Rng;
use std::collections::BTreeMap;
use trefoil_domain::time::{Span, Timestamp};
use trefoil_standins::{customerio, intercom, segment};

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Intercom(intercom::Webhook),
    Customerio(customerio::Webhook),
    Segment(segment::Webhook),
}

/// No webhook takes longer.
pub(crate) const LONGEST_DELAY: Span = Span::from_mins(8);

/// What has been sent and has not come in yet, by when it does.
#[derive(Default)]
pub(crate) struct Mail {
    on_its_way: BTreeMap<(Timestamp, u64), Body>,
    sent: u64,
}

impl Mail {
    pub(crate) fn send(&mut self, body: Body, now: Timestamp, dice: &mut Rng) {
        self.put(body.clone(), now.plus(delay(dice)));
        if dice.u8(..100) < 12 {
            self.put(body, now.plus(delay(dice)));
        }
    }

    fn put(&mut self, post: Body, at: Timestamp) {
        self.sent += 1;
        self.on_its_way.insert((at, self.sent), post);
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.on_its_way.keys().next().map(|(at, _)| *at)
    }

    /// What comes in by now.
    pub(crate) fn take(&mut self, now: Timestamp) -> Vec<Body> {
        let later = self.on_its_way.split_off(&(now.plus(Span::from_millis(1)), 0));
        std::mem::replace(&mut self.on_its_way, later).into_values().collect()
    }
}

/// Mostly seconds, now and then minutes.
fn delay(dice: &mut Rng) -> Span {
    Span::from_millis(match dice.u8(..10) {
        0..=5 => dice.i64(0..3_000),
        6..=8 => dice.i64(0..60_000),
        _ => dice.i64(0..=LONGEST_DELAY.millis()),
    })
}
