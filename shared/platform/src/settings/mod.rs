//! Every environment variable of the product, once. Nothing else reads the environment.
//!
//! A program makes an [`Environment`], lets AWS fill in the secrets that live there (`aws::secrets`), and asks for the
//! settings of its role. All problems of one start-up come back together, each with the variable and what to do; none
//! ever shows the value of a secret.

mod groups;
mod roles;

#[cfg(feature = "aws")]
pub(crate) use groups::MIN_SIGNING_SECRET_BYTES;
pub use groups::{
    AwsSettings, CustomerioApi, CustomerioRegion, CustomerioWebhook, IntercomApi, IntercomRegion, IntercomWebhook, QueueUrls, SegmentApi,
    SegmentRegion, SegmentWebhook, TableNames,
};
pub use roles::{
    IngestCustomerio, IngestIntercom, IngestSegment, Operator, OperatorAws, Plan, RouteEvents, ScanPeople, SegmentWayIn, SendCustomerio,
    SendIntercom, SendSegment, Serve,
};

use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The variables. A secret may instead be given as the name or ARN of a Secrets Manager secret, in `<variable>_SECRET`.
pub mod variable {
    /// Name of the Trefoil workspace. Default `main`.
    pub const WORKSPACE: &str = "TREFOIL_WORKSPACE";
    /// Path of the configuration. Default `trefoil.yaml`.
    pub const CONFIG: &str = "TREFOIL_CONFIG";
    /// Level of the logs. Default `info`.
    pub const LOG: &str = "TREFOIL_LOG";
    /// `true` or `false`: whether a function opens its connections before its first event. Default `true`.
    pub const WARM: &str = "TREFOIL_WARM";
    /// How many copies of this sender may run at once; each keeps to its share of the rate. Default 1.
    pub const CONCURRENCY: &str = "TREFOIL_CONCURRENCY";

    /// Secret. The client secret of the Intercom app, which signs webhooks; several separated by commas while it is
    /// being changed.
    pub const INTERCOM_CLIENT_SECRET: &str = "TREFOIL_INTERCOM_CLIENT_SECRET";
    /// Id of the Intercom workspace (`app_id`). Webhooks of any other are not used. Default: any.
    pub const INTERCOM_APP_ID: &str = "TREFOIL_INTERCOM_APP_ID";
    /// Secret. Access token for the Intercom API.
    pub const INTERCOM_TOKEN: &str = "TREFOIL_INTERCOM_TOKEN";
    /// `us`, `eu` or `au`: where the Intercom workspace is hosted. Required unless the URL is given.
    pub const INTERCOM_REGION: &str = "TREFOIL_INTERCOM_REGION";
    /// Base URL of the Intercom API, in place of the region's.
    pub const INTERCOM_URL: &str = "TREFOIL_INTERCOM_URL";
    /// Requests per 10 s that the Intercom app may make. Default 1666.
    pub const INTERCOM_RATE: &str = "TREFOIL_INTERCOM_RATE";
    /// Id of the teammate (digits) in whose name messages and notes are written. Default: none, and what needs one is refused.
    pub const INTERCOM_ADMIN_ID: &str = "TREFOIL_INTERCOM_ADMIN_ID";
    /// `true` or `false`: whether a custom attribute that Intercom does not have yet is made there. Default `false`: it is left
    /// out.
    pub const INTERCOM_CREATE_ATTRIBUTES: &str = "TREFOIL_INTERCOM_CREATE_ATTRIBUTES";
    /// `in_app` or `inapp`: what Intercom's API calls a message that is not an e-mail. Its description says the one, its examples
    /// the other. Default `in_app`.
    pub const INTERCOM_IN_APP_TYPE: &str = "TREFOIL_INTERCOM_IN_APP_TYPE";

    /// Secret. The keys with which Customer.io signs: that of the reporting webhook and that of webhook actions, separated by
    /// commas; several of each while they are being changed.
    pub const CUSTOMERIO_SIGNING_KEYS: &str = "TREFOIL_CUSTOMERIO_SIGNING_KEYS";
    /// How far the time at which Customer.io sent a webhook may be from ours, such as `1h`. Default: any.
    pub const CUSTOMERIO_MAX_SKEW: &str = "TREFOIL_CUSTOMERIO_MAX_SKEW";
    /// Secret. Site id of the Customer.io workspace.
    pub const CUSTOMERIO_SITE_ID: &str = "TREFOIL_CUSTOMERIO_SITE_ID";
    /// Secret. Key for the Track API.
    pub const CUSTOMERIO_API_KEY: &str = "TREFOIL_CUSTOMERIO_API_KEY";
    /// Secret. Key for the App API, to look profiles up. Default: none, profiles are not looked up.
    pub const CUSTOMERIO_APP_API_KEY: &str = "TREFOIL_CUSTOMERIO_APP_API_KEY";
    /// `us` or `eu`: where the Customer.io workspace is hosted. Required unless the URLs are given.
    pub const CUSTOMERIO_REGION: &str = "TREFOIL_CUSTOMERIO_REGION";
    /// Base URL of the Track API, in place of the region's.
    pub const CUSTOMERIO_URL: &str = "TREFOIL_CUSTOMERIO_URL";
    /// Base URL of the App API, in place of the region's.
    pub const CUSTOMERIO_APP_URL: &str = "TREFOIL_CUSTOMERIO_APP_URL";
    /// Requests per second to the Track API. Default 100.
    pub const CUSTOMERIO_RATE: &str = "TREFOIL_CUSTOMERIO_RATE";
    /// Requests per second to the App API. Default 10.
    pub const CUSTOMERIO_APP_RATE: &str = "TREFOIL_CUSTOMERIO_APP_RATE";

