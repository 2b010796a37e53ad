//! Companies and their members. (notes 2.9)
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/companies>

use super::asked::{Asked, Object, invalid, missing};
use super::call::{Answered, Call, Refusal, ok};
use super::{attributes, contacts};
use crate::intercom::shapes;
use crate::intercom::world::{Company, Contact, Model, NotInWorld};
use serde_json::{Value, json};

/// "Max 1000 per contact (400 since February 2026)."
const MAX_PER_CONTACT: usize = 1000;

/// Upsert by `company_id`.
pub(super) fn upsert(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let company_id = object.needed("company_id")?;
    let text = |name: &str| object.text(name).map(|text| text.map(str::to_owned));
    let (name, plan, website, industry) = (text("name")?, text("plan")?, text("website")?, text("industry")?);
    let size = object.integer("size")?;
    let monthly_spend = spend(&object)?;
    let remote_created_at = contacts::seconds(&object, "remote_created_at")?;
    let values = attributes::checked(call, Model::Company, &object.inner_or_empty("custom_attributes")?)?;
    let now_ms = call.now_ms();
    let (company, made) = call.world().upsert_company(company_id, now_ms, |company| {
        company.name = name.or(company.name.take());
        company.plan = plan.or(company.plan.take());
        company.website = website.or(company.website.take());
        company.industry = industry.or(company.industry.take());
        company.size = size.or(company.size);
        company.monthly_spend = monthly_spend.unwrap_or(company.monthly_spend);
        company.remote_created_at = remote_created_at.or(company.remote_created_at);
        attributes::apply(&mut company.custom_attributes, values);
    });
    call.tell(|shared, world| {
        let item = shapes::company(world, &company, &shared.options.app_id, shared.webhook_form(None));
        shared.notify(world, if made { "company.created" } else { "company.updated" }, &item)
    });
    show(call, &company)
}

/// "Integer, floats truncated, < 2^31."
fn spend(object: &Object) -> Result<Option<i64>, Refusal> {
    let given = match object.raw("monthly_spend") {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_f64().map(f64::trunc),
    };
    match given {
        #[allow(clippy::cast_possible_truncation, reason = "it is below 2^31")]
        Some(amount) if amount.abs() < 2_147_483_648.0 => Ok(Some(amount as i64)),
        Some(_) | None => Err(invalid("monthly_spend must be an integer below 2^31")),
    }
}

/// "A company is invisible until a contact is attached."
fn visible(call: &Call<'_>, company: Option<&Company>) -> Result<Company, Refusal> {
    let seen = company.filter(|company| !call.inside.world.members(&company.id).is_empty());
    seen.cloned().ok_or_else(|| NotInWorld { what: "company", id: String::new() }.into())
}

pub(super) fn read(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let company = visible(call, call.inside.world.company(asked.named("id")).ok())?;
    show(call, &company)
}

/// `GET /companies?company_id=`.
pub(super) fn find(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let company_id = asked.parameter("company_id").ok_or_else(|| missing("company_id"))?;
    let company = visible(call, call.inside.world.companies().find(|company| company.company_id == company_id))?;
    show(call, &company)
}

/// By Intercom's id of the company.
pub(super) fn attach(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let before = call.contact(asked.named("id"))?;
    let given = object.text("id")?;
    let id = given.ok_or_else(|| Refusal::new(400, "parameter_not_found", "company not specified"))?;
    let company = call.inside.world.company(id)?.clone();
    if !before.companies.contains(&company.id) {
        if before.companies.len() >= MAX_PER_CONTACT {
            let message = "Contact has reached the maximum of 1000 company associations";
            return Err(Refusal::new(400, "contact_company_limit_exceeded", message));
        }
        membership(call, &before, &company, true)?;
    }
    show(call, &company)
}

pub(super) fn detach(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let before = call.contact(asked.named("id"))?;
    let company = call.inside.world.company(asked.named("company_id"))?.clone();
    if !before.companies.contains(&company.id) {
        return Err(NotInWorld { what: "company", id: company.id }.into());
    }
    membership(call, &before, &company, false)?;
    show(call, &company)
}

fn membership(call: &mut Call<'_>, contact: &Contact, company: &Company, attached: bool) -> Result<(), Refusal> {
    let now_ms = call.now_ms();
    let contact = call.world().edit_contact(&contact.id, now_ms, |contact| {
        contact.companies.retain(|known| *known != company.id);
        if attached {
            contact.companies.push(company.id.clone());
        }
    })?;
    call.tell(|shared, world| {
        let item = json!({"company": shapes::company(world, company, &shared.options.app_id, shared.webhook_form(None)),
                          "contact": shared.contact_item(world, &contact)});
        shared.notify(world, if attached { "company.contact.attached" } else { "company.contact.detached" }, &item)
    });
    Ok(())
}

fn show(call: &Call<'_>, company: &Company) -> Answered {
    ok(&shapes::company(&call.inside.world, company, &call.shared.options.app_id, call.form()))
}
