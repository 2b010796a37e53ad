//! What the configuration has any use for, decided before an event is made: sources of behaviour report far more than
//! anybody acts on, and what nothing can want is not worth a message.
//!
//! Facts about who somebody is, about their consent and about their tickets are always wanted; this is not asked for them.

use crate::config::{Config, Trigger};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// As [`crate::config::IdentityConfig::address_in_properties`].
    pub address_in_properties: bool,
    by_trigger: BTreeMap<Trigger, Names>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    Any,
    These(BTreeSet<String>),
}

impl Wanted {
    pub fn of(config: &Config) -> Self {
        let mut by_trigger = BTreeMap::new();
        let on = config.routes.iter().flat_map(|route| route.on.iter().map(move |on| (*on, &route.named)));
        for (on, named) in on {
            let names = by_trigger.entry(on).or_insert_with(|| Names::These(BTreeSet::new()));
            match names {
                Names::These(names) if !named.is_empty() => names.extend(named.iter().cloned()),
                Names::These(_) | Names::Any => *names = Names::Any,
            }
        }
        Self { address_in_properties: config.identity.address_in_properties, by_trigger }
    }

    /// Some route may act on this fact, under this name where the fact has one; `None`: the name is not known yet.
    pub fn takes(&self, trigger: Trigger, name: Option<&str>) -> bool {
        self.takes_any(trigger, name.as_slice())
    }

    /// As [`Wanted::takes`], for what goes by several names: a list has an id and a name.
    pub fn takes_any(&self, trigger: Trigger, names: &[&str]) -> bool {
        match self.by_trigger.get(&trigger) {
            None => false,
            Some(Names::Any) => true,
            Some(Names::These(wanted)) => names.is_empty() || names.iter().any(|name| wanted.contains(*name)),
        }
    }
}
