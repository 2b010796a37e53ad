//! What was written to the tools, from the stand-ins' journals.

use crate::life::{LIST, Life, TOPIC};
use crate::oracle::{Switch, Tool};
use crate::road::Tools;
use serde_json::Value;
use std::collections::BTreeMap;
use trefoil_standins::journal::Recorded;

pub(crate) struct Write {
    pub(crate) at: i64,
    pub(crate) tool: Tool,
    pub(crate) line: String,
}

/// Takes what has been written since the last time, in order.
pub(crate) fn take(tools: &Tools, life: &mut Life, into: &mut Vec<Write>) {
    for (tool, journal) in [
        (Tool::Intercom, tools.intercom.journal()),
        (Tool::Customerio, tools.customerio.journal()),
        (Tool::Segment, tools.segment.journal()),
    ] {
        let requests = journal.requests();
        journal.clear();
        for request in requests.iter().filter(|request| !asks(request)) {
            let at = request.at_ms.div_euclid(1000);
            keeps_out(tool, request, life, tools).into_iter().for_each(|(human, switch)| life.people[human].wishes.evident(switch, at));
            let line = format!(
                "{} {} {} {:?} {}",
                request.at_ms,
                request.method,
                request.path,
                request.status,
                String::from_utf8_lossy(&request.body)
            );
            into.push(Write { at, tool, line });
        }
    }
}

fn asks(request: &Recorded) -> bool {
    request.method == "GET" || request.path.ends_with("/search") || request.path.starts_with("/v1/customers")
}

/// Whom a write keeps out of what.
fn keeps_out(tool: Tool, request: &Recorded, life: &Life, tools: &Tools) -> Vec<(usize, Switch)> {
    let body = request.json().unwrap_or_default();
    let whose = |is_theirs: &dyn Fn(&crate::life::Human) -> bool| life.people.iter().position(is_theirs);
    let mut all = Vec::new();
    match tool {
        Tool::Intercom => {
            let parts: Vec<&str> = request.path.split('/').collect();
            let Some(human) = parts.get(2).and_then(|id| whose(&|human| human.contacts.iter().any(|known| known == id))) else {
                return all;
            };
            if body["unsubscribed_from_emails"] == true {
                all.push((human, Switch::Mail));
            }
            if parts.get(3) == Some(&"subscriptions") {
                all.push((human, Switch::Topic));
            }
        }
        Tool::Customerio => {
            let items = body["batch"].as_array().cloned().unwrap_or_else(|| vec![body.clone()]);
            for item in items {
                let of = |key: &str| item["identifiers"][key].as_str().map(str::to_owned);
                let is_theirs = |human: &crate::life::Human| {
                    (human.user_id.is_some() && human.user_id == of("id"))
                        || (!human.shares_email && human.email.is_some() && human.email == of("email"))
                        || of("cio_id").is_some_and(|cio_id| human.profiles(tools).iter().any(|profile| profile.cio_id == cio_id))
                };
                let Some(human) = whose(&is_theirs) else { continue };
                if item["attributes"]["unsubscribed"] == true {
                    all.push((human, Switch::Mail));
                }
                if item["attributes"][format!("cio_subscription_preferences.topics.topic_{TOPIC}")] == false {
                    all.push((human, Switch::Topic));
                }
            }
        }
        Tool::Segment => {
            for message in body["batch"].as_array().into_iter().flatten() {
                let user_id = message["userId"].as_str().map(str::to_owned);
                let email = message["traits"]["email"].as_str().map(str::to_owned);
                let is_theirs = |human: &crate::life::Human| {
                    (user_id.is_some() && human.user_id == user_id) || (!human.shares_email && email.is_some() && human.email == email)
                };
                let Some(human) = whose(&is_theirs) else { continue };
                for (name, switch) in [("unsubscribed".to_owned(), Switch::Mail), (format!("unsubscribed_{LIST}"), Switch::Topic)] {
                    if message["traits"][name] == Value::Bool(true) {
                        all.push((human, switch));
                    }
                }
            }
        }
    }
    all
}

pub(crate) fn by_tool(writes: &[Write]) -> BTreeMap<Tool, usize> {
    writes.iter().fold(BTreeMap::new(), |mut counts, write| {
        *counts.entry(write.tool).or_default() += 1;
        counts
    })
}