    /// Secret. The shared secret of the webhook destination at Segment, which signs webhooks; several separated by commas
    /// while it is being changed.
    pub const SEGMENT_SHARED_SECRET: &str = "TREFOIL_SEGMENT_SHARED_SECRET";
    /// Secret. The same of the webhook destination of Customer.io's data pipelines.
    pub const PIPELINES_SHARED_SECRET: &str = "TREFOIL_PIPELINES_SHARED_SECRET";
    /// `full` or `first`: whether a batch must be signed as a whole, or its first message will do. Default `full`.
    pub const SEGMENT_BATCH_SIGNATURE: &str = "TREFOIL_SEGMENT_BATCH_SIGNATURE";

    /// Secret. Write key of the source at Segment that is written to. Default in `serve`: none, and nothing is written there.
    pub const SEGMENT_WRITE_KEY: &str = "TREFOIL_SEGMENT_WRITE_KEY";
    /// `us` or `eu`: where the Segment workspace is hosted. Required with the write key unless the URL is given.
    pub const SEGMENT_REGION: &str = "TREFOIL_SEGMENT_REGION";
    /// Base URL of Segment's Tracking API with its `/v1`, in place of the region's.
    pub const SEGMENT_URL: &str = "TREFOIL_SEGMENT_URL";
    /// Requests per second to Segment. Default 500.
    pub const SEGMENT_RATE: &str = "TREFOIL_SEGMENT_RATE";

    /// Names of the tables.
    pub const TABLE_PEOPLE: &str = "TREFOIL_TABLE_PEOPLE";
    pub const TABLE_ALIASES: &str = "TREFOIL_TABLE_ALIASES";
    pub const TABLE_HISTORY: &str = "TREFOIL_TABLE_HISTORY";

    /// URLs of the queues.
    pub const QUEUE_EVENTS: &str = "TREFOIL_QUEUE_EVENTS";
    pub const QUEUE_CUSTOMERIO_STATE: &str = "TREFOIL_QUEUE_CUSTOMERIO_STATE";
    pub const QUEUE_CUSTOMERIO: &str = "TREFOIL_QUEUE_CUSTOMERIO";
    pub const QUEUE_INTERCOM_STATE: &str = "TREFOIL_QUEUE_INTERCOM_STATE";
    pub const QUEUE_INTERCOM: &str = "TREFOIL_QUEUE_INTERCOM";
    /// What is to be written to Segment. Default for the router: none, and nothing is written there.
    pub const QUEUE_SEGMENT: &str = "TREFOIL_QUEUE_SEGMENT";
    pub const QUEUE_PARKED: &str = "TREFOIL_QUEUE_PARKED";
    /// URL of a queue that an EventBridge rule fills with Segment's events. Set: the function is fed from it, and takes no
    /// webhooks. Default: none.
    pub const QUEUE_EVENTBRIDGE: &str = "TREFOIL_QUEUE_EVENTBRIDGE";

    /// Set by Lambda: the region.
    pub const AWS_REGION: &str = "AWS_REGION";
    pub const AWS_DEFAULT_REGION: &str = "AWS_DEFAULT_REGION";
    /// Set by Lambda: the credentials of the function's role.
    pub const AWS_ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
    pub const AWS_SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
    pub const AWS_SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
    /// Another address for all AWS services; may be plain `http`.
    pub const AWS_ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";

    /// Those that are secrets.
    pub const SECRETS: [&str; 9] = [
        INTERCOM_CLIENT_SECRET,
        INTERCOM_TOKEN,
        CUSTOMERIO_SIGNING_KEYS,
        CUSTOMERIO_SITE_ID,
        CUSTOMERIO_API_KEY,
        CUSTOMERIO_APP_API_KEY,
        SEGMENT_SHARED_SECRET,
        PIPELINES_SHARED_SECRET,
        SEGMENT_WRITE_KEY,
    ];

