//! The client: one place where a call is made and its answer judged, for questions and for writes.
//!
//! <https://developers.intercom.com/docs/references/rest-api/api.intercom.io>

use super::actions::Known;
use super::outcome::Verdict;
use super::request::Request;
use crate::door::{Door, NoAnswer};
use crate::http::{self, Answer, Call, Http};
use crate::lenient::Object;
use crate::limit::{Limiter, Share};
use reqwest::Url;
use reqwest::header::{HeaderValue, LINK};
use secrecy::SecretString;
use serde::Deserialize;
use std::fmt;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::time::{Span, Timestamp};

/// Always sent: otherwise the setting of the app decides, which somebody may change.
const VERSION: (&str, &str) = ("intercom-version", "2.17");

/// What the limit is counted over.
const WINDOW: Span = Span::from_secs(10);

/// Where the workspace lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    Us,
    Eu,
    Au,
}

impl Region {
    /// Base address of the REST API.
    pub fn url(self) -> &'static str {
        match self {
            Self::Us => "https://api.intercom.io",
            Self::Eu => "https://api.eu.intercom.io",
            Self::Au => "https://api.au.intercom.io",
        }
    }
}

#[derive(Clone, Debug)]
pub struct IntercomSettings {
    pub region: Region,
    /// Instead of the region's, for stand-ins.
    pub url: Option<String>,
    pub access_token: SecretString,
    /// The vendor's limit for the app, which nobody else uses: 10,000 a minute for a private one, counted in windows of ten
    /// seconds. The answers' headers correct it.
    pub per_second: f64,
    /// Processes that share this limit.
    pub copies: u32,
    /// Id of the teammate in whose name notes, assignments and messages are written. Without it there are none.
    pub admin_id: Option<String>,
    /// Makes custom attributes that Intercom does not have yet. Else they are left out.
    pub create_attributes: bool,
    /// What Intercom calls a message in the product: its description says `in_app`, its own examples say `inapp`.
    pub in_app_message_type: String,
}

impl IntercomSettings {
    pub fn new(region: Region, access_token: SecretString) -> Self {
        Self {
            region,
            url: None,
            access_token,
            per_second: 166.6,
            copies: 1,
            admin_id: None,
            create_attributes: false,
            in_app_message_type: "in_app".to_owned(),
        }
    }
}

/// A setting cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    setting: &'static str,
    problem: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the Intercom setting {} {}", self.setting, self.problem)
    }
}

impl std::error::Error for SettingsError {}

pub struct IntercomClient {
    base: Url,
    authorization: HeaderValue,
    pub(super) door: Door,
    pub(super) admin_id: Option<String>,
    pub(super) create_attributes: bool,
    pub(super) in_app_message_type: String,
    pub(super) known: Known,
}

