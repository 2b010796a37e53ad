//! placeholder until merged
use crate::config::{Config, Trigger};
use crate::event::{Attributes, Event};
use crate::time::Timestamp;
use std::collections::BTreeMap;
pub struct Routes(Vec<CompiledRoute>);
pub struct CompiledRoute {
    on: Trigger,
    name: String,
}
pub enum Decision {
    Take(Vec<Rendered>),
    Skip(String),
}
pub struct Rendered {
    pub index: usize,
    pub name: String,
    pub properties: Attributes,
}
pub struct PersonView<'a> {
    pub id: &'a str,
    pub user_id: Option<&'a str>,
    pub email: Option<&'a str>,
    pub has_open_ticket: bool,
    pub open_ticket_count: u32,
    pub open_ticket_priority: Option<&'a str>,
    pub last_csat_score: Option<u8>,
    pub suppressed: BTreeMap<String, bool>,
}
pub struct TicketView<'a> {
    pub id: &'a str,
    pub priority: Option<&'a str>,
    pub category: Option<&'a str>,
    pub opened_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    pub resolution_time_hrs: Option<f64>,
    pub episode: u32,
}
pub struct Scope(Option<String>);
impl Scope {
    pub fn new(_e: &Event, _p: &PersonView<'_>, t: Option<&TicketView<'_>>, _n: Timestamp) -> Self {
        Self(t.map(|t| t.id.to_owned()))
    }
}
impl Routes {
    pub fn compile(c: &Config) -> Self {
        Self(c.routes.iter().map(|r| CompiledRoute { on: r.on, name: r.name.clone() }).collect())
    }
    pub fn on(&self, t: Trigger) -> impl Iterator<Item = &CompiledRoute> {
        self.0.iter().filter(move |r| r.on == t)
    }
}
impl CompiledRoute {
    pub fn name(&self) -> &str {
        &self.name
    }
    pub fn decide(&self, s: &Scope) -> Decision {
        Decision::Take(vec![Rendered {
            index: 0,
            name: self.name.clone(),
            properties: s.0.iter().map(|t| ("ticket_id".to_owned(), t.clone().into())).collect(),
        }])
    }
}