    /// Those of them with which others sign. While one is being changed, either may have signed.
    pub const SIGNING: [&str; 4] = [INTERCOM_CLIENT_SECRET, CUSTOMERIO_SIGNING_KEYS, SEGMENT_SHARED_SECRET, PIPELINES_SHARED_SECRET];
}

/// Looks a variable up.
type Get = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Where settings come from.
pub struct Environment {
    get: Box<Get>,
    /// Secrets read from Secrets Manager, or why that failed.
    stored: BTreeMap<&'static str, Result<SecretString, String>>,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    pub fn new(get: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { get: Box::new(get), stored: BTreeMap::new() }
    }

    /// The function is fed from a queue that EventBridge fills, and takes no webhooks.
    pub fn is_fed_by_eventbridge(&self) -> bool {
        self.plain(variable::QUEUE_EVENTBRIDGE).is_some()
    }

    /// The secrets that are to be read from Secrets Manager: the variable, and the name or ARN of the secret.
    pub fn stored_secrets(&self) -> Vec<(&'static str, String)> {
        let named = |variable: &'static str| Some((variable, self.plain(&format!("{variable}_SECRET"))?));
        variable::SECRETS.into_iter().filter_map(named).collect()
    }

    /// Puts in what Secrets Manager had for a variable, or why nothing could be read.
    pub fn put_secret(&mut self, variable: &'static str, value: Result<SecretString, String>) {
        self.stored.insert(variable, value);
    }

    /// The level of the logs, as `TREFOIL_LOG` says; `info` otherwise.
    pub fn log_level(&self) -> String {
        self.plain(variable::LOG).unwrap_or_else(|| "info".to_owned())
    }

    /// # Errors
    /// Something is missing; all of it is named.
    pub fn aws(&self) -> Result<AwsSettings, Problems> {
        self.read(groups::aws)
    }

    /// Reads a group of settings, collecting every problem.
    fn read<T>(&self, group: impl FnOnce(&mut Reader<'_>) -> Option<T>) -> Result<T, Problems> {
        let mut reader = Reader { environment: self, problems: Vec::new() };
        match group(&mut reader) {
            Some(settings) if reader.problems.is_empty() => Ok(settings),
            Some(_) | None => Err(Problems(reader.problems)),
        }
    }

    /// An empty variable is as good as none: that is what templates make of parameters left out.
    fn plain(&self, name: &str) -> Option<String> {
        (self.get)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }
}

/// Reads settings and remembers what is wrong. `None` means that a problem was noted.
struct Reader<'a> {
    environment: &'a Environment,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn problem<T>(&mut self, variable: &str, message: impl Into<String>) -> Option<T> {
        self.problems.push(Problem { variable: variable.to_owned(), message: message.into() });
        None
    }

    fn optional(&self, name: &str) -> Option<String> {
        self.environment.plain(name)
    }

    fn required(&mut self, name: &str, what: &str) -> Option<String> {
        self.optional(name).or_else(|| self.problem(name, format!("is not set; it must hold {what}")))
    }

    /// Reads a value with a default.
    fn parsed<T: FromStr>(&mut self, name: &str, default: T, expected: &str) -> Option<T> {
        match self.optional(name).map(|text| text.parse()) {
            None => Some(default),
            Some(Ok(value)) => Some(value),
            Some(Err(_)) => self.problem(name, format!("cannot be read; it must be {expected}")),
        }
    }

    /// The outer `None` is a problem, the inner an unset secret.
    #[expect(clippy::option_option, reason = "unset and unreadable are different things")]
    fn optional_secret(&mut self, name: &str) -> Option<Option<SecretString>> {
        match self.environment.stored.get(name) {
            Some(Ok(secret)) if !secret.expose_secret().trim().is_empty() => Some(Some(secret.clone())),
            Some(Ok(_)) => self.problem(&format!("{name}_SECRET"), "names a secret that is empty"),
            Some(Err(why)) => {
                let message = format!("names a secret that could not be read: {why}");
                self.problem(&format!("{name}_SECRET"), message)
            }
            None => Some(self.optional(name).map(SecretString::from)),
        }
    }

    fn secret(&mut self, name: &str, what: &str) -> Option<SecretString> {
        match self.optional_secret(name)? {
            Some(secret) => Some(secret),
            None => self.problem(name, format!("is not set; it must hold {what}, or {name}_SECRET the name of the secret that does")),
        }
    }
}

/// One thing wrong with the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub variable: String,
    /// What is wrong and what is expected. Never holds the value.
    pub message: String,
}

/// Everything wrong with the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the settings are not complete")?;
        for Problem { variable, message } in &self.0 {
            write!(f, "\n  {variable} {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests;
