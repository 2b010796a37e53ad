//! What each program needs to know to run.

use super::groups::{
    self, AwsSettings, CustomerioApi, CustomerioRegion, CustomerioWebhook, IntercomApi, IntercomRegion, IntercomWebhook, QueueUrls,
    SegmentApi, SegmentRegion, SegmentWebhook, TableNames,
};
use super::{Environment, Problems, Reader, variable};
use std::path::PathBuf;
use trefoil_domain::event::Workspace;
use trefoil_domain::ports::QueueName;

/// `ingest-intercom`.
#[derive(Clone, Debug)]
pub struct IngestIntercom {
    pub workspace: Workspace,
    pub webhook: IntercomWebhook,
    /// Events, parked.
    pub queues: QueueUrls,
    pub warm: bool,
}

/// `ingest-customerio`.
#[derive(Clone, Debug)]
pub struct IngestCustomerio {
    pub workspace: Workspace,
    pub webhook: CustomerioWebhook,
    /// Events, parked.
    pub queues: QueueUrls,
    pub warm: bool,
}

/// `ingest-segment`.
#[derive(Clone, Debug)]
pub struct IngestSegment {
    pub workspace: Workspace,
    pub config: PathBuf,
    pub way_in: SegmentWayIn,
    /// Events, parked.
    pub queues: QueueUrls,
    pub warm: bool,
}

/// How Segment's messages reach the function.
#[derive(Clone, Debug)]
pub enum SegmentWayIn {
    /// At least one secret is there.
    Webhooks(SegmentWebhook),
    /// By Amazon EventBridge, through the queue with this URL.
    Queue(String),
}

/// `route-events`.
#[derive(Clone, Debug)]
pub struct RouteEvents {
    pub config: PathBuf,
    pub tables: TableNames,
    /// All of them; that of Segment may be missing where nothing is written there.
    pub queues: QueueUrls,
    pub warm: bool,
}

/// `send-customerio`.
#[derive(Clone, Debug)]
pub struct SendCustomerio {
    pub workspace: Workspace,
    pub config: PathBuf,
    pub customerio: CustomerioApi,
    pub tables: TableNames,
    /// Events, both of Customer.io, parked.
    pub queues: QueueUrls,
    pub warm: bool,
}

/// `send-intercom`.
#[derive(Clone, Debug)]
pub struct SendIntercom {
    pub workspace: Workspace,
    pub config: PathBuf,
    pub intercom: IntercomApi,
    pub tables: TableNames,
    /// Events, both of Intercom, parked.
    pub queues: QueueUrls,
    pub warm: bool,
}

/// `send-segment`.
#[derive(Clone, Debug)]
pub struct SendSegment {
    pub workspace: Workspace,
    pub config: PathBuf,
    pub segment: SegmentApi,
    pub tables: TableNames,
    /// Segment, parked.
    pub queues: QueueUrls,
    pub warm: bool,
}

/// `scan-people`.
#[derive(Clone, Debug)]
pub struct ScanPeople {
    pub workspace: Workspace,
    pub tables: TableNames,
    /// Events.
    pub queues: QueueUrls,
    pub warm: bool,
}

/// `trefoil serve`: everything in one process.
#[derive(Clone, Debug)]
pub struct Serve {
    pub workspace: Workspace,
    pub config: PathBuf,
    pub webhook: IntercomWebhook,
    /// Unset: Customer.io's webhooks are not taken.
    pub customerio_webhook: Option<CustomerioWebhook>,
    /// Either source, or both, may be without secrets: it then has no endpoint.
    pub segment: SegmentWebhook,
    pub customerio: CustomerioApi,
    pub intercom: IntercomApi,
    /// Unset: nothing is written to Segment.
    pub segment_api: Option<SegmentApi>,
}

/// What an operator does by hand, such as `trefoil conflicts`.
#[derive(Clone, Debug)]
pub struct Operator {
    pub workspace: Workspace,
    pub config: PathBuf,
}

/// Where that is done when it runs on AWS.
#[derive(Clone, Debug)]
pub struct OperatorAws {
    pub aws: AwsSettings,
    pub tables: TableNames,
    /// Events, Intercom.
    pub queues: QueueUrls,
}

