//! Settings that belong together.

use super::{Reader, variable};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use trefoil_domain::event::Workspace;
use trefoil_domain::ports::QueueName;
use trefoil_domain::time::Span;

/// A shorter key signs nothing worth the name. A missing one would silently mean "signed with the empty key".
pub(crate) const MIN_SIGNING_SECRET_BYTES: usize = 16;

/// What it takes to call AWS.
#[derive(Clone, Debug)]
pub struct AwsSettings {
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: SecretString,
    pub session_token: Option<SecretString>,
    /// In place of AWS's own addresses; may be plain `http`.
    pub endpoint: Option<String>,
}

/// What it takes to accept Intercom's webhooks.
#[derive(Clone, Debug)]
pub struct IntercomWebhook {
    /// At least one, each of at least 16 bytes; any of them may have signed.
    pub client_secrets: Vec<SecretString>,
    /// The only Intercom workspace to listen to, if that was said.
    pub app_id: Option<String>,
}

/// What it takes to accept Customer.io's webhooks.
#[derive(Clone, Debug)]
pub struct CustomerioWebhook {
    /// At least one, each of at least 16 bytes; any of them may have signed.
    pub signing_keys: Vec<SecretString>,
    /// How far the time of sending may be from ours, if that was said.
    pub max_skew: Option<Span>,
}

