//! Conversations, and what happens in them.
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/conversations>

use super::{ADMIN_ID, NotInWorld, Tag, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    None,
    Low,
    Medium,
    High,
    Urgent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConversationState {
    Open,
    Snoozed,
    Closed,
}

impl ConversationState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Snoozed => "snoozed",
            Self::Closed => "closed",
        }
    }
}

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// A contact, by id.
    Contact(String),
    /// The one teammate, 9608799.
    Admin,
    /// Fin or a workflow.
    Bot,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rating {
    /// 1 to 5.
    pub rating: u8,
    pub remark: Option<String>,
    /// Unix seconds: when it was asked for.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
    /// The contact who gave it.
    pub contact: String,
    /// A workflow asked for it, and no teammate took part.
    pub asked_by_workflow: bool,
}

/// What Fin does in a conversation. (schema `ai_agent`)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AiAgent {
    /// `workflow`, `profile`, `essentials_plan_setup`, or of trials `workflow_preview`, `fin_preview`.
    pub source_type: &'static str,
    /// In the words of 2.15; `None`: it has resolved nothing.
    pub resolution_state: Option<&'static str>,
    /// 1 to 5, and when it was given, in unix seconds.
    pub rating: Option<(u8, i64)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Digits; a later part has a greater one.
    pub id: u64,
    /// `comment`, `note`, `assignment`, `close`, `open`, `snoozed`, `priority_changed`, `participant_added`,
    /// `participant_removed`, `merged_primary_conversation`, `merged_secondary_conversation`.
    pub part_type: &'static str,
    /// Plain text.
    pub body: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    pub author: Author,
    /// The state after it.
    pub state: ConversationState,
    /// Made through the API: `app_package_code` names our app. (notes 1.10)
    pub by_app: bool,
    /// Of an `assignment`.
    pub assigned_to: Option<Assignee>,
}

impl Conversation {
    /// Once.
    pub(crate) fn put_tag(&mut self, tag: &Tag) {
        if !self.tags.iter().any(|known| known.id == tag.id) {
            self.tags.push(tag.clone());
        }
    }
}

/// Who is to take care of a conversation or ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignee {
    Admin(u64),
    Team(u64),
    /// `"0"`.
    Nobody,
}

/// A part that is not there yet.
pub(crate) struct NewPart<'a> {
    pub(crate) part_type: &'static str,
    pub(crate) author: Author,
    pub(crate) body: Option<&'a str>,
    pub(crate) by_app: bool,
    pub(crate) assigned_to: Option<Assignee>,
}

impl<'a> NewPart<'a> {
    /// By somebody in Intercom.
    pub(crate) fn by_hand(part_type: &'static str, author: Author, body: Option<&'a str>) -> Self {
        Self { part_type, author, body, by_app: false, assigned_to: None }
    }

    /// By the teammate, through the API.
    pub(crate) fn by_app(part_type: &'static str, body: Option<&'a str>) -> Self {
        Self { part_type, author: Author::Admin, body, by_app: true, assigned_to: None }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Digits.
    pub id: u64,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
    /// Unix seconds: the customer waits for an answer since.
    pub waiting_since: Option<i64>,
    /// Unix seconds.
    pub snoozed_until: Option<i64>,
    pub state: ConversationState,
    pub priority: Priority,
    /// Id of a teammate.
    pub admin_assignee: Option<u64>,
    pub team_assignee: Option<u64>,
    pub source_id: u64,
    pub started_by: Author,
    /// Plain text.
    pub body: String,
    /// Contact ids.
    pub contacts: Vec<String>,
    pub tags: Vec<Tag>,
    pub rating: Option<Rating>,
    pub ai: Option<AiAgent>,
    pub parts: Vec<Part>,
}

impl World {
    pub(crate) fn conversation(&self, id: &str) -> Result<&Conversation, NotInWorld> {
        let found = id.parse().ok().and_then(|number: u64| self.conversations.get(&number));
        found.ok_or_else(|| NotInWorld { what: "conversation", id: id.to_owned() })
    }

    fn conversation_mut(&mut self, id: &str) -> Result<&mut Conversation, NotInWorld> {
        let found = id.parse().ok().and_then(|number: u64| self.conversations.get_mut(&number));
        found.ok_or_else(|| NotInWorld { what: "conversation", id: id.to_owned() })
    }

    pub(crate) fn open(&mut self, contact: &str, by: Author, priority: Priority, body: &str, now: i64) -> Result<Conversation, NotInWorld> {
        self.contact(contact)?;
        self.last_conversation += 1 + self.seeded.next() % 10_000;
        self.last_part += 1 + self.seeded.next() % 10_000;
        let conversation = Conversation {
            id: self.last_conversation,
            created_at: now,
            updated_at: now,
            waiting_since: matches!(by, Author::Contact(_)).then_some(now),
            snoozed_until: None,
            state: ConversationState::Open,
            priority,
            admin_assignee: (by == Author::Admin).then_some(ADMIN_ID),
            team_assignee: None,
            source_id: self.last_part / 11,
            started_by: by,
            body: body.to_owned(),
            contacts: vec![contact.to_owned()],
            tags: Vec::new(),
            rating: None,
            ai: None,
            parts: Vec::new(),
        };
        self.conversations.insert(conversation.id, conversation.clone());
        Ok(conversation)
    }

    /// Adds a part, and whatever `change` makes of the conversation before that. A teammate who does something by hand
    /// takes the conversation over; through the API only an assignment does that.
    pub(crate) fn add_part(
        &mut self,
        id: &str,
        new: NewPart<'_>,
        now: i64,
        change: impl FnOnce(&mut Conversation),
    ) -> Result<(Conversation, Part), NotInWorld> {
        self.conversation(id)?;
        self.last_part += 1 + self.seeded.next() % 10_000;
        let part_id = self.last_part;
        let conversation = self.conversation_mut(id)?;
        change(conversation);
        conversation.updated_at = now;
        if new.author == Author::Admin && !new.by_app && conversation.admin_assignee.is_none() {
            conversation.admin_assignee = Some(ADMIN_ID);
        }
        match new.assigned_to {
            Some(Assignee::Admin(admin)) => conversation.admin_assignee = Some(admin),
            Some(Assignee::Team(team)) => conversation.team_assignee = Some(team),
            Some(Assignee::Nobody) => (conversation.admin_assignee, conversation.team_assignee) = (None, None),
            None => {}
        }
        let part = Part {
            id: part_id,
            part_type: new.part_type,
            body: new.body.map(str::to_owned),
            created_at: now,
            author: new.author,
            state: conversation.state,
            by_app: new.by_app,
            assigned_to: new.assigned_to,
        };
        conversation.parts.push(part.clone());
        Ok((conversation.clone(), part))
    }

    pub(crate) fn conversations(&self) -> impl Iterator<Item = &Conversation> {
        self.conversations.values()
    }

    /// A change that leaves no part.
    pub(crate) fn change(&mut self, id: &str, now: i64, change: impl FnOnce(&mut Conversation)) -> Result<Conversation, NotInWorld> {
        let conversation = self.conversation_mut(id)?;
        change(conversation);
        conversation.updated_at = now;
        Ok(conversation.clone())
    }

    pub(crate) fn delete(&mut self, id: &str) -> Result<Conversation, NotInWorld> {
        let number = self.conversation(id)?.id;
        self.conversations.remove(&number).ok_or_else(|| NotInWorld { what: "conversation", id: id.to_owned() })
    }
}