impl Environment {
    /// # Errors
    /// Something is missing or wrong; all of it is named. The same holds for the other roles.
    pub fn ingest_intercom(&self) -> Result<IngestIntercom, Problems> {
        self.read(|reader| {
            let workspace = groups::workspace(reader);
            let webhook = groups::intercom_webhook(reader);
            let queues = groups::queues(reader, &[QueueName::Events, QueueName::Parked]);
            let warm = warm(reader);
            Some(IngestIntercom { workspace: workspace?, webhook: webhook?, queues: queues?, warm: warm? })
        })
    }

    /// # Errors
    /// As [`Environment::ingest_intercom`].
    pub fn ingest_customerio(&self) -> Result<IngestCustomerio, Problems> {
        self.read(|reader| {
            let workspace = groups::workspace(reader);
            let webhook = groups::customerio_webhook(reader);
            let queues = groups::queues(reader, &[QueueName::Events, QueueName::Parked]);
            let warm = warm(reader);
            Some(IngestCustomerio { workspace: workspace?, webhook: webhook?, queues: queues?, warm: warm? })
        })
    }

    /// # Errors
    /// As [`Environment::ingest_intercom`].
    pub fn ingest_segment(&self) -> Result<IngestSegment, Problems> {
        self.read(|reader| {
            let workspace = groups::workspace(reader);
            let way_in = segment_way_in(reader);
            let queues = groups::queues(reader, &[QueueName::Events, QueueName::Parked]);
            let warm = warm(reader);
            Some(IngestSegment { workspace: workspace?, config: config(reader), way_in: way_in?, queues: queues?, warm: warm? })
        })
    }

    /// # Errors
    /// As [`Environment::ingest_intercom`].
    pub fn route_events(&self) -> Result<RouteEvents, Problems> {
        self.read(|reader| {
            let tables = groups::tables(reader);
            let queues = groups::all_queues(reader);
            let warm = warm(reader);
            Some(RouteEvents { config: config(reader), tables: tables?, queues: queues?, warm: warm? })
        })
    }

    /// # Errors
    /// As [`Environment::ingest_intercom`].
    pub fn send_customerio(&self) -> Result<SendCustomerio, Problems> {
        self.read(|reader| {
            let workspace = groups::workspace(reader);
            let customerio = groups::customerio_api(reader);
            let tables = groups::tables(reader);
            let queues = groups::queues(reader, &[QueueName::Events, QueueName::CustomerioState, QueueName::Customerio, QueueName::Parked]);
            let warm = warm(reader);
            Some(SendCustomerio {
                workspace: workspace?,
                config: config(reader),
                customerio: customerio?,
                tables: tables?,
                queues: queues?,
                warm: warm?,
            })
        })
    }

    /// # Errors
    /// As [`Environment::ingest_intercom`].
    pub fn send_intercom(&self) -> Result<SendIntercom, Problems> {
        self.read(|reader| {
            let workspace = groups::workspace(reader);
            let intercom = groups::intercom_api(reader);
            let tables = groups::tables(reader);
            let queues = groups::queues(reader, &[QueueName::Events, QueueName::IntercomState, QueueName::Intercom, QueueName::Parked]);
            let warm = warm(reader);
            Some(SendIntercom {
                workspace: workspace?,
                config: config(reader),
                intercom: intercom?,
                tables: tables?,
                queues: queues?,
                warm: warm?,
            })
        })
    }

    /// # Errors
    /// As [`Environment::ingest_intercom`].
    pub fn send_segment(&self) -> Result<SendSegment, Problems> {
        self.read(|reader| {
            let workspace = groups::workspace(reader);
            let segment = groups::segment_api(reader);
            let tables = groups::tables(reader);
            let queues = groups::queues(reader, &[QueueName::Segment, QueueName::Parked]);
            let warm = warm(reader);
            Some(SendSegment {
                workspace: workspace?,
                config: config(reader),
                segment: segment?,
                tables: tables?,
                queues: queues?,
                warm: warm?,
            })
        })
    }

    /// # Errors
    /// As [`Environment::ingest_intercom`].
    pub fn scan_people(&self) -> Result<ScanPeople, Problems> {
        self.read(|reader| {
            let workspace = groups::workspace(reader);
            let tables = groups::tables(reader);
            let queues = groups::queues(reader, &[QueueName::Events]);
            let warm = warm(reader);
            Some(ScanPeople { workspace: workspace?, tables: tables?, queues: queues?, warm: warm? })
        })
    }

