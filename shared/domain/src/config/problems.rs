//! What is wrong with a configuration, for the human who wrote it: all of it at once, in the order of the file.

use std::fmt;

/// One thing to put right. `message` is one clause: what was found, what was expected, how to fix it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Where in the tree: `routes[2].when`; empty for the file as a whole.
    pub path: String,
    pub message: String,
}

/// Everything that is wrong with one file. Never empty. `Display` gives the whole text for a terminal, without a final
/// line feed. The text quotes the file, which is the operator's own; it holds nothing of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    file: String,
    list: Vec<Problem>,
}

impl Problems {
    /// `Ok` when there is nothing to report.
    pub(crate) fn check(file: &str, mut list: Vec<Problem>) -> Result<(), Self> {
        if list.is_empty() {
            return Ok(());
        }
        list.sort_by_key(|p| (p.line, p.column));
        // What is written once and used twice, by an alias, is wrong once.
        list.dedup();
        Err(Self { file: file.to_owned(), list })
    }

    /// Sorted by position.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len();
        writeln!(f, "error: {count} problem{} in {}", if count == 1 { "" } else { "s" }, self.file)?;
        let places: Vec<String> = self.list.iter().map(|p| format!("{}:{}:{}", self.file, p.line, p.column)).collect();
        let width = places.iter().map(|place| place.chars().count()).max().unwrap_or(0);
        for (place, problem) in places.iter().zip(&self.list) {
            let heading = format!("{place:<width$}  {}", problem.path);
            write!(f, "\n  {}\n    {}", heading.trim_end(), problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// ` (did you mean …?)` when one of the known names is close to `found`, else the list of them.
pub(crate) fn suggestion<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(found, known.iter().copied()) {
        Some(near) => format!(" (did you mean `{near}`?)"),
        None => format!("; known: {}", listed(known)),
    }
}

/// As many names as anybody reads in a message.
pub(crate) fn listed<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    const AT_MOST: usize = 12;
    let mut names = names.into_iter();
    let first: Vec<T> = names.by_ref().take(AT_MOST).collect();
    let mut text = first.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if names.next().is_some() {
        text.push_str(", …");
    }
    text
}

/// The known name with the fewest slips of the finger from `found`, if few enough for its length, or the one it begins.
pub(crate) fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found = found.to_lowercase();
    let length = found.chars().count();
    let allowed = (length / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| if length >= 3 && name.starts_with(&found) { (0, name) } else { (strsim::osa_distance(&found, name), name) })
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= allowed)
        .map(|(_, name)| name)
}

/// What stands in the file, short enough for one line of a message.
pub(crate) fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        short.push('…');
    }
    // `escape_debug` is for line feeds and the like; quotes are fine as they are.
    format!("`{}`", short.replace("\\\"", "\"").replace("\\'", "'"))
}
