//! What was asked for, in the words of the file: jobs, their actions and their routes.

use serde::Serialize;
use std::collections::BTreeSet;
use trefoil_domain::action::Action;
use trefoil_domain::job::{Job, LookUp, Work};
use trefoil_standins::journal::Recorded;

/// What a question about a campaign is called.
pub(crate) const CAMPAIGN_NAME: &str = "campaign_name";

pub(crate) fn job(body: &str) -> Option<Job> {
    serde_json::from_str(body).ok()
}

/// What a job's requests are made for.
pub(crate) fn actions(job: &Job) -> Vec<String> {
    match &job.work {
        Work::CustomerioFacet { .. } => vec!["support_facet".to_owned()],
        Work::SegmentFacet { .. } => vec!["support_traits".to_owned()],
        Work::Consent { .. } => vec!["consent".to_owned()],
        Work::Customerio(actions) => verbs(actions),
        // Told by the address that is asked.
        Work::CustomerioLookUp(_) => Vec::new(),
        Work::Intercom(actions) => verbs(actions),
        Work::IntercomLookUp(question) => vec![look_up(question).to_owned()],
        Work::Segment(actions) => verbs(actions),
    }
}

/// As they stand in the file, without the destination.
fn verbs<V: Serialize>(actions: &[Action<V>]) -> Vec<String> {
    let verb = |action: &Action<V>| Some(serde_json::to_value(&action.what).ok()?.get("verb")?.as_str()?.to_owned());
    actions.iter().filter_map(verb).collect()
}

/// The routes that asked for it, or what it is.
pub(crate) fn routes(job: &Job) -> Vec<String> {
    match &job.work {
        // As the plan calls it.
        Work::CustomerioFacet { .. } => vec!["support facet".to_owned()],
        Work::SegmentFacet { .. } => vec!["support traits".to_owned()],
        Work::Consent { .. } => vec!["consent".to_owned()],
        Work::Customerio(actions) => asking(actions),
        Work::Intercom(actions) => asking(actions),
        Work::Segment(actions) => asking(actions),
        Work::CustomerioLookUp(_) => vec![CAMPAIGN_NAME.to_owned()],
        Work::IntercomLookUp(question) => vec![look_up(question).to_owned()],
    }
}

fn asking<V>(actions: &[Action<V>]) -> Vec<String> {
    actions.iter().map(|action| action.route.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

pub(crate) fn look_up(question: &LookUp) -> &'static str {
    match question {
        LookUp::Contact { .. } => "look_up_contact",
        LookUp::Conversation { .. } => "re_read_conversation",
    }
}

/// The App API finds profiles, and names campaigns.
pub(crate) fn asked_of_app(recorded: &Recorded) -> Option<&'static str> {
    let path = recorded.path.strip_prefix("/v1/")?;
    Some(if path.starts_with("customers") { "find_profile" } else { CAMPAIGN_NAME })
}