    /// # Errors
    /// As [`Environment::ingest_intercom`].
    pub fn serve(&self) -> Result<Serve, Problems> {
        self.read(|reader| {
            let workspace = groups::workspace(reader);
            let webhook = groups::intercom_webhook(reader);
            let customerio_webhook = groups::optional_customerio_webhook(reader);
            let segment = groups::segment_webhook(reader);
            let customerio = groups::customerio_api(reader);
            let intercom = groups::intercom_api(reader);
            let segment_api = groups::optional_segment_api(reader);
            Some(Serve {
                workspace: workspace?,
                config: config(reader),
                webhook: webhook?,
                customerio_webhook: customerio_webhook?,
                segment: segment?,
                customerio: customerio?,
                intercom: intercom?,
                segment_api: segment_api?,
            })
        })
    }

    /// # Errors
    /// As [`Environment::ingest_intercom`].
    pub fn operator(&self) -> Result<Operator, Problems> {
        self.read(|reader| {
            let workspace = groups::workspace(reader);
            Some(Operator { workspace: workspace?, config: config(reader) })
        })
    }

    /// # Errors
    /// As [`Environment::ingest_intercom`].
    pub fn operator_aws(&self) -> Result<OperatorAws, Problems> {
        self.read(|reader| {
            let aws = groups::aws(reader);
            let tables = groups::tables(reader);
            let queues = groups::queues(reader, &[QueueName::Events, QueueName::IntercomState]);
            Some(OperatorAws { aws: aws?, tables: tables?, queues: queues? })
        })
    }
}

fn segment_way_in(reader: &mut Reader<'_>) -> Option<SegmentWayIn> {
    // A queue is guarded by who may send to it; there is nothing to sign.
    if let Some(url) = reader.optional(variable::QUEUE_EVENTBRIDGE) {
        return Some(SegmentWayIn::Queue(url));
    }
    let webhook = groups::segment_webhook(reader)?;
    if webhook.segment_secrets.is_empty() && webhook.pipelines_secrets.is_empty() {
        let name = variable::SEGMENT_SHARED_SECRET;
        let message = format!(
            "is not set; it must hold the shared secret of the webhook destination, or {name}_SECRET the name of the secret that does; \
             {} does the same for Customer.io's data pipelines, and {} the URL of a queue fed by EventBridge in place of webhooks",
            variable::PIPELINES_SHARED_SECRET,
            variable::QUEUE_EVENTBRIDGE
        );
        return reader.problem(name, message);
    }
    Some(SegmentWayIn::Webhooks(webhook))
}

/// `trefoil plan`: no secrets, since nothing leaves the machine.
#[derive(Clone, Debug)]
pub struct Plan {
    pub workspace: Workspace,
    pub config: PathBuf,
    /// Id of the Intercom workspace, if only its webhooks are taken.
    pub app_id: Option<String>,
    /// Unset: nobody said; only addresses to show depend on it.
    pub intercom: Option<IntercomRegion>,
    pub customerio: Option<CustomerioRegion>,
    pub segment: Option<SegmentRegion>,
}

impl Environment {
    /// # Errors
    /// As [`Environment::ingest_intercom`].
    pub fn plan(&self) -> Result<Plan, Problems> {
        self.read(|reader| {
            let workspace = groups::workspace(reader);
            let intercom = groups::intercom_region(reader, false);
            let customerio = groups::customerio_region(reader, false);
            let segment = groups::segment_region(reader, false);
            let app_id = reader.optional(variable::INTERCOM_APP_ID);
            Some(Plan {
                workspace: workspace?,
                config: config(reader),
                app_id,
                intercom: intercom?,
                customerio: customerio?,
                segment: segment?,
            })
        })
    }
}

fn config(reader: &Reader<'_>) -> PathBuf {
    reader.optional(variable::CONFIG).unwrap_or_else(|| "trefoil.yaml".to_owned()).into()
}

fn warm(reader: &mut Reader<'_>) -> Option<bool> {
    reader.parsed(variable::WARM, true, "true or false")
}
