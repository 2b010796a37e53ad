//! The ports on AWS. Clients are built by hand from the settings: reading AWS's own configuration files and asking its
//! metadata services costs start-up time and finds nothing in a function.
//!
//! Errors say which operation failed and how AWS called it, and never name a key or a body.

mod dynamo;
mod secrets;
mod sqs;

pub use dynamo::{DUE_INDEX, DynamoStore};
pub use sqs::SqsQueue;

use crate::settings::AwsSettings;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sqs::config::{BehaviorVersion, Region};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::request_id::RequestId;
use secrecy::ExposeSecret;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a function spends at most on opening a connection before its first event.
const WARM_LIMIT: Duration = Duration::from_millis(300);

/// How much longer than AWS an emulator may take to answer: it shares this machine with everything else that runs here.
const PATIENCE_WITH_EMULATOR: u32 = 60;

/// Makes the clients. They share one pool of connections and one set of trusted certificates, loaded when the first
/// connection is opened.
#[derive(Clone, Debug)]
pub struct Aws {
    config: SdkConfig,
    /// All limits of time are multiplied by it.
    patience: u32,
}

impl Aws {
    pub fn new(settings: &AwsSettings) -> Self {
        let session_token = settings.session_token.as_ref().map(|token| token.expose_secret().to_owned());
        let credentials = Credentials::from_keys(settings.access_key_id.clone(), settings.secret_access_key.expose_secret(), session_token);
        let plain = settings.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(settings.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http_client(plain))
            // The SDK's first pause of up to a second would use up the time there is.
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(50)));
        config.set_endpoint_url(settings.endpoint.clone());
        // AWS itself is never spoken to in the clear.
        Self { config: config.build(), patience: if plain { PATIENCE_WITH_EMULATOR } else { 1 } }
    }

    /// A webhook's sender waits only a few seconds for what this client does.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        let timeouts = self.timeouts(800, 2200);
        aws_sdk_sqs::Client::from_conf(aws_sdk_sqs::config::Builder::from(&self.config).timeout_config(timeouts).build())
    }

    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let timeouts = self.timeouts(600, 2500);
        aws_sdk_dynamodb::Client::from_conf(aws_sdk_dynamodb::config::Builder::from(&self.config).timeout_config(timeouts).build())
    }

    fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        let timeouts = self.timeouts(1500, 4000);
        let config = aws_sdk_secretsmanager::config::Builder::from(&self.config).timeout_config(timeouts).build();
        aws_sdk_secretsmanager::Client::from_conf(config)
    }

    /// The SDK has no limits of its own: one connection into a black hole would eat all the time there is.
    fn timeouts(&self, attempt_ms: u64, operation_ms: u64) -> TimeoutConfig {
        let limit = |ms| Duration::from_millis(ms) * self.patience;
        TimeoutConfig::builder()
            // The same for all clients: connections are pooled by this value.
            .connect_timeout(limit(500))
            .operation_attempt_timeout(limit(attempt_ms))
            .operation_timeout(limit(operation_ms))
            .build()
    }
}

fn http_client(plain: bool) -> SharedHttpClient {
    let builder = aws_smithy_http_client::Builder::new();
    let client = if plain { builder.build_http() } else { builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https() };
    SharedHttpClient::new(Lazy(client))
}

/// Keeps the SDK from loading the system's certificates once for each client it builds, on top of the once that is
/// needed: that takes milliseconds each time.
#[derive(Debug)]
struct Lazy(SharedHttpClient);

impl HttpClient for Lazy {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

/// How AWS called a failure. Its message is left out where it could quote a key.
pub(crate) fn failure<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> String {
    match error {
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "no connection in time".to_owned(),
        SdkError::DispatchFailure(_) => "no connection".to_owned(),
        SdkError::ConstructionFailure(_) => "the request could not be built".to_owned(),
        SdkError::ResponseError(_) => "the answer could not be read".to_owned(),
        SdkError::ServiceError(refused) => {
            let code = refused.err().code().unwrap_or("unknown error");
            let detail = match code {
                // These speak of roles, tables and queues only, and nobody can mend them without.
                "AccessDeniedException" | "AccessDenied" | "ResourceNotFoundException" | "QueueDoesNotExist" => refused.err().message(),
                _ => None,
            };
            let request = refused.raw().request_id().unwrap_or("unknown");
            let status = refused.raw().status().as_u16();
            match detail {
                Some(detail) => format!("{code} (status {status}, request {request}): {detail}"),
                None => format!("{code} (status {status}, request {request})"),
            }
        }
        _ => "unknown failure".to_owned(),
    }
}

/// Counts calls by operation, so that tests can hold the cost of an event down. Retries inside the SDK are not seen.
#[derive(Debug, Default)]
struct Calls(Mutex<BTreeMap<&'static str, u64>>);

impl Calls {
    fn count(&self, operation: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(operation).or_default() += 1;
    }

    fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Pause before the `n`th repetition of a call that was answered only in part.
async fn pause(n: u32) {
    let most = Duration::from_millis(25) * 2_u32.pow(n.min(5));
    tokio::time::sleep(most.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
}
