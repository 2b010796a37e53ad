//! Configurations as files: `tests/config/valid/*.yaml` must be accepted; `tests/config/invalid/<name>.yaml` must be
//! refused with exactly the text of `<name>.txt`. A new case is a new file.
//!
//! `UPDATE=1 cargo test -p trefoil-domain --test config` writes the texts anew; read the difference before keeping it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use trefoil_domain::config::{
    self, ACTIONS, ActionKind, Config, ConsentConfig, EMBEDDED, Field, IdentityConfig, Need, Shape, Trigger, What,
};
use trefoil_domain::event::{IdKind, Source};
use trefoil_domain::rules;
use trefoil_domain::wanted::Wanted;

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/config").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    files.sort();
    files
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8")
}

#[test]
fn valid_files_are_accepted() {
    let files = files("valid");
    assert!(!files.is_empty(), "no cases found");
    for path in files {
        let text = fs::read_to_string(&path).expect("a readable file");
        if let Err(problems) = config::check(name(&path), &text) {
            panic!("{problems}");
        }
    }
}

#[test]
fn invalid_files_are_refused_with_the_expected_text() {
    let files = files("invalid");
    assert!(files.len() >= 25, "only {} cases found", files.len());
    let mut differences = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).expect("a readable file");
        let found = match config::check(name(&path), &text) {
            Ok(_) => "accepted".to_owned(),
            Err(problems) => problems.to_string(),
        };
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, format!("{found}\n")).expect("a writable folder");
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if expected.trim_end() != found {
            differences.push(format!("--- {}: expected\n{expected}\n--- found\n{found}\n", name(&path)));
        }
        assert_ne!(found, "accepted", "{} is meant to be wrong", name(&path));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn the_shipped_file_is_valid_and_is_the_one_at_the_root() {
    let (config, _) = config::check(config::FILE_NAME, EMBEDDED).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config, config::embedded());
    assert_eq!(config.routes.len(), 31);
    assert_eq!(config.suppress.len(), 3);
}

#[test]
fn a_file_beyond_the_limits_is_refused_quickly() {
    let refused = |text: &str| config::check("big.yaml", text).map(|_| ()).expect_err("beyond a limit").to_string();
    let comment = format!("version: 1\n#{}\n", "x".repeat(256 * 1024));
    assert_eq!(refused(&comment), "error: 1 problem in big.yaml\n\n  big.yaml:1:1\n    the file has 256 KiB; at most 256 are read");
    for open in ["[", "{a: ", "- "] {
        let refusal = refused(&open.repeat(50_000));
        // The parser has a limit of its own, which the first of these meets before ours.
        let expected = ["more than 32 levels deep; nothing in this file needs that", "not YAML: recursion limit exceeded"];
        assert!(expected.iter().any(|expected| refusal.ends_with(expected)), "{refusal}");
    }
    assert!(refused(&format!("version: 1\nroutes: [{}]\n", "1,".repeat(100_000))).contains("more than 20000 values"));
    // One long text, one long key, and many quotes are no trouble either.
    for text in ["x".repeat(200_000), format!("{}: 1", "x".repeat(200_000)), "'".repeat(200_000), "&a ".repeat(50_000), "? ".repeat(50_000)]
    {
        assert!(config::check("big.yaml", &text).is_err());
    }
}

/// Whatever is cut off or typed over, the answer is a configuration or a list of problems within the file.
#[test]
fn no_slip_of_the_finger_brings_the_reader_down() {
    let characters: Vec<char> = EMBEDDED.chars().collect();
    let lines = EMBEDDED.lines().count() + 2;
    let check = |text: String| {
        if let Err(problems) = config::check("slip.yaml", &text) {
            let within = problems.list().iter().all(|p| (1..=lines).contains(&p.line) && p.column >= 1 && !p.message.is_empty());
            assert!(within, "{problems}\n{text}");
        }
    };
    for end in (0..characters.len()).step_by(13) {
        check(characters[..end].iter().collect());
    }
    for (i, slip) in (0..characters.len()).step_by(11).zip("{}[]:\"'$\n\t&*!|>-?#%é,".chars().cycle()) {
        let mut typed = characters.clone();
        typed[i] = slip;
        check(typed.into_iter().collect());
    }
}

