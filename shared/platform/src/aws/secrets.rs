//! Secrets that live in Secrets Manager.
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>

use super::{Aws, failure};
use crate::settings::{Environment, MIN_SIGNING_SECRET_BYTES, variable};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use futures::future::join_all;
use secrecy::{ExposeSecret, SecretString};

impl Aws {
    /// Reads the secrets that the environment refers to, all at once, and puts them in. What cannot be read is told
    /// with the other problems when the settings are read.
    pub async fn resolve_secrets(&self, environment: &mut Environment) {
        let wanted = environment.stored_secrets();
        if wanted.is_empty() {
            return;
        }
        let client = self.secrets();
        let read = wanted.iter().map(async |(variable, id)| match variable::SIGNING.contains(variable) {
            true => current_and_previous(&client, id).await,
            false => current(&client, id).await,
        });
        let values = join_all(read).await;
        for ((variable, _), value) in wanted.into_iter().zip(values) {
            environment.put_secret(variable, value);
        }
    }
}

async fn current(client: &Client, id: &str) -> Result<SecretString, String> {
    match version(client, id, "AWSCURRENT").await? {
        Some(value) => Ok(value),
        None => Err("there is no secret of that name, or it has no value yet".to_owned()),
    }
}

/// While a signing secret is being changed, webhooks arrive signed with either.
async fn current_and_previous(client: &Client, id: &str) -> Result<SecretString, String> {
    let (current, previous) = futures::join!(current(client, id), version(client, id, "AWSPREVIOUS"));
    let current = current?;
    // A place-holder from before the first real value is no reason not to start, and no key.
    match previous? {
        Some(previous) if previous.expose_secret().split(',').all(|key| key.trim().len() >= MIN_SIGNING_SECRET_BYTES) => {
            Ok(format!("{},{}", current.expose_secret(), previous.expose_secret()).into())
        }
        Some(_) | None => Ok(current),
    }
}

/// `None`: there is no such version.
async fn version(client: &Client, id: &str, stage: &str) -> Result<Option<SecretString>, String> {
    match client.get_secret_value().secret_id(id).version_stage(stage).send().await {
        Ok(found) => match found.secret_string {
            Some(value) => Ok(Some(value.into())),
            None => Err("it is binary, not text".to_owned()),
        },
        Err(error) => match error.as_service_error() {
            Some(GetSecretValueError::ResourceNotFoundException(_)) => Ok(None),
            _ => Err(failure(&error)),
        },
    }
}
