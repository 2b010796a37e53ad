//! What is in the world, for tests to look at, and what a test puts there before anything happens.

use super::Intercom;
use super::world::{
    Company, Contact, Conversation, DataAttribute, DataEvent, DataType, Message, Model, NewContact, SubscriptionType, Tag, Ticket,
    TicketType,
};

impl Intercom {
    /// A contact in whatever state of its life.
    #[must_use]
    pub fn contact(&self, id: &str) -> Option<Contact> {
        self.shared.inside().world.any_contact(id).cloned()
    }

    /// Everybody, in whatever state of life.
    #[must_use]
    pub fn contacts(&self) -> Vec<Contact> {
        self.shared.inside().world.contacts().cloned().collect()
    }

    #[must_use]
    pub fn conversation(&self, id: &str) -> Option<Conversation> {
        self.shared.inside().world.conversation(id).ok().cloned()
    }

    /// In the order of their making.
    #[must_use]
    pub fn conversations(&self) -> Vec<Conversation> {
        self.shared.inside().world.conversations().cloned().collect()
    }

    #[must_use]
    pub fn ticket(&self, id: &str) -> Option<Ticket> {
        self.shared.inside().world.ticket(id).ok().cloned()
    }

    /// In the order of their making.
    #[must_use]
    pub fn tickets(&self) -> Vec<Ticket> {
        self.shared.inside().world.tickets().cloned().collect()
    }

    #[must_use]
    pub fn companies(&self) -> Vec<Company> {
        self.shared.inside().world.companies().cloned().collect()
    }

    /// The contacts that belong to a company, by Intercom's ids.
    #[must_use]
    pub fn members(&self, company: &str) -> Vec<String> {
        self.shared.inside().world.members(company)
    }

    /// The events that Intercom kept of a contact, in the order of their coming.
    #[must_use]
    pub fn events(&self, contact: &str) -> Vec<DataEvent> {
        self.shared.inside().world.events().filter(|event| event.contact == contact).cloned().collect()
    }

    /// What the teammate sent through the API, in the order of its sending.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.shared.inside().world.messages().to_vec()
    }

    /// Every tag that exists; those of a contact are in [`Contact::tags`].
    #[must_use]
    pub fn tags(&self) -> Vec<Tag> {
        self.shared.inside().world.tags().cloned().collect()
    }

    #[must_use]
    pub fn attributes(&self) -> Vec<DataAttribute> {
        self.shared.inside().world.attributes.clone()
    }

    #[must_use]
    pub fn subscription_types(&self) -> Vec<SubscriptionType> {
        self.shared.inside().world.subscription_types.clone()
    }

    /// A contact that is there already, under an id that is known beforehand and that no other contact has.
    pub fn add_contact_as(&self, id: &str, new: NewContact) {
        self.shared.inside().world.create_contact_as(id, new, self.shared.options.clock.now_ms());
    }

    /// A custom attribute that exists. One of that name and model is replaced.
    pub fn add_attribute(&self, model: Model, name: &str, data_type: DataType) {
        let mut inside = self.shared.inside();
        inside.world.attributes.retain(|known| known.model != model || known.name != name);
        inside.world.attributes.push(DataAttribute { name: name.to_owned(), model, data_type, archived: false });
    }

    /// Beside `Announcements` (1943066, opt in) and `Newsletter` (37846, opt out), which every workspace here has.
    pub fn add_subscription_type(&self, kind: SubscriptionType) {
        self.shared.inside().world.subscription_types.push(kind);
    }

    /// Beside `Tickets` (88), which every workspace here has.
    pub fn add_ticket_type(&self, ticket_type: TicketType) {
        self.shared.inside().world.ticket_types.push(ticket_type);
    }
}