/// The examples and defaults that are commented out work when the `# ` is taken away, and change nothing by themselves.
#[test]
fn what_is_commented_out_in_the_shipped_file_is_valid() {
    let is_yaml = |text: &str| {
        let key = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
        text.starts_with("- ") || text.starts_with('"') || text.trim_start_matches(key).starts_with(':') && text.starts_with(key)
    };
    let uncommented = EMBEDDED.lines().map(|line| match line.split_once("# ") {
        Some((indent, text)) if indent.trim().is_empty() && is_yaml(text.trim_start()) => format!("{indent}{text}\n"),
        Some(_) | None => format!("{line}\n"),
    });
    let text = uncommented.collect::<String>();
    let (all, _) = config::check(config::FILE_NAME, &text).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    let shipped = config::embedded();
    let names = |config: &Config| config.routes.iter().map(|route| route.name.clone()).collect::<BTreeSet<_>>();
    let examples: Vec<String> = names(&all).difference(&names(&shipped)).cloned().collect();
    assert_eq!(
        examples,
        [
            "Fin could not help",
            "VIPs",
            "asked for a call",
            "behaviour to Intercom",
            "campaign activity by metric",
            "deletion requests",
            "deletions of Segment",
            "risk of churn as a ticket",
            "risk of churn to the team",
            "segment entered, as an attribute",
            "segment left, as an attribute",
            "upgrade mail clicked while support is open",
        ]
    );
    assert!(text.contains("\nidentity:\n") && text.contains("\nconsent:\n"));
    assert!(all.identity.no_ids.contains("test-user"));
    let identity = config::IdentityConfig { no_ids: shipped.identity.no_ids.clone(), ..all.identity };
    assert_eq!((identity, all.consent.explicit_opt_ins), (shipped.identity, shipped.consent.explicit_opt_ins));
}

#[test]
fn identity_and_consent_are_read_in_their_order() {
    let read = |text: &str| config::parse("test.yaml", text).unwrap_or_else(|problems| panic!("{problems}"));
    let nothing = read("version: 1\n");
    assert_eq!((&nothing.identity, &nothing.consent), (&IdentityConfig::default(), &ConsentConfig::default()));
    let given = read(
        "version: 1\nidentity: { match_by: [user_id, phone, email], address_in_properties: true }\n\
         consent: { explicit_opt_ins: [segment.person.subscribed, intercom.person.subscribed] }\n",
    );
    assert_eq!(given.identity.match_by, [IdKind::UserId, IdKind::Phone, IdKind::Email]);
    assert_eq!(given.identity.strength(IdKind::AnonymousId), None);
    assert!(given.identity.address_in_properties && !nothing.identity.address_in_properties);
    assert_eq!(given.consent.explicit_opt_ins, [Source::Segment, Source::Intercom]);
}

#[test]
fn every_trigger_has_one_name_and_can_be_hung_on() {
    let names: BTreeSet<&str> = Trigger::all().map(|(_, name)| name).collect();
    let triggers: BTreeSet<Trigger> = Trigger::all().map(|(trigger, _)| trigger).collect();
    assert_eq!((names.len(), triggers.len()), (Trigger::all().count(), Trigger::all().count()));
    for (trigger, name) in Trigger::all() {
        assert_eq!(trigger.name(), Some(name));
        let named = if trigger.what.has_name() { "named: x, " } else { "" };
        let text = format!(
            "version: 1\nroutes:\n  - {{ name: a, on: {name}, {named}when: event.kind != \"\", do: [ customerio.track_event: {{ name: x }} ] }}\n"
        );
        match config::check("test.yaml", &text) {
            Ok((config, _)) => assert_eq!(config.routes[0].on, [trigger]),
            Err(problems) => assert!(!trigger.what.concerns_a_person(), "{problems}"),
        }
    }
}

#[test]
fn only_what_a_route_can_take_is_wanted() {
    let text = "version: 1\nroutes:\n\
        \x20 - { name: a, on: segment.event.tracked, named: [A, B], do: [ customerio.track_event: { name: x } ] }\n\
        \x20 - { name: b, on: segment.event.tracked, named: C, do: [ customerio.track_event: { name: x } ] }\n\
        \x20 - { name: c, on: segment.page.viewed, named: P, do: [ customerio.track_event: { name: x } ] }\n\
        \x20 - { name: d, on: segment.page.viewed, do: [ customerio.track_event: { name: x } ] }\n\
        \x20 - { name: e, on: customerio.segment.entered, named: ['7', Trial users], do: [ customerio.track_event: { name: x } ] }\n";
    let wanted = Wanted::of(&config::parse("test.yaml", text).unwrap_or_else(|problems| panic!("{problems}")));
    let segment = |what| Trigger { source: Source::Segment, what };
    let tracked = |name| wanted.takes(segment(What::EventTracked), name);
    assert_eq!([Some("A"), Some("B"), Some("C"), None].map(tracked), [true; 4]);
    assert_eq!([Some("a"), Some("D"), Some("")].map(tracked), [false; 3]);
    assert!(wanted.takes(segment(What::PageViewed), Some("any")));
    assert!(!wanted.takes(Trigger { source: Source::Pipelines, what: What::PageViewed }, Some("P")));
    assert!(!wanted.takes(segment(What::ScreenViewed), None));
    let entered = |names: &[&str]| wanted.takes_any(Trigger { source: Source::Customerio, what: What::ListEntered }, names);
    assert!(entered(&["7", "Renamed"]) && entered(&["8", "Trial users"]) && entered(&[]));
    assert!(!entered(&["8", "Others"]));
}