impl fmt::Debug for IntercomClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntercomClient").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl IntercomClient {
    /// # Errors
    /// The address or the token cannot be used.
    pub fn new(settings: &IntercomSettings, http: &Http) -> Result<Self, SettingsError> {
        let base = http::base_url(settings.url.as_deref().unwrap_or(settings.region.url()))
            .map_err(|problem| SettingsError { setting: "url", problem })?;
        let authorization = http::bearer(&settings.access_token)
            .map_err(|_| SettingsError { setting: "access_token", problem: "has characters that no header can carry".to_owned() })?;
        let door = Door::new(http.clone(), Limiter::new(settings.per_second, settings.copies, Share::OURS_ALONE));
        let admin_id = settings.admin_id.as_deref().map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned);
        Ok(Self {
            base,
            authorization,
            door,
            admin_id,
            create_attributes: settings.create_attributes,
            in_app_message_type: settings.in_app_message_type.clone(),
            known: Known::default(),
        })
    }

    /// Makes the call, and tells the limit and the breaker what came of it.
    ///
    /// # Errors
    /// There is no answer.
    pub(super) async fn ask(&self, request: &Request, now: Timestamp) -> Result<Answered, NoAnswer> {
        let segments: Vec<&str> = request.path.iter().map(String::as_str).collect();
        // These would name another place, which a URL leaves out or goes back from.
        if segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            return Err(NoAnswer::of(Outcome::rejected("unusable_id", "an id is empty or made of dots")));
        }
        let mut url = http::at(&self.base, &segments);
        if let Some((name, value)) = request.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        let call = Call {
            method: request.method.clone(),
            url,
            authorization: self.authorization.clone(),
            headers: vec![VERSION],
            body: request.body.as_ref().map(|body| body.to_string().into()),
            repeatable: request.repeatable,
            most_answer_bytes: request.most_answer_bytes,
        };
        let answer = self.door.send(&call, now).await?;
        let verdict = Verdict::of(answer.status);
        self.door.judged(verdict.health(request.asks), now);
        let number = |name| answer.header(name).and_then(|text| text.trim().parse::<u32>().ok());
        let reset = number("x-ratelimit-reset").map(|secs| Timestamp::from_secs(secs.into()));
        if let (Some(limit), Some(remaining), Some(reset)) = (number("x-ratelimit-limit"), number("x-ratelimit-remaining"), reset) {
            self.door.observe(limit.into(), remaining.into(), reset.min(now.plus(WINDOW)), now);
        }
        // Their clock may not be ours.
        let until_reset = reset.map(|reset| reset.since(now).min(WINDOW)).filter(|wait| *wait > Span::ZERO);
        let wait = match verdict {
            Verdict::TooMany => until_reset.or(answer.retry_after(now)),
            Verdict::Busy => answer.retry_after(now),
            Verdict::Answered
            | Verdict::NotFound
            | Verdict::Conflict
            | Verdict::Merged
            | Verdict::Refused
            | Verdict::Forbidden
            | Verdict::KeyRefused
            | Verdict::Redirected => None,
        };
        if let Some(wait) = wait {
            self.door.hold(wait, now);
        }
        Ok(Answered { verdict, wait, answer })
    }

    /// An answer that is to be read, or that says that there is nothing, or nothing there any more.
    ///
    /// # Errors
    /// What becomes of the question instead.
    pub(super) async fn question(&self, request: &Request, now: Timestamp) -> Result<(Verdict, Answer), Outcome> {
        let answered = self.ask(request, now).await.map_err(|no| no.outcome)?;
        match answered.verdict.outcome(answered.answer.status, answered.wait) {
            Some(outcome) => Err(outcome),
            None => Ok((answered.verdict, answered.answer)),
        }
    }
}

/// An answer, whatever it says.
pub(super) struct Answered {
    pub(super) verdict: Verdict,
    /// What Intercom asks to be spared of calls for, by a 429 or a failure.
    pub(super) wait: Option<Span>,
    pub(super) answer: Answer,
}

pub(super) fn read<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, Outcome> {
    serde_json::from_slice::<Object<T>>(&answer.body).ok().and_then(|object| object.0).ok_or_else(unreadable)
}

pub(super) fn unreadable() -> Outcome {
    Outcome::retry(Span::ZERO, "unreadable_answer")
}

/// The contact that `Link: </contacts/{id}>; rel="canonical"` points to. Only the id is taken: where it is asked for is
/// ours to say.
pub(super) fn canonical_contact(answer: &Answer) -> Option<String> {
    let links = answer.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    links.filter_map(canonical_id).next()
}

fn canonical_id(link: &str) -> Option<String> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_canonical = parameters.split(';').any(|p| p.trim().replace('"', "").eq_ignore_ascii_case("rel=canonical"));
    let (before, id) = target.trim_end_matches('/').rsplit_once('/')?;
    let is_id = !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (is_canonical && before.ends_with("/contacts") && is_id).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_canonical_link_to_a_contact_is_followed() {
        for (link, expected) in [
            ("</contacts/5ba682d23d7cf92bef87bfd4>; rel=\"canonical\"", Some("5ba682d23d7cf92bef87bfd4")),
            ("<https://api.intercom.io/contacts/5ba6>; rel=canonical", Some("5ba6")),
            ("</contacts/5ba6>; rel=\"next\"", None),
            ("</contacts/>; rel=\"canonical\"", None),
            ("</admins/5ba6>; rel=\"canonical\"", None),
            ("</contacts/..>; rel=\"canonical\"", None),
            ("</contacts/a?b>; rel=\"canonical\"", None),
            ("", None),
        ] {
            assert_eq!(canonical_id(link).as_deref(), expected, "{link}");
        }
    }
}
