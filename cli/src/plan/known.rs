//! Who the bodies name, so that the stand-ins can know them all.

use std::collections::BTreeSet;
use trefoil_domain::event::{Event, IdKind};
use trefoil_domain::id::Digest;
use trefoil_standins::customerio::CustomerIo;
use trefoil_standins::intercom::{Intercom, NewContact, Role};

type Ids = BTreeSet<(IdKind, String)>;

/// Everybody gets a profile and a contact, or one for each contact id.
pub(crate) fn introduce<'e>(events: impl Iterator<Item = &'e Event>, customerio: &CustomerIo, intercom: &Intercom) {
    let mut addresses = BTreeSet::new();
    for ids in people(events) {
        let first = |kind| first(&ids, kind).map(str::to_owned);
        let contact = first(IdKind::IntercomId);
        // An address belongs to one profile, as in a workspace that tells people apart by it.
        let email = first(IdKind::Email).filter(|email| addresses.insert(email.clone()));
        // Without any name the person could not be found.
        let made_up = || contact.as_ref().filter(|_| email.is_none()).map(|contact| format!("user-of-{contact}"));
        let user_id = first(IdKind::UserId).or_else(|| made_up().filter(|_| first(IdKind::CioId).is_none()));
        for (_, contact) in ids.iter().filter(|(kind, _)| *kind == IdKind::IntercomId) {
            let new = NewContact { role: Some(Role::User), external_id: user_id.clone(), email: email.clone(), ..NewContact::default() };
            intercom.add_contact_as(contact, new);
        }
        if user_id.is_none() && email.is_none() && first(IdKind::CioId).is_none() {
            continue;
        }
        // The same in each run, so that what was learnt in one holds in the next.
        let name = user_id.as_deref().or(email.as_deref()).unwrap_or_default();
        if contact.is_none() && !name.is_empty() {
            let new = NewContact { role: Some(Role::User), external_id: user_id.clone(), email: email.clone(), ..NewContact::default() };
            intercom.add_contact_as(&Digest::new("assumed-contact").with(name).hex()[..24], new);
        }
        let cio_id = first(IdKind::CioId).unwrap_or_else(|| Digest::new("assumed-profile").with(name).hex()[..12].to_owned());
        customerio.add_profile_as(&cio_id, user_id.as_deref(), email.as_deref());
    }
}

/// Ids that occur together are one person's, unless two of them are of a kind of which a person has one. How an address is spelt in
/// a field for user ids is none beside the address.
fn people<'e>(events: impl Iterator<Item = &'e Event>) -> Vec<Ids> {
    let named = |kind| matches!(kind, IdKind::IntercomId | IdKind::CioId | IdKind::UserId | IdKind::Email);
    let mut people: Vec<Ids> = Vec::new();
    for event in events {
        let mut ids: Ids =
            event.ids.iter().filter(|id| named(id.kind) && !id.is_address_as_id()).map(|id| (id.kind, id.value.clone())).collect();
        if ids.is_empty() {
            continue;
        }
        people.retain(|other| {
            let same = !other.is_disjoint(&ids) && !differ(other, &ids, IdKind::UserId) && !differ(other, &ids, IdKind::CioId);
            if same {
                ids.extend(other.iter().cloned());
            }
            !same
        });
        people.push(ids);
    }
    people
}

fn first(ids: &Ids, kind: IdKind) -> Option<&str> {
    ids.iter().find(|(k, _)| *k == kind).map(|(_, value)| value.as_str())
}

fn differ(one: &Ids, other: &Ids, kind: IdKind) -> bool {
    matches!((first(one, kind), first(other, kind)), (Some(one), Some(other)) if one != other)
}
