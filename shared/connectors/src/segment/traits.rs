//! Traits under the names that attributes have here. <https://segment.com/docs/connections/spec/identify/#traits>

use crate::lenient::Time;
use serde::Deserialize;
use trefoil_domain::event::{Attributes, Value};
use trefoil_domain::time::Timestamp;

/// Reserved traits that the spec lets everybody write in two ways.
const NAMES: [(&str, &str); 3] = [("createdAt", "created_at"), ("firstName", "first_name"), ("lastName", "last_name")];
const ADDRESS_NAMES: [(&str, &str); 1] = [("postalCode", "postal_code")];

/// Reserved traits by one name, whatever else there is as it came. Null stays: it says that a value is gone.
pub(super) fn canonical(mut traits: Attributes) -> Attributes {
    for (spelled, name) in NAMES {
        rename(&mut traits, spelled, name);
    }
    if let Some(Value::Object(address)) = traits.get_mut("address") {
        for (spelled, name) in ADDRESS_NAMES {
            if !address.contains_key(name)
                && let Some(value) = address.remove(spelled)
            {
                address.insert(name.to_owned(), value);
            }
        }
    }
    // Unix seconds, milliseconds and ISO text all occur; what is no time is left for a human to see.
    if let Some(created_at) = traits.get_mut("created_at")
        && let Some(text) = Time::deserialize(&*created_at).ok().and_then(|time| time.0).and_then(Timestamp::to_rfc3339)
    {
        *created_at = Value::String(text);
    }
    traits
}

/// Where both spellings are there, both stay: they may differ.
fn rename(traits: &mut Attributes, spelled: &str, name: &str) {
    if !traits.contains_key(name)
        && let Some(value) = traits.remove(spelled)
    {
        traits.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reserved_traits_have_one_name() {
        for (traits, expected) in [
            (json!({"createdAt": 1715679015, "firstName": "Ann"}), json!({"created_at": "2024-05-14T09:30:15Z", "first_name": "Ann"})),
            (json!({"created_at": "1715679015"}), json!({"created_at": "2024-05-14T09:30:15Z"})),
            (json!({"created_at": "yesterday"}), json!({"created_at": "yesterday"})),
            (json!({"created_at": null}), json!({"created_at": null})),
            (json!({"lastName": "A", "last_name": "B"}), json!({"lastName": "A", "last_name": "B"})),
            (json!({"address": {"postalCode": "D02"}, "planName": "pro"}), json!({"address": {"postal_code": "D02"}, "planName": "pro"})),
            (json!({"address": "Main Street 1"}), json!({"address": "Main Street 1"})),
        ] {
            let traits: Attributes = serde_json::from_value(traits).expect("traits");
            assert_eq!(serde_json::to_value(canonical(traits)).expect("JSON"), expected);
        }
    }
}
