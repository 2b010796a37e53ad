//! Segments and subscription topics. <https://docs.customer.io/journeys/segments/>,
//! <https://docs.customer.io/journeys/manage-subscription-preferences/>

use super::Workspace;
use crate::customerio::campaign::Campaign;
use crate::customerio::item::Identifier;
use crate::customerio::profile::{Directory, Profile};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub id: u64,
    pub name: String,
    pub kind: SegmentKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// Of whoever is put there; by `cio_id`.
    Manual(BTreeSet<String>),
    /// Of whoever has this value, as text, in this attribute. The API shows it as `dynamic`, and nobody can be put there.
    DataDriven { attribute: String, value: String },
}

/// What people can subscribe to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub id: u64,
    pub name: String,
    /// Whether people without a choice get it.
    pub subscribed_by_default: bool,
}

impl Segment {
    pub(crate) fn has(&self, profile: &Profile) -> bool {
        match &self.kind {
            SegmentKind::Manual(members) => members.contains(&profile.cio_id),
            SegmentKind::DataDriven { attribute, value } => profile.told(attribute).as_ref() == Some(value),
        }
    }

    pub(super) fn has_by_hand(&self, cio_id: &str) -> bool {
        match &self.kind {
            SegmentKind::Manual(members) => members.contains(cio_id),
            SegmentKind::DataDriven { .. } => false,
        }
    }

    pub(super) fn put(&mut self, cio_id: &str) {
        match &mut self.kind {
            SegmentKind::Manual(members) => {
                members.insert(cio_id.to_owned());
            }
            SegmentKind::DataDriven { .. } => {}
        }
    }

    pub(super) fn forget(&mut self, cio_id: &str) {
        match &mut self.kind {
            SegmentKind::Manual(members) => {
                members.remove(cio_id);
            }
            SegmentKind::DataDriven { .. } => {}
        }
    }

    /// In order of `cio_id`.
    pub(crate) fn members<'d>(&self, directory: &'d Directory) -> Vec<&'d Profile> {
        let mut members: Vec<&Profile> = directory.all().filter(|profile| self.has(profile)).collect();
        members.sort_by(|one, other| one.cio_id.cmp(&other.cio_id));
        members
    }
}

/// The segments that campaigns watch.
pub(super) fn of_campaigns(campaigns: &[Campaign]) -> BTreeMap<u64, Segment> {
    let segment = |campaign: &Campaign| match campaign {
        Campaign::SegmentOf { attribute, value, segment, name } => {
            let kind = SegmentKind::DataDriven { attribute: attribute.clone(), value: value.clone() };
            Some((*segment, Segment { id: *segment, name: name.clone(), kind }))
        }
        Campaign::AttributesChanged(_) | Campaign::EventConverts(_) => None,
    };
    campaigns.iter().filter_map(segment).collect()
}

impl Workspace {
    /// Puts people into a manual segment, or takes them out; whoever is not known is left out. False if there is no such
    /// manual segment.
    pub(crate) fn change_segment(&mut self, id: u64, people: &[Identifier], put: bool) -> bool {
        let found: Vec<String> = people.iter().filter_map(|who| self.live.find_one(who)).collect();
        let Some(segment) = self.segments.get_mut(&id) else { return false };
        match segment.kind {
            SegmentKind::DataDriven { .. } => return false,
            SegmentKind::Manual(_) => {}
        }
        for cio_id in found {
            if put { segment.put(&cio_id) } else { segment.forget(&cio_id) }
        }
        true
    }

    /// What people get who made no choice, by `topic_<id>`.
    pub(crate) fn topic_defaults(&self) -> BTreeMap<String, bool> {
        self.topics.values().map(|topic| (format!("topic_{}", topic.id), topic.subscribed_by_default)).collect()
    }
}
