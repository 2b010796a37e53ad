//! Which texts name somebody. One answer for all tools: what stands in an id field may be a placeholder, an address, or an id.

/// What programs write in an id field when they have no id, in lower case. Everybody without one would become one person.
/// Several are named by <https://www.twilio.com/docs/segment/unify/identity-resolution/identity-resolution-settings> ("block values").
const PLACEHOLDERS: [&str; 24] = [
    "null",
    "(null)",
    "<null>",
    "undefined",
    "(undefined)",
    "none",
    "(none)",
    "nil",
    "<nil>",
    "nan",
    "n/a",
    "#n/a",
    "-1",
    "true",
    "false",
    "[object object]",
    "object object",
    "anonymous",
    "anonymous user",
    "guest",
    "unknown",
    "not set",
    "(not set)",
    "not available",
];

/// Of an address, in bytes. <https://www.rfc-editor.org/errata/eid1690>
const LONGEST_ADDRESS: usize = 254;
/// Of what stands before its `@`, in bytes. <https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1>
const LONGEST_LOCAL_PART: usize = 64;

/// Without what cannot be seen at either end: spaces of any width, control characters, byte order marks.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(is_invisible)
}

fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// The text stands for having no id: a placeholder, nothing but zeros and hyphens, or a template that was not filled in.
pub fn is_placeholder(text: &str) -> bool {
    let text = trimmed(text);
    text.bytes().all(|b| matches!(b, b'0' | b'-'))
        || PLACEHOLDERS.iter().any(|word| text.eq_ignore_ascii_case(word))
        || (text.starts_with("{{") && text.ends_with("}}"))
}

/// The text is an e-mail address and nothing else: no display name, no `mailto:`, not two of them. Local parts and domains may be
/// in any script. Quoted local parts and addresses of a bare host are none: no mail of a campaign goes there.
/// <https://www.rfc-editor.org/rfc/rfc5322#section-3.4.1>, <https://www.rfc-editor.org/rfc/rfc6531#section-3.3>
pub fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let dots_between = |part: &str| part.split('.').all(|piece| !piece.is_empty());
    let fits = text.len() <= LONGEST_ADDRESS && local.len() <= LONGEST_LOCAL_PART;
    fits && dots_between(local)
        && local.chars().all(|c| if c.is_ascii() { is_of_a_local_part(c) } else { !is_invisible(c) })
        && domain.contains('.')
        && domain.split('.').all(is_label)
        // The last label is no number: an address of a machine is none of a person.
        && !domain.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
}

fn is_of_a_local_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c)
}

fn is_label(label: &str) -> bool {
    let letters = |c: char| if c.is_ascii() { c.is_ascii_alphanumeric() || c == '-' } else { !is_invisible(c) };
    !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.chars().all(letters)
}

/// Of Customer.io's own id of a profile as it is written beside other ids, `cio_` and hex digits: the digits. Anything else that
/// begins so is an id of the customer's own.
/// <https://github.com/segmentio/action-destinations/blob/main/packages/destination-actions/src/destinations/customerio/utils.ts>
pub fn cio_digits(text: &str) -> Option<&str> {
    let digits = trimmed(text).strip_prefix("cio_")?;
    let is_hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    is_hex.then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_address_and_nothing_else() {
        for right in [
            "ann@example.com",
            "Ann.O'Neil+x@mail.example.co.uk",
            "a@b-c.example",
            "用户@例子.广告",
            "jörg@bücher.example",
            "अजय@डाटा.भारत",
            "ann@xn--bcher-kva.example",
            "{x}@example.com",
        ] {
            assert!(is_address(right), "{right}");
        }
        let long = format!("{}@example.com", "a".repeat(65));
        for wrong in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "ann@localhost",
            "Ann <ann@example.com>",
            "mailto:ann@example.com",
            "ann@example.com, bob@example.com",
            "ann@example.com;bob@example.com",
            "a nn@example.com",
            "ann@@example.com",
            "ann@b@example.com",
            "ann.@example.com",
            ".ann@example.com",
            "an..n@example.com",
            "ann@example..com",
            "ann@.example.com",
            "ann@example.com.",
            "ann@-example.com",
            "ann@exa mple.com",
            "ann@exam\u{200b}ple.com",
            "ann\u{feff}@example.com",
            "ann@example_.com",
            "ann@127.0.0.1",
            "ann@[127.0.0.1]",
            "\"ann\"@example.com",
            long.as_str(),
        ] {
            assert!(!is_address(wrong), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_taken_off_the_ends() {
        for around in ["\u{200b}", "\u{feff}", "\u{a0}", "\u{2060}", "\u{0}", "\r\n\t ", "\u{202a}", "\u{3000}"] {
            assert_eq!(trimmed(&format!("{around}ann{around}{around}")), "ann", "{around:?}");
        }
        assert_eq!(trimmed("a\u{200b}b"), "a\u{200b}b");
    }

    #[test]
    fn a_placeholder_is_no_id() {
        for nothing in [
            "null",
            "NULL",
            " undefined ",
            "None",
            "NaN",
            "[object Object]",
            "(null)",
            "-1",
            "0",
            "0000",
            "---",
            "Anonymous",
            "n/a",
            "",
            "00000000-0000-0000-0000-000000000000",
            "\u{feff}null",
            "{{customer.id}}",
        ] {
            assert!(is_placeholder(nothing), "{nothing:?}");
        }
        for id in ["1", "-2", "10", "nullable", "test", "anonymous-7", "00000000-0000-0000-0000-000000000001", "x0"] {
            assert!(!is_placeholder(id), "{id:?}");
        }
    }

    #[test]
    fn customerios_own_id_has_hex_digits_after_its_prefix() {
        assert_eq!(cio_digits("cio_d9c106000001"), Some("d9c106000001"));
        for own in ["cio_shop_5", "cio_", "cio_D9", "d9c106000001", "xcio_d9"] {
            assert_eq!(cio_digits(own), None, "{own}");
        }
    }
}
