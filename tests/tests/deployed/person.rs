//! A customer, as the three tools know them.

use std::collections::BTreeSet;
use trefoil_standins::customerio::{Identifier, Profile, StoredEvent};
use trefoil_standins::intercom::{Author, Contact, ContactChange, NewContact, Priority, Webhook};
use trefoil_standins::segment::{Caller, Event};
use trefoil_tests::Deployment;

/// A customer. Every test has its own.
pub(crate) struct Person {
    /// Intercom's id.
    pub(crate) contact: String,
    /// Our own id, which Customer.io knows as well.
    pub(crate) user: String,
    pub(crate) email: String,
}

impl Person {
    /// A contact of whom Intercom's webhooks say no more than its id, until [`Person::logs_in`].
    pub(crate) fn bare(deployment: &Deployment, name: &str) -> Self {
        let (contact, _webhook_lost) = deployment.intercom.create_contact(NewContact::default());
        Self { contact, user: format!("user-{name}"), email: format!("{name}@example.com") }
    }

    /// The contact logs in; no webhook tells of it.
    pub(crate) fn logs_in(self, deployment: &Deployment) -> Self {
        let change = ContactChange { external_id: Some(self.user.clone()), email: Some(self.email.clone()), ..ContactChange::default() };
        deployment.intercom.update_contact(&self.contact, change).expect("a contact");
        self
    }

    pub(crate) fn gets_a_profile(self, deployment: &Deployment) -> Self {
        deployment.customerio.add_profile(Some(&self.user), Some(&self.email), &[]);
        self
    }

    /// Somebody whom both tools know.
    pub(crate) fn known(deployment: &Deployment, name: &str) -> Self {
        Self::bare(deployment, name).logs_in(deployment).gets_a_profile(deployment)
    }

    /// Who has no address at Customer.io, and no user id in Intercom: only a third source can say that they are one.
    pub(crate) fn known_by_address_alone(deployment: &Deployment, name: &str) -> Self {
        let email = format!("{name}@example.com");
        let new = NewContact { email: Some(email.clone()), ..NewContact::default() };
        let (contact, _webhook_lost) = deployment.intercom.create_contact(new);
        let person = Self { contact, user: format!("user-{name}"), email };
        deployment.customerio.add_profile(Some(&person.user), None, &[]);
        person
    }

    pub(crate) fn opens(&self, deployment: &Deployment, priority: Priority) -> (String, Webhook) {
        deployment.intercom.open_conversation(&self.contact, priority).expect("a contact")
    }

    pub(crate) fn id(&self) -> Identifier {
        Identifier::Id(self.user.clone())
    }

    /// What Customer.io calls them.
    pub(crate) fn cio_id(&self, deployment: &Deployment) -> String {
        deployment.customerio.profile(&self.id()).expect("a profile").cio_id
    }

    /// Everybody at Customer.io who goes by their id or their address.
    pub(crate) fn profiles(&self, deployment: &Deployment) -> Vec<Profile> {
        let theirs = |profile: &Profile| profile.id.as_ref() == Some(&self.user) || profile.email.as_ref() == Some(&self.email);
        deployment.customerio.profiles().into_iter().filter(theirs).collect()
    }

    pub(crate) fn at_intercom(&self, deployment: &Deployment) -> Contact {
        deployment.intercom.contact(&self.contact).expect("a contact")
    }

    /// As the product's own server speaks of them.
    pub(crate) fn caller(&self) -> Caller {
        Caller::on_server(&self.user)
    }

    /// What Segment has of events of this name, in the order of their times.
    pub(crate) fn events_at_segment(&self, deployment: &Deployment, name: &str) -> Vec<Event> {
        let Some(profile) = deployment.segment.profile(&self.user) else { return Vec::new() };
        profile.events.into_iter().filter(|event| event.name.as_deref() == Some(name)).collect()
    }

    pub(crate) async fn until_trait(&self, deployment: &Deployment, name: &str, expected: bool) {
        let known = async || (deployment.segment.profile(&self.user)?.traits.get(name)? == expected).then_some(());
        deployment.until(&format!("{name} is {expected} for {} at Segment", self.user), known).await;
    }

    /// An attribute of the profile, as Customer.io keeps it.
    pub(crate) fn attribute(&self, deployment: &Deployment, name: &str) -> Option<String> {
        deployment.customerio.profile(&self.id())?.text(name)
    }

    /// What Customer.io has of events of this name.
    pub(crate) fn events(&self, deployment: &Deployment, name: &str) -> Vec<StoredEvent> {
        let Some(profile) = deployment.customerio.profile(&self.id()) else { return Vec::new() };
        let events = deployment.customerio.events().into_iter();
        events.filter(|event| event.cio_id.as_ref() == Some(&profile.cio_id) && event.name == name).collect()
    }

    pub(crate) async fn until_attribute(&self, deployment: &Deployment, name: &str, expected: &str) {
        let what = format!("{name} is {expected} for {} at Customer.io", self.user);
        deployment.until(&what, async || (self.attribute(deployment, name)? == expected).then_some(())).await;
    }

    /// Waits for so many events, each with an id of its own.
    pub(crate) async fn until_events(&self, deployment: &Deployment, name: &str, count: usize) {
        let what = format!("{count} {name} of {} at Customer.io", self.user);
        deployment.until(&what, async || (self.events(deployment, name).len() >= count).then_some(())).await;
        self.assert_events(deployment, name, count);
    }

    pub(crate) fn assert_events(&self, deployment: &Deployment, name: &str, count: usize) {
        let events = self.events(deployment, name);
        let ids: BTreeSet<_> = events.iter().filter_map(|event| event.ulid.as_deref()).collect();
        assert_eq!((events.len(), ids.len()), (count, count), "{name} of {}: {events:#?}\n{}", self.user, deployment.logs());
    }
}

pub(crate) fn closed(deployment: &Deployment, conversation: &str) -> Webhook {
    deployment.intercom.close(conversation, Author::Admin).expect("a conversation")
}
