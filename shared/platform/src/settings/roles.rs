//! What each program needs to know to run.

use super::groups::{self, CustomerioApi, CustomerioWebhook, IntercomApi, IntercomWebhook, QueueUrls, TableNames};
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

/// `route-events`.
#[derive(Clone, Debug)]
pub struct RouteEvents {
    pub config: PathBuf,
    pub tables: TableNames,
    /// All of them.
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
    /// Both of Customer.io, parked.
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
    /// Events, Intercom, parked.
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
    pub customerio: CustomerioApi,
    pub intercom: IntercomApi,
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
    pub fn route_events(&self) -> Result<RouteEvents, Problems> {
        self.read(|reader| {
            let tables = groups::tables(reader);
            let queues = groups::queues(reader, &QueueName::ALL);
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
            let queues = groups::queues(reader, &[QueueName::CustomerioState, QueueName::Customerio, QueueName::Parked]);
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
            let queues = groups::queues(reader, &[QueueName::Events, QueueName::Intercom, QueueName::Parked]);
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
            let customerio = groups::customerio_api(reader);
            let intercom = groups::intercom_api(reader);
            Some(Serve {
                workspace: workspace?,
                config: config(reader),
                webhook: webhook?,
                customerio_webhook: customerio_webhook?,
                customerio: customerio?,
                intercom: intercom?,
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