/// What it takes to accept webhooks of Segment and of Customer.io's data pipelines. Secrets have at least 16 bytes each; any
/// of them may have signed.
#[derive(Clone, Debug)]
pub struct SegmentWebhook {
    /// Empty: Segment sends none.
    pub segment_secrets: Vec<SecretString>,
    /// Empty: the pipelines send none.
    pub pipelines_secrets: Vec<SecretString>,
    /// The first message's signature will do for a batch.
    pub first_of_batch: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntercomRegion {
    Us,
    Eu,
    Au,
}

/// What it takes to ask and tell Intercom.
#[derive(Clone, Debug)]
pub struct IntercomApi {
    pub token: SecretString,
    /// Set unless `url` is.
    pub region: Option<IntercomRegion>,
    pub url: Option<String>,
    /// This copy's share of the vendor's limit, without any margin.
    pub requests_per_10_secs: f64,
    /// Of the teammate in whose name messages and notes are written; digits.
    pub admin_id: Option<String>,
    /// Custom attributes that Intercom does not have yet are made.
    pub create_attributes: bool,
    /// Intercom's word for a message that is not an e-mail.
    pub in_app_message_type: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomerioRegion {
    Us,
    Eu,
}

/// What it takes to write to Customer.io.
#[derive(Clone, Debug)]
pub struct CustomerioApi {
    pub site_id: SecretString,
    pub api_key: SecretString,
    /// Without it profiles are not looked up.
    pub app_api_key: Option<SecretString>,
    /// Set unless `url` is, and `app_url` where there is an App API key.
    pub region: Option<CustomerioRegion>,
    /// Of the Track API.
    pub url: Option<String>,
    /// Of the App API.
    pub app_url: Option<String>,
    /// This copy's share of the vendor's limit, without any margin.
    pub requests_per_sec: f64,
    /// The same for the App API.
    pub app_requests_per_sec: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentRegion {
    Us,
    Eu,
}

/// What it takes to write to Segment.
#[derive(Clone, Debug)]
pub struct SegmentApi {
    pub write_key: SecretString,
    /// Set unless `url` is.
    pub region: Option<SegmentRegion>,
    pub url: Option<String>,
    /// This copy's share of the limit, without any margin.
    pub requests_per_sec: f64,
}

/// Names of the three tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableNames {
    pub people: String,
    pub aliases: String,
    pub history: String,
}

/// URLs of the queues that a program uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueUrls(BTreeMap<QueueName, String>);

impl QueueUrls {
    pub fn get(&self, queue: QueueName) -> Option<&str> {
        self.0.get(&queue).map(String::as_str)
    }
}

impl FromIterator<(QueueName, String)> for QueueUrls {
    fn from_iter<I: IntoIterator<Item = (QueueName, String)>>(urls: I) -> Self {
        Self(urls.into_iter().collect())
    }
}

/// The variable that holds a queue's URL.
pub(crate) fn queue_variable(queue: QueueName) -> &'static str {
    match queue {
        QueueName::Events => variable::QUEUE_EVENTS,
        QueueName::CustomerioState => variable::QUEUE_CUSTOMERIO_STATE,
        QueueName::Customerio => variable::QUEUE_CUSTOMERIO,
        QueueName::IntercomState => variable::QUEUE_INTERCOM_STATE,
        QueueName::Intercom => variable::QUEUE_INTERCOM,
        QueueName::Segment => variable::QUEUE_SEGMENT,
        QueueName::Parked => variable::QUEUE_PARKED,
    }
}

pub(super) fn aws(reader: &mut Reader<'_>) -> Option<AwsSettings> {
    let region = match reader.optional(variable::AWS_REGION).or_else(|| reader.optional(variable::AWS_DEFAULT_REGION)) {
        Some(region) => Some(region),
        None => reader.problem(variable::AWS_REGION, "is not set; it must hold the AWS region, such as eu-west-1"),
    };
    let access_key_id = reader.required(variable::AWS_ACCESS_KEY_ID, "an access key id (Lambda sets it)");
    let secret_access_key = reader.required(variable::AWS_SECRET_ACCESS_KEY, "the secret access key (Lambda sets it)");
    let endpoint = url(reader, variable::AWS_ENDPOINT_URL);
    Some(AwsSettings {
        region: region?,
        access_key_id: access_key_id?,
        secret_access_key: secret_access_key?.into(),
        session_token: reader.optional(variable::AWS_SESSION_TOKEN).map(SecretString::from),
        endpoint: endpoint?,
    })
}

pub(super) fn workspace(reader: &mut Reader<'_>) -> Option<Workspace> {
    let name = reader.optional(variable::WORKSPACE).unwrap_or_else(|| "main".to_owned());
    match Workspace::new(&name) {
        Ok(workspace) => Some(workspace),
        Err(why) => reader.problem(variable::WORKSPACE, format!("cannot be used: {why}")),
    }
}

pub(super) fn intercom_webhook(reader: &mut Reader<'_>) -> Option<IntercomWebhook> {
    let name = variable::INTERCOM_CLIENT_SECRET;
    let all = reader.secret(name, "the client secret of the Intercom app (Developer Hub, Basic information)")?;
    let client_secrets = signing_secrets(reader, name, &all, "copy it from Intercom")?;
    Some(IntercomWebhook { client_secrets, app_id: reader.optional(variable::INTERCOM_APP_ID) })
}

/// As [`customerio_webhook`], where it may be left out. The outer `None` is a problem, the inner a variable that is not set.
#[expect(clippy::option_option, reason = "unset and unreadable are different things")]
pub(super) fn optional_customerio_webhook(reader: &mut Reader<'_>) -> Option<Option<CustomerioWebhook>> {
    match reader.optional_secret(variable::CUSTOMERIO_SIGNING_KEYS)? {
        Some(all) => customerio_keys(reader, &all).map(Some),
        None => Some(None),
    }
}

pub(super) fn customerio_webhook(reader: &mut Reader<'_>) -> Option<CustomerioWebhook> {
    let what = "the signing keys of Customer.io (the reporting webhook's page, and Workspace Settings, API & webhook credentials)";
    let all = reader.secret(variable::CUSTOMERIO_SIGNING_KEYS, what)?;
    customerio_keys(reader, &all)
}

fn customerio_keys(reader: &mut Reader<'_>, all: &SecretString) -> Option<CustomerioWebhook> {
    let signing_keys = signing_secrets(reader, variable::CUSTOMERIO_SIGNING_KEYS, all, "copy it from Customer.io");
    let name = variable::CUSTOMERIO_MAX_SKEW;
    let max_skew = match reader.optional(name) {
        None => Some(None),
        Some(text) => match Span::parse(&text).filter(|span| *span > Span::ZERO) {
            Some(span) => Some(Some(span)),
            None => reader.problem(name, "cannot be read; it must be a whole number with s, m, h or d, such as 1h"),
        },
    };
    Some(CustomerioWebhook { signing_keys: signing_keys?, max_skew: max_skew? })
}

/// Secrets separated by commas.
fn signing_secrets(reader: &mut Reader<'_>, name: &str, all: &SecretString, what_to_do: &str) -> Option<Vec<SecretString>> {
    let secrets: Vec<SecretString> = all.expose_secret().split(',').map(|secret| SecretString::from(secret.trim())).collect();
    if secrets.iter().any(|secret| secret.expose_secret().len() < MIN_SIGNING_SECRET_BYTES) {
        return reader
            .problem(name, format!("holds a secret of fewer than {MIN_SIGNING_SECRET_BYTES} bytes, or an empty one; {what_to_do}"));
    }
    Some(secrets)
}

/// Either source may be left out; both left out: nothing sends webhooks.
pub(super) fn segment_webhook(reader: &mut Reader<'_>) -> Option<SegmentWebhook> {
    let mut secrets = |name| match reader.optional_secret(name)? {
        None => Some(Vec::new()),
        Some(all) => signing_secrets(reader, name, &all, "choose a longer one, and enter it in the webhook destination as well"),
    };
    let segment_secrets = secrets(variable::SEGMENT_SHARED_SECRET);
    let pipelines_secrets = secrets(variable::PIPELINES_SHARED_SECRET);
    // Who signed tells the source. Only what is in use now counts: the one before may have been the same.
    let in_use = |secrets: &Option<Vec<SecretString>>| secrets.as_ref()?.first().map(|secret| secret.expose_secret().to_owned());
    if let (Some(segment), Some(pipelines)) = (in_use(&segment_secrets), in_use(&pipelines_secrets))
        && segment == pipelines
    {
        let message = format!("holds the secret of {}; who signed could not be told: choose another", variable::SEGMENT_SHARED_SECRET);
        return reader.problem(variable::PIPELINES_SHARED_SECRET, message);
    }
    let name = variable::SEGMENT_BATCH_SIGNATURE;
    let first_of_batch = match reader.optional(name).as_deref() {
        None | Some("full") => Some(false),
        Some("first") => Some(true),
        Some(_) => reader.problem(name, "is not known; it must be full or first"),
    };
    Some(SegmentWebhook { segment_secrets: segment_secrets?, pipelines_secrets: pipelines_secrets?, first_of_batch: first_of_batch? })
}

pub(super) fn intercom_api(reader: &mut Reader<'_>) -> Option<IntercomApi> {
    let token = reader.secret(variable::INTERCOM_TOKEN, "an access token of the Intercom app");
    let url = url(reader, variable::INTERCOM_URL);
    let wanted = matches!(url, Some(None));
    let region = intercom_region(reader, wanted);
    let requests_per_10_secs = rate(reader, variable::INTERCOM_RATE, 1666.0);
    let copies = copies(reader);
    let admin_id = admin_id(reader);
    let create_attributes = reader.parsed(variable::INTERCOM_CREATE_ATTRIBUTES, false, "true or false");
    let name = variable::INTERCOM_IN_APP_TYPE;
    let in_app_message_type = match reader.optional(name) {
        None => Some("in_app".to_owned()),
        Some(word) if matches!(word.as_str(), "in_app" | "inapp") => Some(word),
        Some(_) => reader.problem(name, "is not known; it must be in_app or inapp"),
    };
    Some(IntercomApi {
        token: token?,
        region: region?,
        url: url?,
        requests_per_10_secs: requests_per_10_secs? / copies?,
        admin_id: admin_id?,
        create_attributes: create_attributes?,
        in_app_message_type: in_app_message_type?,
    })
}

/// The outer `None` is a problem, the inner an unset variable.
#[expect(clippy::option_option, reason = "unset and unreadable are different things")]
fn admin_id(reader: &mut Reader<'_>) -> Option<Option<String>> {
    let name = variable::INTERCOM_ADMIN_ID;
    match reader.optional(name) {
        None => Some(None),
        Some(id) if id.bytes().all(|byte| byte.is_ascii_digit()) => Some(Some(id)),
        Some(_) => reader.problem(name, "is not an id of a teammate; it must be digits (Settings, Teammates: the number in the address)"),
    }
}

pub(super) fn customerio_api(reader: &mut Reader<'_>) -> Option<CustomerioApi> {
    let site_id = reader.secret(variable::CUSTOMERIO_SITE_ID, "the site id (Settings, API credentials)");
    let api_key = reader.secret(variable::CUSTOMERIO_API_KEY, "the Track API key (Settings, API credentials)");
    let app_api_key = reader.optional_secret(variable::CUSTOMERIO_APP_API_KEY);
    let url_setting = url(reader, variable::CUSTOMERIO_URL);
    let app_url = url(reader, variable::CUSTOMERIO_APP_URL);
    let app_wanted = matches!(app_api_key, Some(Some(_))) && matches!(app_url, Some(None));
    let wanted = matches!(url_setting, Some(None)) || app_wanted;
    let region = customerio_region(reader, wanted);
    let requests_per_sec = rate(reader, variable::CUSTOMERIO_RATE, 100.0);
    let app_requests_per_sec = rate(reader, variable::CUSTOMERIO_APP_RATE, 10.0);
    let copies = copies(reader);
    Some(CustomerioApi {
        site_id: site_id?,
        api_key: api_key?,
        app_api_key: app_api_key?,
        region: region?,
        url: url_setting?,
        app_url: app_url?,
        requests_per_sec: requests_per_sec? / copies?,
        app_requests_per_sec: app_requests_per_sec? / copies?,
    })
}

/// As [`segment_api`], where it may be left out. The outer `None` is a problem, the inner a write key that is not set.
#[expect(clippy::option_option, reason = "unset and unreadable are different things")]
pub(super) fn optional_segment_api(reader: &mut Reader<'_>) -> Option<Option<SegmentApi>> {
    match reader.optional_secret(variable::SEGMENT_WRITE_KEY)? {
        Some(write_key) => segment_with(reader, Some(write_key)).map(Some),
        None => Some(None),
    }
}

pub(super) fn segment_api(reader: &mut Reader<'_>) -> Option<SegmentApi> {
    let write_key = reader.secret(variable::SEGMENT_WRITE_KEY, "the write key of an HTTP API source at Segment (Settings, API Keys)");
    segment_with(reader, write_key)
}

fn segment_with(reader: &mut Reader<'_>, write_key: Option<SecretString>) -> Option<SegmentApi> {
    let url = url(reader, variable::SEGMENT_URL);
    let region = segment_region(reader, matches!(url, Some(None)));
    let requests_per_sec = rate(reader, variable::SEGMENT_RATE, 500.0);
    let copies = copies(reader);
    Some(SegmentApi { write_key: write_key?, region: region?, url: url?, requests_per_sec: requests_per_sec? / copies? })
}

pub(super) fn tables(reader: &mut Reader<'_>) -> Option<TableNames> {
    let people = reader.required(variable::TABLE_PEOPLE, "the name of the people table");
    let aliases = reader.required(variable::TABLE_ALIASES, "the name of the aliases table");
    let history = reader.required(variable::TABLE_HISTORY, "the name of the history table");
    Some(TableNames { people: people?, aliases: aliases?, history: history? })
}

/// All queues; that of Segment may be missing.
pub(super) fn all_queues(reader: &mut Reader<'_>) -> Option<QueueUrls> {
    let must_be_there: Vec<_> = QueueName::ALL.into_iter().filter(|queue| *queue != QueueName::Segment).collect();
    let QueueUrls(mut urls) = queues(reader, &must_be_there)?;
    urls.extend(reader.optional(variable::QUEUE_SEGMENT).map(|url| (QueueName::Segment, url)));
    Some(QueueUrls(urls))
}

/// These queues must be there.
pub(super) fn queues(reader: &mut Reader<'_>, queues: &[QueueName]) -> Option<QueueUrls> {
    let urls: Vec<_> = queues
        .iter()
        .map(|queue| {
            let name = queue_variable(*queue);
            reader.required(name, "the URL of the queue").map(|url| (*queue, url))
        })
        .collect();
    urls.into_iter().collect()
}

/// The outer `None` is a problem, the inner an unset variable.
#[expect(clippy::option_option, reason = "unset and unreadable are different things")]
fn url(reader: &mut Reader<'_>, name: &str) -> Option<Option<String>> {
    match reader.optional(name) {
        None => Some(None),
        Some(url) if url.starts_with("https://") || url.starts_with("http://") => Some(Some(url.trim_end_matches('/').to_owned())),
        Some(_) => reader.problem(name, "is not a URL; it must start with https:// or http://"),
    }
}

/// As [`region`].
#[expect(clippy::option_option, reason = "unset and unreadable are different things")]
pub(super) fn intercom_region(reader: &mut Reader<'_>, wanted: bool) -> Option<Option<IntercomRegion>> {
    let known = [("us", IntercomRegion::Us), ("eu", IntercomRegion::Eu), ("au", IntercomRegion::Au)];
    region(reader, variable::INTERCOM_REGION, &known, wanted)
}

/// As [`region`].
#[expect(clippy::option_option, reason = "unset and unreadable are different things")]
pub(super) fn customerio_region(reader: &mut Reader<'_>, wanted: bool) -> Option<Option<CustomerioRegion>> {
    let known = [("us", CustomerioRegion::Us), ("eu", CustomerioRegion::Eu)];
    region(reader, variable::CUSTOMERIO_REGION, &known, wanted)
}

/// As [`region`].
#[expect(clippy::option_option, reason = "unset and unreadable are different things")]
pub(super) fn segment_region(reader: &mut Reader<'_>, wanted: bool) -> Option<Option<SegmentRegion>> {
    let known = [("us", SegmentRegion::Us), ("eu", SegmentRegion::Eu)];
    region(reader, variable::SEGMENT_REGION, &known, wanted)
}

/// A region is never guessed: the wrong one would send people's data to another continent.
#[expect(clippy::option_option, reason = "unset and unreadable are different things")]
fn region<T: Copy>(reader: &mut Reader<'_>, name: &str, known: &[(&str, T)], wanted: bool) -> Option<Option<T>> {
    let expected = || known.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    match reader.optional(name).map(|text| text.to_lowercase()) {
        None if wanted => reader.problem(name, format!("is not set; it must be one of {}", expected())),
        None => Some(None),
        Some(text) => match known.iter().find(|(word, _)| *word == text) {
            Some((_, region)) => Some(Some(*region)),
            None => reader.problem(name, format!("is not known; it must be one of {}", expected())),
        },
    }
}

fn rate(reader: &mut Reader<'_>, name: &str, default: f64) -> Option<f64> {
    match reader.parsed(name, default, "a number of requests")? {
        rate if rate.is_finite() && rate > 0.0 => Some(rate),
        _ => reader.problem(name, "must be greater than zero"),
    }
}

fn copies(reader: &mut Reader<'_>) -> Option<f64> {
    reader.parsed(variable::CONCURRENCY, NonZeroU32::MIN, "a whole number of copies, at least 1").map(|copies| f64::from(copies.get()))
}
