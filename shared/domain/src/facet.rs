//! The support facet: what a destination is told about a person's tickets, as absolute values.
//!
//! A pure function of the person, the configuration and the time. Only its change is worth a call.

use crate::config::{Config, WindowTrigger};
use crate::event::Attributes;
use crate::id::Digest;
use crate::person::Person;
use crate::tickets::{HandledBy, Priority, Status, Ticket};
use crate::time::{Span, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
pub struct Facet {
    pub attributes: Attributes,
    /// Names these values: equal hashes, equal facets.
    pub hash: String,
}

/// What the tickets come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub open: u32,
    pub hottest: Option<Priority>,
    /// Who has taken part in any of the open tickets: a human before an AI before nobody.
    pub with: Option<HandledBy>,
    /// Of the oldest open ticket or, when none is open, of the latest one.
    pub opened_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    pub opened_lately: u32,
    /// Windows with their ends, whether past or not.
    pub windows: BTreeMap<String, Timestamp>,
    /// There is something to say about this person.
    speaks: bool,
    overflow: bool,
}

const LATELY: Span = Span::from_days(30);

impl Summary {
    pub fn of(person: &Person, config: &Config, now: Timestamp) -> Self {
        let mut summary = Self {
            windows: person.windows.clone(),
            overflow: person.overflow,
            speaks: person.overflow || person.csat.is_some() || person.facet.version > 0 || person.forgotten_resolved_at.is_some(),
            resolved_at: person.forgotten_resolved_at,
            ..Self::default()
        };
        let mut oldest_open = None;
        let mut latest = person.forgotten_opened_at;
        for ticket in person.tickets.values() {
            add_windows(&mut summary.windows, ticket, config);
            match ticket.status(&config.tickets.count) {
                Status::Unknown | Status::Gone => continue,
                Status::Open => {
                    summary.open += 1;
                    summary.hottest = summary.hottest.max(ticket.priority());
                    summary.with = summary.with.max(Some(ticket.handled_by()));
                    oldest_open = match (oldest_open, ticket.opened_at()) {
                        (Some(a), Some(b)) => Some(std::cmp::min::<Timestamp>(a, b)),
                        (a, b) => a.or(b),
                    };
                }
                Status::Closed { at } => summary.resolved_at = summary.resolved_at.max(Some(at)),
            }
            summary.speaks = true;
            latest = latest.max(ticket.opened_at());
            if ticket.opened_at().is_some_and(|at| at > now.minus(LATELY)) {
                summary.opened_lately += 1;
            }
        }
        summary.opened_at = oldest_open.or(latest);
        summary.speaks |= !summary.windows.is_empty();
        summary
    }

    pub fn has_open_ticket(&self) -> bool {
        self.open > 0 || self.overflow
    }
}

/// The windows that a ticket's own conditions have opened.
pub fn add_windows(windows: &mut BTreeMap<String, Timestamp>, ticket: &Ticket, config: &Config) {
    if !ticket.counts(&config.tickets.count) {
        return;
    }
    for rule in &config.suppress {
        let WindowTrigger::Priority(_) = &rule.opens_on else { continue };
        if let Some(since) = ticket.window_since().get(&rule.name) {
            let until = since.plus(rule.lasts);
            let end = windows.entry(rule.name.clone()).or_insert(until);
            *end = until.max(*end);
        }
    }
}

/// `None` as long as there is nothing to say: a person without any history with support gets no attributes.
pub fn render(person: &Person, config: &Config, now: Timestamp) -> Option<Facet> {
    let summary = Summary::of(person, config, now);
    summary.speaks.then(|| render_summary(&summary, person, config))
}

fn render_summary(summary: &Summary, person: &Person, config: &Config) -> Facet {
    let names = &config.customerio.attributes;
    let mut attributes = Attributes::new();
    let mut put = |name: &str, value: Value| {
        attributes.insert(name.to_owned(), value);
    };
    put(&names.has_open_ticket, summary.has_open_ticket().into());
    put(&names.open_ticket_count, summary.open.into());
    // Explicit values instead of removals: how Customer.io removes a person's attribute is not documented.
    put(&names.open_ticket_priority, summary.hottest.map_or("none", |p| p.as_str()).into());
    put(&names.open_ticket_with, summary.with.unwrap_or(HandledBy::Nobody).as_str().into());
    put(&names.tickets_opened_30d, summary.opened_lately.into());
    if let Some(at) = summary.opened_at {
        put(&names.support_ticket_opened_at, at.secs().into());
    }
    if let Some(at) = summary.resolved_at {
        put(&names.support_ticket_resolved_at, at.secs().into());
    }
    if let Some(csat) = &person.csat {
        put(&names.last_csat_score, csat.score.into());
        put(&names.last_csat_at, csat.at.secs().into());
    }
    for (name, until) in &summary.windows {
        put(&format!("suppress_{name}_until"), until.secs().into());
    }
    let mut digest = Digest::new("facet");
    for (name, value) in &attributes {
        digest = digest.with(name).with(&value.to_string());
    }
    Facet { hash: digest.hex(), attributes }
}

/// When the facet next changes by the passing of time alone: a ticket leaves the count of the last 30 days.
pub fn next_change(person: &Person, config: &Config, now: Timestamp) -> Option<Timestamp> {
    person
        .tickets
        .values()
        .filter(|t| matches!(t.status(&config.tickets.count), Status::Open | Status::Closed { .. }))
        .filter_map(Ticket::opened_at)
        .map(|at| at.plus(LATELY))
        .filter(|due| *due > now)
        .min()
}
