//! Companies and who belongs to them.
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/companies>

use super::{NotInWorld, World};
use serde_json::{Map, Value};

#[derive(Clone, Debug, PartialEq)]
pub struct Company {
    /// Intercom's: 24 hex digits.
    pub id: String,
    /// The customer's own; it never changes.
    pub company_id: String,
    pub name: Option<String>,
    pub plan: Option<String>,
    pub size: Option<i64>,
    pub website: Option<String>,
    pub industry: Option<String>,
    pub monthly_spend: i64,
    /// Unix seconds.
    pub remote_created_at: Option<i64>,
    pub custom_attributes: Map<String, Value>,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// Unix milliseconds.
    pub updated_at_ms: i64,
}

impl World {
    pub(crate) fn company(&self, id: &str) -> Result<&Company, NotInWorld> {
        self.companies.get(id).ok_or_else(|| NotInWorld { what: "company", id: id.to_owned() })
    }

    pub(crate) fn companies(&self) -> impl Iterator<Item = &Company> {
        self.companies.values()
    }

    /// The company with the customer's own id, made if it is not there, after `change`; and whether it was made.
    pub(crate) fn upsert_company(&mut self, company_id: &str, now_ms: i64, change: impl FnOnce(&mut Company)) -> (Company, bool) {
        let known = self.companies.values().find(|company| company.company_id == company_id).cloned();
        let made = known.is_none();
        let mut company = known.unwrap_or_else(|| Company {
            id: self.next_object(now_ms),
            company_id: company_id.to_owned(),
            name: None,
            plan: None,
            size: None,
            website: None,
            industry: None,
            monthly_spend: 0,
            remote_created_at: None,
            custom_attributes: Map::new(),
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
        });
        change(&mut company);
        company.updated_at_ms = now_ms;
        self.companies.insert(company.id.clone(), company.clone());
        (company, made)
    }

    /// Ids of the contacts that belong to it.
    pub(crate) fn members(&self, id: &str) -> Vec<String> {
        let belongs = |contact: &&super::Contact| contact.companies.iter().any(|company| company == id);
        self.contacts.values().filter(|contact| contact.life == super::Life::Active).filter(belongs).map(|c| c.id.clone()).collect()
    }
}
