//! What campaigns, broadcasts, newsletters and transactional messages are called, through the App API, one by one.
//!
//! A refusal says nothing about the API as a whole: what is asked for may have been deleted, and keys may be made for some of
//! the data alone. So it must not keep profiles from being looked for.
//! <https://docs.customer.io/integrations/api/app>

use super::client::{CustomerioClient, No};
use super::outcome::Verdict;
use reqwest::Method;
use serde_json::Value;
use trefoil_domain::event::{Parent, ParentKind};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::Clock;
use trefoil_domain::time::Span;

/// Characters that are kept. The vendor allows 190, of newsletters at least.
const LONGEST_NAME: usize = 200;

/// Where it is found, and under which key the answer has it.
fn place(kind: ParentKind) -> (&'static str, &'static str) {
    match kind {
        ParentKind::Campaign => ("campaigns", "campaign"),
        ParentKind::Broadcast => ("broadcasts", "broadcast"),
        ParentKind::Newsletter => ("newsletters", "newsletter"),
        ParentKind::Transactional => ("transactional", "message"),
    }
}

impl<C: Clock> CustomerioClient<C> {
    pub(super) async fn name_of(&self, campaign: &Parent) -> Result<Option<String>, Outcome> {
        let Some(app) = &self.app else { return Err(Outcome::skipped("no_app_api_key")) };
        let (path, key) = place(campaign.kind);
        let call = app.call(Method::GET, &["v1", path, &campaign.id], None);
        let answer = match app.ask_beside(&call, self.clock.now()).await {
            Ok(answer) => answer,
            // Deleted, or an id that cannot be one.
            Err(No::Success(Verdict::Invalid, ..)) => return Ok(None),
            Err(No::Success(Verdict::KeyRefused, _, answer)) if matches!(answer.status, 404 | 410) => return Ok(None),
            Err(No::Success(Verdict::KeyRefused, ..)) => return Err(Outcome::skipped("destination_refused_key")),
            Err(no) => return Err(no.outcome()),
        };
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let item = body.get(key).and_then(Value::as_object).ok_or_else(|| Outcome::retry(Span::ZERO, "unreadable_answer"))?;
        let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
        let name: String = name.trim().chars().take(LONGEST_NAME).collect();
        Ok((!name.is_empty()).then_some(name))
    }
}
