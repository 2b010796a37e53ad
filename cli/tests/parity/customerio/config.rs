//! The mapping of a case as a `trefoil.yaml`: the one that stands in `docs/parity.md` for whoever moves, with what the case says
//! instead.

use serde_json::Value;
use std::fs;
use std::path::Path;

pub(super) fn of(case: &Value, root: &Path) -> String {
    let id = case["id"].as_str().expect("id");
    let mut yaml = documented(&fs::read_to_string(root.join("docs/parity.md")).expect("the page"));
    for (name, mapping) in case["mapping_overrides"].as_object().into_iter().flatten() {
        match name.as_str() {
            "convert_timestamp" if *mapping == false => yaml.push_str("\ncustomerio: { dates_as_seconds: false }\n"),
            other => panic!("{id}: {other} is new"),
        }
    }
    for name in case["unmapped_fields"].as_array().into_iter().flatten() {
        match name.as_str() {
            // Relationships have no attributes, and each event an id, whatever is mapped.
            Some("relationship_attributes") => yaml = without(&yaml, "relationship: "),
            Some("event_id") => {}
            other => panic!("{id}: {other:?} is new"),
        }
    }
    yaml
}

/// The first block of YAML of a page.
fn documented(page: &str) -> String {
    let (_, rest) = page.split_once("```yaml\n").expect("the mapping stands in the page");
    rest.split_once("```").expect("it ends").0.to_owned()
}

fn without(yaml: &str, field: &str) -> String {
    yaml.lines().filter(|line| !line.trim_start().starts_with(field)).map(|line| format!("{line}\n")).collect()
}
