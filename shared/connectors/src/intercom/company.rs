//! Notifications about companies, and about people who belong to one.
//!
//! <https://developers.intercom.com/docs/references/webhooks/webhook-models>

use super::attributes::{side_by_side, text, time};
use super::normalize::{Unusable, read};
use super::people;
use super::topic::Life;
use super::webhooks::Notification;
use super::wire::{self, BesideContact};
use crate::cut::shortened;
use crate::lenient::Scalar;
use serde_json::value::RawValue;
use trefoil_domain::event::{Attributes, Company, Event, Kind, Source};
use trefoil_domain::time::Timestamp;

pub(super) fn companies(notification: &Notification<'_>, life: Life, item: &RawValue) -> Result<Event, Unusable> {
    let told_at = notification.time();
    let alone = |at: fn(&wire::Company<'_>) -> Option<Timestamp>, kind: fn(Company) -> Kind| {
        let told: wire::Company<'_> = read(item)?;
        let company = company(&told)?;
        Ok(Event {
            id: notification.event_id(&company.id, "", &[&company.id]),
            source: Source::Intercom,
            workspace: notification.workspace.clone(),
            occurred_at: at(&told).unwrap_or(told_at),
            received_at: notification.now,
            ids: Vec::new(),
            person: None,
            origin: None,
            kind: kind(company),
        })
    };
    // Nothing in either object tells when somebody joined.
    let of_somebody = |kind: fn(Company) -> Kind| {
        let beside: BesideContact<'_> = read(item)?;
        let company = company(&beside.company.0.unwrap_or_default())?;
        people::event(notification, &beside.contact.0.unwrap_or_default(), &company.id.clone(), told_at, kind(company))
    };
    match life {
        Life::Created => alone(|company| company.created_at.0.or(company.updated_at.0), Kind::CompanyUpdated),
        Life::Updated => alone(|company| company.updated_at.0.or(company.created_at.0), Kind::CompanyUpdated),
        Life::Deleted => alone(|_| None, Kind::CompanyDeleted),
        Life::Joined => of_somebody(Kind::CompanyJoined),
        Life::Left => of_somebody(Kind::CompanyLeft),
    }
}

/// A deleted company has nothing left but Intercom's own id.
fn company(told: &wire::Company<'_>) -> Result<Company, Unusable> {
    let own_id = told.id.get();
    let id = told.company_id.get().or(own_id).ok_or(Unusable("no_company_id"))?;
    Ok(Company { id: id.to_owned(), own_id: own_id.map(str::to_owned), attributes: attributes(told) })
}

fn attributes(told: &wire::Company<'_>) -> Attributes {
    let bare = |value: &Scalar| value.0.as_ref().map(shortened);
    let standard = [
        ("name", text(&told.name)),
        ("plan", text(&told.plan.name)),
        ("size", bare(&told.size)),
        ("website", text(&told.website)),
        ("industry", text(&told.industry)),
        ("monthly_spend", bare(&told.monthly_spend)),
        ("session_count", bare(&told.session_count)),
        ("user_count", bare(&told.user_count)),
        ("remote_created_at", time(told.remote_created_at.0)),
        ("created_at", time(told.created_at.0)),
    ];
    side_by_side(standard, &told.custom_attributes, &["id", "company_id"])
}
