//! How the demo is printed: a hundred columns, and clear without colours.

use super::hook::Tool;
use anstyle::{AnsiColor, Style};
use trefoil_domain::ports::Record;
use trefoil_domain::time::Timestamp;
use trefoil_standins::customerio::Hold;

pub(super) const STRONG: Style = Style::new().bold();
pub(super) const FAINT: Style = AnsiColor::BrightBlack.on_default();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const HELD: Style = AnsiColor::Yellow.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();

/// Columns of the terminal, and where text begins.
const WIDTH: usize = 100;
const INDENT: usize = 14;

/// The beginning of a chapter.
pub(super) fn title(title: &str) {
    let rule = "─".repeat(WIDTH.saturating_sub(title.chars().count() + 1));
    anstream::println!("\n{STRONG}{title}{STRONG:#} {FAINT}{rule}{FAINT:#}");
}

pub(super) fn heading(title: &str) {
    anstream::println!("\n{STRONG}{title}{STRONG:#}");
}

/// What Trefoil wrote down of it.
pub(super) fn decisions(mut records: Vec<Record>) {
    // As it went: the event first, then the state, then what rests on it.
    let stages = ["route", "intercom-state", "customerio-state", "customerio", "intercom", "segment"];
    let stage = |record: &Record| record.stage.split('#').next().unwrap_or_default().to_owned();
    records.sort_by_key(|record| stages.iter().position(|known| stage(record) == *known));
    for record in &records {
        let who = match stage(record).as_str() {
            "route" => "Trefoil",
            "customerio-state" | "customerio" => "Customer.io",
            "intercom-state" | "intercom" => "Intercom",
            "segment" => "Segment",
            _ => "",
        };
        let what = match record.what.as_str() {
            "support_facet" => "state brought up to date".to_owned(),
            "look_up_contact" => "asked who the contact is".to_owned(),
            what => what.replace('_', " "),
        };
        let why = record.outcome.reason().map(|reason| format!(" {FAINT}({}){FAINT:#}", reason.code.replace('_', " "))).unwrap_or_default();
        line("decided", &[format!("{who}: {what}: {}{why}", record.outcome.name().replace('_', " "))]);
        for (route, reason) in &record.skipped {
            line("", &[format!("{FAINT}not \"{route}\": {}{FAINT:#}", reason.replace('_', " "))]);
        }
    }
}

pub(super) fn tell(tool: Tool, name: &str, with: Vec<String>) {
    let first = format!("{}: {STRONG}{name}{STRONG:#}", tool.name());
    let with: Vec<String> = with.into_iter().map(|part| format!("{FAINT}{part}{FAINT:#}")).collect();
    line("told", &[vec![first], with].concat());
}

/// Parts separated by commas, on as many lines as they need.
pub(super) fn line(label: &str, parts: &[String]) {
    let mut lines = vec![String::new()];
    let mut column = INDENT;
    for (number, part) in parts.iter().enumerate() {
        let comma = if number + 1 < parts.len() { "," } else { "" };
        let width = anstream::adapter::strip_str(part).to_string().chars().count() + comma.len();
        if column > INDENT && column + 1 + width > WIDTH {
            lines.push(String::new());
            column = INDENT;
        }
        if let Some(last) = lines.last_mut() {
            if column > INDENT {
                last.push(' ');
                column += 1;
            }
            last.push_str(part);
            last.push_str(comma);
            column += width;
        }
    }
    for (number, text) in lines.iter().enumerate() {
        anstream::println!("  {FAINT}{:>10}{FAINT:#}  {text}", if number == 0 { label } else { "" });
    }
}

pub(super) fn because(hold: &Hold) -> String {
    match hold {
        Hold::NoProfile => "no profile".to_owned(),
        Hold::Unsubscribed => "unsubscribed".to_owned(),
        Hold::OpenTicket => "open ticket".to_owned(),
        Hold::SuppressedUntil(secs) => format!("until {}", when(*secs)),
    }
}

/// Unix seconds as a date and time in UTC, to the minute.
pub(super) fn when(secs: i64) -> String {
    let text = Timestamp::from_secs(secs).to_rfc3339().unwrap_or_default();
    text.get(..16).unwrap_or(&text).replace('T', " ")
}
