//! What people want, said as simply as can be: of each subject the latest opt-out and the latest opt-in that counts everywhere,
//! and where somebody opted in again in one tool alone. It knows nothing of the product.

use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tool {
    Intercom,
    Customerio,
    Segment,
}

/// What somebody speaks of. Customer.io's one switch is about everything, as is the trait at Segment; Intercom's is about mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Everything,
    Mail,
    Topic,
}

/// What a tool keeps of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Switch {
    Mail,
    Topic,
}

impl Subject {
    pub(crate) fn switch(self) -> Switch {
        match self {
            Self::Everything | Self::Mail => Switch::Mail,
            Self::Topic => Switch::Topic,
        }
    }
}

/// Of one human. Times in unix seconds: finer ones the tools do not tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    out: BTreeMap<Subject, i64>,
    /// Explicit opt-ins.
    back: BTreeMap<Subject, i64>,
    /// Any opt-in, by the record in which it was made.
    own: BTreeMap<(Tool, Switch, String), i64>,
    /// Evidence that cannot be told from an opt-out of the human's own, and that is not this oracle's business: an opt-out that
    /// was written into a tool, or a record that still said so when it was told of as a whole.
    evidence: BTreeMap<Switch, i64>,
}

impl Wishes {
    pub(crate) fn opt_out(&mut self, subject: Subject, at: i64) {
        let known = self.out.entry(subject).or_insert(at);
        *known = at.max(*known);
    }

    pub(crate) fn opt_in(&mut self, tool: Tool, record: &str, subject: Subject, explicit: bool, at: i64) {
        self.own.insert((tool, subject.switch(), record.to_owned()), at);
        if explicit {
            self.back.insert(subject, at);
        }
    }

    pub(crate) fn evident(&mut self, switch: Switch, at: i64) {
        let known = self.evidence.entry(switch).or_insert(at);
        *known = at.max(*known);
    }

    fn back_at(&self, subject: Subject) -> Option<i64> {
        let own = self.back.get(&subject).copied();
        match subject {
            Subject::Everything | Subject::Topic => own,
            // Into everything is into mail.
            Subject::Mail => own.max(self.back.get(&Subject::Everything).copied()),
        }
    }

    /// Since when nobody may write, by a switch of any tool. A tie is out.
    fn out_at(&self, switch: Switch) -> Option<i64> {
        let subjects = [Subject::Everything, Subject::Mail, Subject::Topic].into_iter().filter(|subject| subject.switch() == switch);
        subjects
            .filter_map(|subject| Some((subject, *self.out.get(&subject)?)))
            .filter(|(s, out)| self.back_at(*s).is_none_or(|b| *out >= b))
            .map(|(_, out)| out)
            .max()
    }

    fn own_at(&self, tool: Tool, switch: Switch, record: Option<&str>) -> Option<i64> {
        let theirs = |(t, s, r): &(Tool, Switch, String)| *t == tool && *s == switch && record.is_none_or(|record| record == r);
        self.own.iter().filter(|(key, _)| theirs(key)).map(|(_, at)| *at).max()
    }

    /// The record must keep the human out.
    pub(crate) fn must_be_out(&self, tool: Tool, switch: Switch) -> bool {
        self.out_at(switch).is_some_and(|out| self.own_at(tool, switch, None).is_none_or(|own| out >= own))
    }

    /// The record must have let the human in again, or never have kept them out.
    pub(crate) fn must_be_in(&self, tool: Tool, switch: Switch, record: &str) -> bool {
        if self.must_be_out(tool, switch) {
            return false;
        }
        let own = self.own_at(tool, switch, Some(record));
        let since = match self.out_at(switch) {
            // In again in this tool alone: a second record of theirs there may stay as it was.
            Some(out) => match own.filter(|own| *own > out) {
                Some(own) => Some(own),
                None => return false,
            },
            None => own.max(self.back.iter().filter(|(subject, _)| subject.switch() == switch).map(|(_, at)| *at).max()),
        };
        // What cannot be told from an opt-out of their own came after that.
        self.evidence.get(&switch).is_none_or(|at| since.is_some_and(|since| *at < since))
    }
}