// ------------------------------------------------------------------------------------------------ the page

/// What stands between backticks; `.left` after `customerio.segment.entered` is `customerio.segment.left`.
fn quoted_names(cell: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in cell.split('`').skip(1).step_by(2) {
        let parent = names.last().and_then(|last| last.rsplit_once('.')).map_or("", |(parent, _)| parent);
        names.push(if name.starts_with('.') { format!("{parent}{name}") } else { name.to_owned() });
    }
    names
}

#[test]
fn the_page_lists_every_event_with_its_fields_and_every_field() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = fs::read_to_string(path).expect("a readable file");
    let own = |on: Trigger| rules::fields(on).filter(|(_, everywhere)| !everywhere).map(|(field, _)| field).collect::<BTreeSet<_>>();
    let of_messages = own(Trigger::all().find(|(trigger, _)| matches!(trigger.what, What::Message(..))).expect("a message").0);
    let said = page.split_once("All of these have ").and_then(|(_, rest)| rest.split_once(". ")).expect("the fields of messages").0;
    assert_eq!(quoted_names(said).into_iter().collect::<BTreeSet<_>>(), of_messages);

    let mut triggers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut fields: Vec<String> = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let names = quoted_names(cells[0]);
        if ["event.", "person.", "ticket."].iter().any(|variable| names[0].starts_with(variable)) {
            fields.extend(names);
        } else if names[0].contains('.') {
            let own = cells.get(1).map_or_else(|| of_messages.clone(), |cell| quoted_names(cell).into_iter().collect());
            for name in names {
                assert_eq!(triggers.insert(name.clone(), own.clone()), None, "{name} is listed twice");
            }
        }
    }
    let expected: BTreeMap<String, BTreeSet<String>> = Trigger::all().map(|(trigger, name)| (name.to_owned(), own(trigger))).collect();
    assert_eq!(triggers, expected);
    let expected: BTreeSet<String> = Trigger::all().flat_map(|(trigger, _)| rules::fields(trigger)).map(|(field, _)| field).collect();
    assert_eq!(fields.len(), expected.len(), "a field is listed twice, or not at all");
    assert_eq!(fields.into_iter().collect::<BTreeSet<_>>(), expected);
}

/// One table for each action, under a line with its name; fields in the order of our own table.
fn page_of_actions() -> String {
    let row = |field: &Field| {
        let takes = match &field.shape {
            Shape::Name { .. } => "name".to_owned(),
            Shape::Text { .. } => "text".to_owned(),
            Shape::Value => "value".to_owned(),
            Shape::Flag => "flag".to_owned(),
            Shape::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            Shape::Map(map) => if map.open_names { "open mapping" } else { "mapping" }.to_owned(),
        };
        let (name, takes) = match field.need {
            Need::Required(_) => (format!("**`{}`**", field.name), takes),
            Need::WhereGiven => (format!("`{}`", field.name), format!("{takes} *(or none)*")),
            Need::Optional => (format!("`{}`", field.name), takes),
        };
        format!("| {name} | {takes} | {} |\n", field.help)
    };
    let action = |action: &ActionKind| {
        let rows: String = action.fields.iter().map(row).collect();
        let fields = if rows.is_empty() { "No fields.\n".to_owned() } else { format!("| field | takes | |\n| --- | --- | --- |\n{rows}") };
        format!("### {}\n\n{}.\n\n{fields}\n", action.name, action.help)
    };
    ACTIONS.iter().map(action).collect()
}

/// `UPDATE=1` writes that part of the page anew.
#[test]
fn the_page_lists_every_action_with_its_fields() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = fs::read_to_string(&path).expect("a readable file");
    let (before, rest) = page.split_once(&format!("### {}\n", ACTIONS[0].name)).expect("the first action");
    let (_, after) = rest.split_once("What the check refuses:").expect("the end of the actions");
    let expected = format!("{before}{}What the check refuses:{after}", page_of_actions());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &expected).expect("a writable folder");
    }
    assert!(page == expected || std::env::var_os("UPDATE").is_some(), "the page differs from the table of actions; run with UPDATE=1");
}
