//! Reads bodies as the webhooks of one source. Connectors take nothing that is not signed, so each body is signed here, with
//! a secret that is good for nothing else.

use super::bodies::Body;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::SecretString;
use sha2::Sha256;
use trefoil_connectors::customerio::CustomerioWebhooks;
use trefoil_connectors::intercom::IntercomWebhooks;
use trefoil_connectors::segment::{BatchSignature, SegmentWebhooks};
use trefoil_domain::event::{self, Event};
use trefoil_domain::ports::{Received, Unauthorized};
use trefoil_domain::time::Timestamp;
use trefoil_domain::wanted::Wanted;
use trefoil_platform::settings::Plan;
use trefoil_standins::intercom::sign;

/// Whose webhooks the bodies are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Source {
    Intercom,
    Customerio,
    Segment,
    /// Customer.io's data pipelines.
    Pipelines,
}

const SECRET: &str = "a-secret-that-protects-nothing";

enum Webhooks {
    Intercom(IntercomWebhooks),
    Customerio(CustomerioWebhooks),
    Segment(SegmentWebhooks),
}

pub(crate) struct Reader(Webhooks);

impl Reader {
    /// # Errors
    /// Never, unless the connectors want longer secrets than ours.
    pub(crate) fn new(source: Source, settings: &Plan, wanted: Wanted) -> Result<Self, String> {
        let (secrets, workspace) = ([SecretString::from(SECRET)], settings.workspace.clone());
        let segment = |source, workspace| SegmentWebhooks::new(&secrets, workspace, source, wanted, BatchSignature::Full);
        Ok(Self(match source {
            Source::Intercom => {
                Webhooks::Intercom(IntercomWebhooks::new(&secrets, workspace, settings.app_id.clone()).map_err(|e| e.to_string())?)
            }
            Source::Customerio => Webhooks::Customerio(CustomerioWebhooks::new(&secrets, workspace, None).map_err(|e| e.to_string())?),
            Source::Segment => Webhooks::Segment(segment(event::Source::Segment, workspace).map_err(|e| e.to_string())?),
            Source::Pipelines => Webhooks::Segment(segment(event::Source::Pipelines, workspace).map_err(|e| e.to_string())?),
        }))
    }

    /// Name of the stage that takes these webhooks in.
    pub(crate) fn stage(&self) -> &'static str {
        match self.0 {
            Webhooks::Intercom(_) => "ingest-intercom",
            Webhooks::Customerio(_) => "ingest-customerio",
            Webhooks::Segment(_) => "ingest-segment",
        }
    }

    /// # Errors
    /// Never, as long as we sign as the connectors verify.
    pub(crate) fn read(&self, body: &Body, now: Timestamp) -> Result<Received, String> {
        let received = match &self.0 {
            Webhooks::Intercom(webhooks) => webhooks.receive(Some(&sign(SECRET, body)), body, now),
            Webhooks::Customerio(webhooks) => {
                let sent_at = now.secs().to_string();
                webhooks.receive(Some(&sent_at), Some(&customerio_signature(&sent_at, body)), body, now)
            }
            // The same hash as Intercom's, without a name before it.
            Webhooks::Segment(webhooks) => webhooks.receive(Some(sign(SECRET, body).trim_start_matches("sha1=")), body, now),
        };
        received.map_err(|Unauthorized| "our own signature was refused: this is a defect of the program".to_owned())
    }
}

/// <https://docs.customer.io/integrations/api/webhooks>: over version, time of sending and body.
fn customerio_signature(sent_at: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()) else { unreachable!("HMAC takes keys of any length") };
    mac.update(format!("v0:{sent_at}:").as_bytes());
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

pub(crate) fn events(received: &Received) -> &[Event] {
    match received {
        Received::Events(events) => events,
        Received::Several(several) => &several.events,
        Received::Ignored(_) | Received::Unusable { .. } | Received::Refused { .. } => &[],
    }
}
