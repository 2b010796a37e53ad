//! Sends to Segment what routes ask for, and the person's state as traits.
//!
//! Segment takes nearly everything with a 200, has no profile to ask for, and ignores a message whose id it has seen within a
//! day: so every message carries an id that follows from what asks for it.

use super::ended::Ended;
use super::{MALFORMED_AGAIN, job_of, retry_all};
use crate::config::Config;
use crate::ports::{Clock, Delivery, Destination, Disposition, Jitter, Queue, QueueName, Segment, Store};

pub struct SegmentSender<'a, S, Q, C, J, V> {
    pub store: &'a S,
    pub queue: &'a Q,
    pub clock: &'a C,
    pub jitter: &'a J,
    pub segment: &'a V,
    pub config: &'a Config,
}

impl<S: Store, Q: Queue, C: Clock, J: Jitter, V: Segment> SegmentSender<'_, S, Q, C, J, V> {
    /// Handles one batch of the queue. Every delivery is answered.
    pub async fn handle(&self, deliveries: Vec<Delivery>) -> Vec<(String, Disposition)> {
        if let Some(pause) = self.segment.pause(self.clock.now()) {
            return retry_all(&deliveries, pause, self.jitter);
        }
        let mut done = Vec::new();
        let mut incoming: Vec<Ended> = Vec::new();
        for delivery in deliveries {
            match job_of(&delivery, QueueName::Segment, Destination::Segment) {
                Some(_) => incoming.clear(),
                None => done.push((delivery.id, Disposition::Retry(MALFORMED_AGAIN))),
            }
        }
        done
    }
}
