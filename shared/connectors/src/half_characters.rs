//! Text that was cut in the middle of a character.

/// JavaScript cuts text between the two halves of a character, and writes the half that is left as `\ud83d`. No text can
/// hold that. `None`: there is none, or the bytes are no text.
pub(crate) fn without_half_characters(json: &[u8]) -> Option<String> {
    const REPLACEMENT: &str = "\\ufffd";
    let json = std::str::from_utf8(json).ok()?;
    let unit = |at: usize| {
        let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut mended = String::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
            Some(0xD800..=0xDFFF) => {
                mended.push_str(json.get(kept..at)?);
                mended.push_str(REPLACEMENT);
                at += 6;
                kept = at;
            }
            Some(_) => at += 6,
            // Another escape: the character after the backslash is no beginning of one.
            None => at += 2,
        }
    }
    if kept == 0 {
        return None;
    }
    mended.push_str(json.get(kept..)?);
    Some(mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_halves_of_characters_are_replaced() {
        for (json, expected) in [
            (r#"{"a":"x\ud83d"}"#, Some(r#"{"a":"x\ufffd"}"#)),
            (r#"{"a":"\ude00x\uD83D\ud83d\ude00"}"#, Some(r#"{"a":"\ufffdx\ufffd\ud83d\ude00"}"#)),
            (r#"{"a":"\ud83d\ude00"}"#, None),
            (r#"{"a":"\\ud83d"}"#, None),
            (r#"{"a":"\\\ud83d"}"#, Some(r#"{"a":"\\\ufffd"}"#)),
            (r#"{"a":"é\n😀"}"#, None),
        ] {
            assert_eq!(without_half_characters(json.as_bytes()).as_deref(), expected, "{json}");
        }
        assert_eq!(without_half_characters(b"\xff\\ud83d"), None);
    }
}
