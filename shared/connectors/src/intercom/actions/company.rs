//! Companies. <https://developers.intercom.com/docs/references/rest-api/api.intercom.io/companies>

use super::values::Writing;
use crate::intercom::request::Request;
use serde_json::{Map, Value, json};
use trefoil_domain::action::UpsertCompany;

/// By the customer's own id, which can never change.
pub(super) fn upsert(company: &UpsertCompany, attributes: &Map<String, Value>) -> (Request, Vec<String>) {
    let mut body = Writing::default();
    body.text("company_id", Some(&company.company_id));
    body.text("name", company.name.as_deref());
    body.text("plan", company.plan.as_deref());
    body.whole("size", company.size.as_ref());
    body.text("website", company.website.as_deref());
    body.text("industry", company.industry.as_deref());
    body.whole("monthly_spend", company.monthly_spend.as_ref());
    body.time("remote_created_at", company.remote_created_at.as_ref());
    body.attributes(attributes);
    let (body, notes) = body.finish();
    (Request::post(&["companies"], body), notes)
}

/// Until then nobody sees the company. By Intercom's own id of it.
pub(super) fn attach(contact: &str, company: &str) -> Request {
    Request::post(&["contacts", contact, "companies"], json!({"id": company}))
}
